/* SPDX-License-Identifier: Apache-2.0
 *
 * test_unwind_cfi.c - made-up stacks over code whose CFI we wrote ourselves, sound and hostile.
 */
#include <check.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "unit/unwind_fixture.h"

#define noinline	__attribute__((noinline))
#define NO_TAIL_CALL	__asm__ volatile("" : : : "memory")	/* something is still to do in this frame */
#if defined(__x86_64__)
/*
 * Never run, only unwound: sn_last_call ends with a call that does not return, so that its return address is the
 * first instruction of sn_next_fn.  sn_outermost has an undefined return address; sn_no_cfi has no FDE.
 */
__asm__(
	".pushsection .text\n"
	"sn_last_call:\n"
	"	.cfi_startproc\n"
	"	subq $40, %rsp\n"
	"	.cfi_def_cfa_offset 48\n"
	"	call sn_next_fn\n"
	"	.cfi_endproc\n"
	"sn_next_fn:\n"
	"	.cfi_startproc\n"
	"	nop\n"
	"	pushq %rbx\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbx, -16\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"sn_outermost:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined %rip\n"
	"	nop\n"
	"	nop\n"
	"	.cfi_endproc\n"
	"sn_by_rbx:\n"
	"	.cfi_startproc\n"
	"	.cfi_def_cfa %rbx, 8\n"
	"	nop\n"
	"	nop\n"
	"	.cfi_endproc\n"
	"sn_with_personality:\n"	/* as in C++: a pointer to it in data, which nobody copied */
	"	.cfi_startproc\n"
	"	.cfi_personality 0x9b, sn_personality\n"
	"	.cfi_def_cfa_offset 16\n"
	"	nop\n"
	"	nop\n"
	"	.cfi_endproc\n"
	"sn_no_cfi:\n"
	"	nop\n"
	"	nop\n"
	"	.popsection\n"
	"	.pushsection .data\n"
	"sn_personality:\n"
	"	.quad 0\n"
	"	.popsection\n");
extern const char sn_next_fn[], sn_outermost[], sn_by_rbx[], sn_with_personality[], sn_no_cfi[];

#define STACK	0x700000000000ull

static uint64_t
addr(const char *symbol)
{
	return (uint64_t)(uintptr_t)symbol;
}

static void
make_up(uint64_t pc, const uint64_t *words, size_t n)
{
	memset(&regs, 0, sizeof(regs));
	regs.r[SN_REG_PC] = pc;
	regs.r[SN_REG_SP] = STACK;
	memcpy(copy, words, n * sizeof(*words));
	copied = (uint32_t)(n * sizeof(*words));
}

static void
expect(enum sn_unwind_end end, unsigned n, ...)
{
	va_list ap;

	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, end);
	ck_assert_uint_eq(out.count, n);
	va_start(ap, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(out.pc[i], va_arg(ap, uint64_t));
	va_end(ap);
}

static void
expect_leaf_at_next_fn(void)
{
	uint64_t words[] = { addr(sn_outermost) + 1 };

	make_up(addr(sn_next_fn), words, 1);
	expect(SN_UNWIND_COMPLETE, 2, addr(sn_next_fn), addr(sn_outermost));
}

static void
expect_return_to_next_fn(void)
{
	/* in sn_next_fn behind its push: saved rbx, return address; then the 40 bytes of sn_last_call */
	uint64_t words[] = { 0, addr(sn_next_fn), 1, 2, 3, 4, 5, addr(sn_outermost) + 1 };

	make_up(addr(sn_next_fn) + 2, words, 8);
	expect(SN_UNWIND_COMPLETE, 3, addr(sn_next_fn) + 2, addr(sn_next_fn) - 1, addr(sn_outermost));
}

START_TEST(unwind_of_one_pc_as_leaf_and_as_return_address_is_right_in_either_order)
{
	expect_leaf_at_next_fn();
	expect_return_to_next_fn();
	expect_leaf_at_next_fn();
	sn_unwinder_flush(unwinder);
	expect_return_to_next_fn();
	expect_leaf_at_next_fn();
	expect_return_to_next_fn();
}
END_TEST

START_TEST(unwind_of_a_leaf_without_cfi_takes_the_word_at_sp)
{
	uint64_t words[] = { addr(sn_outermost) + 1 };

	make_up(addr(sn_no_cfi), words, 1);
	expect(SN_UNWIND_COMPLETE, 2, addr(sn_no_cfi), addr(sn_outermost));
	make_up(0, words, 1);		/* a NULL pointer was called */
	expect(SN_UNWIND_COMPLETE, 2, UINT64_C(0), addr(sn_outermost));
	words[0] = 12345;		/* no code there */
	make_up(addr(sn_no_cfi), words, 1);
	expect(SN_UNWIND_FAILED, 1, addr(sn_no_cfi));
}
END_TEST

START_TEST(unwind_of_code_without_cfi_follows_frame_pointers)
{
	uint64_t jit = (uint64_t)(uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* two frames of JIT code; a pointer to code at SP that is no return address */
	uint64_t words[] = { addr(sn_next_fn), 0, STACK + 40, jit + 9, 0, STACK + 56, addr(sn_outermost) + 1, 0 };

	ck_assert_uint_ne(jit, (uint64_t)(uintptr_t)MAP_FAILED);
	see_modules();
	sn_unwinder_flush(unwinder);
	make_up(jit + 1, words, 8);
	regs.r[SN_REG_FP] = STACK + 16;
	expect(SN_UNWIND_COMPLETE, 3, jit + 1, jit + 8, addr(sn_outermost));
	regs.r[SN_REG_FP] = STACK + 4096;	/* the chain leads out of the copy */
	run(1, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_TRUNCATED);
	ck_assert_uint_eq(out.count, 1);
	words[2] = STACK + 16;			/* a frame that is its own caller */
	words[3] = jit + 9;
	make_up(jit + 1, words, 8);
	regs.r[SN_REG_FP] = STACK + 16;
	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_FAILED);
	ck_assert_uint_le(out.count, 3);
	(void)munmap((void *)(uintptr_t)jit, 4096);
	words[0] = addr(sn_outermost) + 1;
	words[2] = STACK + 40;
	words[3] = addr(sn_no_cfi) + 1;
	make_up(jit + 1, words, 8);
	regs.r[SN_REG_FP] = STACK + 16;
	see_modules();
	sn_unwinder_flush(unwinder);		/* no longer known as JIT code: now SP is the better guess */
	expect(SN_UNWIND_COMPLETE, 2, jit + 1, addr(sn_outermost));
}
END_TEST

/* A module whose one FDE, from its start on, is `program`; the tools that read a program's own CFI must not see it. */
static void
unwind_by(const uint8_t *program, uint8_t n)
{
	static const uint8_t cie[] = { 20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b,
		0x0c, 7, 8, 0x90, 1, 0, 0 };
	static const uint8_t fde[] = { 0, 0, 0, 0, 28, 0, 0, 0, 0xe0, 0xef, 0xff, 0xff, 0, 16, 0, 0, 0 };
	uint8_t hdr[20] = { 1, 0x1b, 0x03, 0x3b, 0xfc, 0, 0, 0, 1, 0, 0, 0, 0, 0xf1, 0xff, 0xff, 0x18, 1, 0, 0 };
	uint8_t frame[256] = { 0 };
	struct sn_image image = { .refs = 1, .fd = -1, .cfi_state = 1, .hdr = hdr, .hdr_vaddr = 0xf00,
		.hdr_bytes = sizeof(hdr), .frame = frame, .frame_vaddr = 0x1000, .frame_bytes = sizeof(frame) };
	struct sn_module m = { .start = 0x10000, .limit = 0x11000, .bias = 0x10000, .image = &image };
	struct sn_module *list[2] = { &m, sn_modules_find(&mods, addr(sn_outermost)) };
	struct sn_modules set = { .now = list, .now_count = 2, .images = &images };
	uint64_t words[] = { addr(sn_outermost) + 1 };
	struct sn_unwinder *u = sn_unwinder_new(&set);

	ck_assert_ptr_nonnull(u);
	memcpy(frame, cie, sizeof(cie));
	memcpy(frame + sizeof(cie), fde, sizeof(fde));
	frame[sizeof(cie)] = (uint8_t)(sizeof(fde) - 4 + n);
	memcpy(frame + sizeof(cie) + sizeof(fde), program, n);
	make_up(0x10008, words, 1);
	sn_unwind(u, &regs, copy, copied, 0, SN_FRAMES_MAX, &out);
	sn_unwinder_free(u);
}

START_TEST(unwind_of_cfi_that_would_hang_or_kill_libunwind_passes_it_by)
{
	static const uint8_t sound[] = { 0x0e, 16 };		/* the CFA is SP + 16: beyond this stack */
	static const uint8_t loops[] = { 0x0e, 16, 0x0f, 4, 0x30, 0x2f, 0xfc, 0xff };	/* lit0, skip to itself */
	static const uint8_t divides[] = { 0x0e, 16, 0x0f, 0x0c, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x09, 0xff, 0x1b };

	static const uint8_t register_astray[] = { 0x0e, 16, 0x09, 3, 0xfd, 0xde, 0xf8, 0x80, 0x00 };

	unwind_by(sound, sizeof(sound));
	ck_assert_int_eq(out.end, SN_UNWIND_FAILED);
	ck_assert_uint_eq(out.count, 1);
	unwind_by(loops, sizeof(loops));		/* refused: so the word at SP is taken */
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
	ck_assert_uint_eq(out.count, 2);
	unwind_by(register_astray, sizeof(register_astray));
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
	ck_assert_uint_eq(out.count, 2);
	unwind_by(divides, sizeof(divides));
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
	ck_assert_uint_eq(out.count, 2);
}
END_TEST

START_TEST(unwind_with_a_cfa_that_does_not_grow_fails_instead_of_looping)
{
	uint64_t words[] = { addr(sn_by_rbx) + 1, 0 };

	make_up(addr(sn_next_fn), words, 2);
	regs.r[3] = STACK;		/* rbx: the caller's frame is where the leaf's was */
	expect(SN_UNWIND_FAILED, 2, addr(sn_next_fn), addr(sn_by_rbx));
}
END_TEST

START_TEST(unwind_past_a_personality_routine_needs_no_data_of_the_program)
{
	uint64_t words[] = { 0, addr(sn_outermost) + 1 };

	make_up(addr(sn_with_personality), words, 2);
	expect(SN_UNWIND_COMPLETE, 2, addr(sn_with_personality), addr(sn_outermost));
}
END_TEST

START_TEST(unwind_to_a_return_address_outside_of_code_fails_without_it)
{
	uint64_t words[] = { 12345 };

	make_up(addr(sn_next_fn), words, 1);
	expect(SN_UNWIND_FAILED, 1, addr(sn_next_fn));
}
END_TEST

START_TEST(unwind_of_a_return_address_of_zero_is_complete)
{
	uint64_t words[] = { 0 };

	make_up(addr(sn_next_fn), words, 1);
	expect(SN_UNWIND_COMPLETE, 1, addr(sn_next_fn));
}
END_TEST

/* libunwind keeps its own pool, which no sanitizer sees: so look at the size of the process. */
static long
resident_pages(void)
{
	struct sn_buf text = { 0 };
	long size, resident = 0;

	ck_assert_int_eq(sn_buf_read_path(&text, "/proc/self/statm", 4096), 0);
	sn_buf_put(&text, "", 1);
	ck_assert_int_eq(sscanf((char *)text.data, "%ld %ld", &size, &resident), 2);
	sn_buf_free(&text);
	return resident;
}

START_TEST(unwind_many_times_past_every_cache_leaks_nothing)
{
	uint64_t words[] = { addr(sn_outermost) + 1 };
	unsigned wrong = 0;
	long before = 0;

	for (int round = 0; round < 20000; round++) {	/* no assertion in here: Check keeps a note of each */
		make_up(addr(sn_next_fn) + (round & 1), words, 1);
		sn_unwinder_flush(unwinder);
		sn_unwind(unwinder, &regs, copy, copied, 0, SN_FRAMES_MAX, &out);
		wrong += out.end != SN_UNWIND_COMPLETE || out.count != 2;
		sn_unwinder_flush(unwinder);	/* a step that fails after libunwind took its FDE */
		sn_unwind(unwinder, &regs, copy, 0, 0, SN_FRAMES_MAX, &out);
		wrong += out.end != SN_UNWIND_FAILED;
		if (round == 1000)
			before = resident_pages();
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_int_lt(resident_pages() - before, 200);	/* one lost block of 100 bytes a round would be 460 */
}
END_TEST
#endif

int
main(void)
{
	Suite *s = suite_create("unwind_cfi");
	TCase *t = tcase_create("unwind_cfi");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
#if defined(__x86_64__)
	tcase_add_test(t, unwind_of_one_pc_as_leaf_and_as_return_address_is_right_in_either_order);
	tcase_add_test(t, unwind_of_a_leaf_without_cfi_takes_the_word_at_sp);
	tcase_add_test(t, unwind_of_code_without_cfi_follows_frame_pointers);
	tcase_add_test(t, unwind_of_cfi_that_would_hang_or_kill_libunwind_passes_it_by);
	tcase_add_test(t, unwind_with_a_cfa_that_does_not_grow_fails_instead_of_looping);
	tcase_add_test(t, unwind_past_a_personality_routine_needs_no_data_of_the_program);
	tcase_add_test(t, unwind_to_a_return_address_outside_of_code_fails_without_it);
	tcase_add_test(t, unwind_of_a_return_address_of_zero_is_complete);
	tcase_add_test(t, unwind_many_times_past_every_cache_leaks_nothing);
#endif
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

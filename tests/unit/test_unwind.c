/* SPDX-License-Identifier: Apache-2.0
 *
 * test_unwind.c - copied stacks of this program, and made-up ones, unwound.  Runs in `make check`; the oracle for real
 * stacks is backtrace().
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

static void *oracle[SN_FRAMES_MAX];
static int oracle_count;

#define noinline	__attribute__((noinline))
#define NO_TAIL_CALL	__asm__ volatile("" : : : "memory")	/* something is still to do in this frame */
static void
take_regs(const ucontext_t *uc)
{
#if defined(__x86_64__)
	static const int order[SN_NREGS] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP };

	for (int i = 0; i < SN_NREGS; i++)
		regs.r[i] = (uint64_t)uc->uc_mcontext.gregs[order[i]];
#elif defined(__aarch64__)
	memcpy(regs.r, uc->uc_mcontext.regs, 31 * sizeof(uint64_t));
	regs.r[SN_REG_SP] = uc->uc_mcontext.sp;
	regs.r[SN_REG_PC] = uc->uc_mcontext.pc;
#endif
}

/* Copied through the kernel: AddressSanitizer does not let us look at our own red zones. */
static void
copy_stack(void)
{
	pthread_attr_t attr;
	uint64_t hi;
	size_t size, want;
	void *lo;
	ssize_t n;
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pthread_getattr_np(pthread_self(), &attr), 0);
	ck_assert_int_eq(pthread_attr_getstack(&attr, &lo, &size), 0);
	(void)pthread_attr_destroy(&attr);
	hi = (uint64_t)(uintptr_t)lo + size;
	want = hi - regs.r[SN_REG_SP] < COPY_MAX ? (size_t)(hi - regs.r[SN_REG_SP]) : COPY_MAX;
	n = pread(fd, copy, want, (off_t)regs.r[SN_REG_SP]);
	ck_assert_int_gt(n, 0);
	copied = (uint32_t)n;
	(void)close(fd);
}

static noinline int
capture(void)
{
	ucontext_t uc;

	ck_assert_int_eq(getcontext(&uc), 0);
	take_regs(&uc);
	oracle_count = backtrace(oracle, SN_FRAMES_MAX);
	/* AddressSanitizer has a backtrace() of its own, with one frame more */
	if ((uint64_t)(uintptr_t)oracle[0] - regs.r[SN_REG_PC] > 1024)
		memmove(oracle, oracle + 1, (size_t)--oracle_count * sizeof(oracle[0]));
	copy_stack();
	return oracle_count;
}

static noinline int
descend(int depth, int (*at_bottom)(void))
{
	int below = depth == 0 ? at_bottom() : descend(depth - 1, at_bottom);

	NO_TAIL_CALL;
	return below + depth;
}


/* Callers are those of backtrace() less one; `exact` of them (a trampoline and what it interrupted) are not. */
static void
compare(unsigned exact)
{
	unsigned found_exact = 0;

	for (uint32_t i = 1; i < out.count && i < (uint32_t)oracle_count; i++) {
		uint64_t want = (uint64_t)(uintptr_t)oracle[i];

		if (out.pc[i] == want)
			found_exact++;
		else
			ck_assert_uint_eq(out.pc[i], want - 1);
	}
	ck_assert_uint_eq(found_exact, exact);
}

START_TEST(unwind_of_a_deep_stack_agrees_with_backtrace)
{
	(void)descend(100, capture);
	for (int again = 0; again < 3; again++) {	/* also from the caches */
		run(0, SN_FRAMES_MAX);
		ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
		ck_assert_uint_eq(out.count, oracle_count);
		compare(0);
	}
}
END_TEST

static void *
thread(void *arg)
{
	(void)descend(10, capture);
	return arg;
}

START_TEST(unwind_in_a_thread_ends_complete_at_its_start)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, thread, NULL), 0);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
	ck_assert_uint_ge(out.count, 13);
	compare(0);
}
END_TEST

static int
by_value(const void *a, const void *b)
{
	if (oracle_count == 0)
		(void)capture();
	return *(const int *)a - *(const int *)b;
}

START_TEST(unwind_of_a_qsort_callback_goes_through_libc)
{
	int values[] = { 3, 1, 2 };
	struct sn_module *m;

	qsort(values, 3, sizeof(values[0]), by_value);
	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
	ck_assert_uint_eq(out.count, oracle_count);
	compare(0);
	m = sn_modules_find(&mods, out.pc[2]);		/* capture, by_value, and then the library's qsort */
	ck_assert_ptr_nonnull(m);
#if !defined(__SANITIZE_ADDRESS__)
	ck_assert_ptr_ne(m, sn_modules_find(&mods, out.pc[1]));
#endif
}
END_TEST

static void
on_signal(int sig)
{
	(void)sig;
	(void)capture();
	NO_TAIL_CALL;
}

static int
raise_usr1(void)
{
	int err = raise(SIGUSR1);

	NO_TAIL_CALL;
	return err;
}

START_TEST(unwind_under_a_trampoline_keeps_both_pcs_exact)
{
	struct sigaction sa = { .sa_handler = on_signal };

	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	(void)descend(5, raise_usr1);
	for (int again = 0; again < 2; again++) {
		run(0, SN_FRAMES_MAX);
		ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
		ck_assert_uint_eq(out.count, oracle_count);
		compare(2);
		ck_assert_uint_eq(out.pc[2], (uint64_t)(uintptr_t)oracle[2]);
		ck_assert_uint_eq(out.pc[3], (uint64_t)(uintptr_t)oracle[3]);
	}
}
END_TEST

START_TEST(unwind_from_an_alternate_stack_ends_truncated_where_it_was_left)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	static uint8_t alt[256 << 10] __attribute__((aligned(16)));
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	uint64_t end = (uint64_t)(uintptr_t)(alt + sizeof(alt));

	ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	(void)descend(5, raise_usr1);
	copied = (uint32_t)(end - regs.r[SN_REG_SP]);	/* the handler in the program copies no more than this */
	ck_assert_uint_le(copied, sizeof(alt));
	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_TRUNCATED);
	ck_assert_uint_eq(out.count, 4);	/* capture, on_signal, the trampoline, what it interrupted */
	compare(2);
}
END_TEST

START_TEST(unwind_of_a_cut_stack_is_truncated_and_its_frames_are_right)
{
	uint32_t whole, last = 1;

	(void)descend(100, capture);
	whole = copied;
	for (copied = 0; copied <= whole; copied += 8) {
		run(1, SN_FRAMES_MAX);
		compare(0);
		ck_assert_uint_ge(out.count, last);	/* more stack, no fewer frames */
		last = out.count;
		if (out.end == SN_UNWIND_COMPLETE)	/* all was in the copy that mattered */
			break;
		ck_assert_int_eq(out.end, SN_UNWIND_TRUNCATED);
		ck_assert_uint_lt(out.count, oracle_count);
	}
	ck_assert_uint_eq(out.count, oracle_count);
	copied = 64;
	run(0, SN_FRAMES_MAX);		/* the same, but nothing was cut: then it cannot be */
	ck_assert_int_eq(out.end, SN_UNWIND_FAILED);
}
END_TEST

START_TEST(unwind_beyond_the_depth_is_truncated_at_it)
{
	(void)descend(100, capture);
	run(0, 17);
	ck_assert_int_eq(out.end, SN_UNWIND_TRUNCATED);
	ck_assert_uint_eq(out.count, 17);
	compare(0);
	run(0, (uint32_t)oracle_count);		/* exactly as deep as it is */
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
}
END_TEST

START_TEST(unwind_of_garbage_ends_and_never_says_complete_for_long)
{
	uint32_t seed = 1;

	(void)descend(20, capture);
	for (int round = 0; round < 2000; round++) {
		struct sn_regs sound = regs;

		for (uint32_t i = 0; i < copied; i++) {
			seed = seed * 1664525u + 1013904223u;
			copy[i] = (uint8_t)(seed >> 24);
		}
		for (int i = 0; i < SN_NREGS; i++) {
			seed = seed * 1664525u + 1013904223u;
			if (seed >> 31)
				regs.r[i] = (uint64_t)seed << (seed >> 26);
		}
		run(round & 1, SN_FRAMES_MAX);
		ck_assert_uint_le(out.count, 3);
		ck_assert_int_ne(out.end, SN_UNWIND_COMPLETE);
		regs = sound;
	}
}
END_TEST

START_TEST(unwind_after_modules_vanished_stops_at_them)
{
	(void)descend(5, capture);
	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
	ck_assert_int_eq(sn_modules_update(&mods, "", 0, NULL, NULL), 0);
	sn_unwinder_flush(unwinder);
	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_FAILED);
	ck_assert_uint_eq(out.count, 1);
	see_modules();
	sn_unwinder_flush(unwinder);
	run(0, SN_FRAMES_MAX);
	ck_assert_int_eq(out.end, SN_UNWIND_COMPLETE);
	compare(0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("unwind");
	TCase *t = tcase_create("unwind");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, unwind_of_a_deep_stack_agrees_with_backtrace);
	tcase_add_test(t, unwind_in_a_thread_ends_complete_at_its_start);
	tcase_add_test(t, unwind_of_a_qsort_callback_goes_through_libc);
	tcase_add_test(t, unwind_under_a_trampoline_keeps_both_pcs_exact);
	tcase_add_test(t, unwind_from_an_alternate_stack_ends_truncated_where_it_was_left);
	tcase_add_test(t, unwind_of_a_cut_stack_is_truncated_and_its_frames_are_right);
	tcase_add_test(t, unwind_beyond_the_depth_is_truncated_at_it);
	tcase_add_test(t, unwind_of_garbage_ends_and_never_says_complete_for_long);
	tcase_add_test(t, unwind_after_modules_vanished_stops_at_them);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

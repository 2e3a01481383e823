/* SPDX-License-Identifier: Apache-2.0
 *
 * test_walk.c - the walker over tables made by hand: each kind of rule, borders of buckets, and what must not fault.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hot/hot.h"
#include "hot/walk.h"

#define TEXT	0x100000u
#define BUCKETS	16u
#define SHIFT	8u
#define ROWS	8u

/* The store: one table of 16 buckets of 256 bytes. */
static struct {
	uint32_t index[BUCKETS + 1];
	struct sn_table_row rows[ROWS];
	struct sn_rule rules[8] __attribute__((aligned(8)));
} store;
static struct sn_text_map *map;
static uint64_t *stack;			/* a page, and one behind it that cannot be read */
static ucontext_t uc;
static struct sn_walk w;
static uint64_t frames[64];

#define WORDS	(SN_PAGE / 8)

static void
set_regs(uint64_t pc, uint64_t sp, uint64_t fp)
{
#if defined(__x86_64__)
	uc.uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
	uc.uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
	uc.uc_mcontext.gregs[REG_RBP] = (greg_t)fp;
#else
	uc.uc_mcontext.pc = pc;
	uc.uc_mcontext.sp = sp;
	uc.uc_mcontext.regs[29] = fp;
	uc.uc_mcontext.regs[30] = 0;
#endif
}

static uint64_t
at_word(unsigned n)
{
	return (uint64_t)(uintptr_t)&stack[n];
}

/* Rows at these addresses of the text, in order; index and bounds follow. */
static void
set_rows(const uint32_t *at, const uint16_t *rule, uint32_t n)
{
	uint32_t row = 0;

	for (uint32_t i = 0; i < n; i++)
		store.rows[i] = (struct sn_table_row){ (uint16_t)(at[i] & 0xff), rule[i] };
	for (uint32_t b = 0; b <= BUCKETS; b++) {
		while (row < n && at[row] >> SHIFT < b)
			row++;
		store.index[b] = row;
	}
	map->text[0].nrows = n;
}

static void
set_up(void)
{
	memset(&store, 0, sizeof(store));
	memset(&uc, 0, sizeof(uc));
	map = calloc(1, sizeof(*map));
	ck_assert_ptr_nonnull(map);
	stack = mmap(NULL, 2 * SN_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(stack, MAP_FAILED);
	ck_assert_int_eq(mprotect(stack + WORDS, SN_PAGE, PROT_NONE), 0);
	map->count = 1;
	map->start[0] = TEXT;
	map->text[0] = (struct sn_text){ .start = TEXT, .limit = TEXT + (BUCKETS << SHIFT), .base = TEXT,
		.rows = offsetof(typeof(store), rows), .rules = offsetof(typeof(store), rules),
		.nbuckets = BUCKETS, .nrules = 8, .shift = SHIFT, .kind = SN_TEXT_TABLE, .stays = 1 };
	/* 0 none, 1 SP + 16, 2 FP + 16 with FP saved, 3 the end, 4 BAD, 5 deref, 6 register 2 + 8, 7 signal */
	store.rules[1] = (struct sn_rule){ .cfa = SN_CFA_SP, .cfa_off = 16, .ra = SN_SAVED_CFA, .ra_off = -8 };
	store.rules[2] = (struct sn_rule){ .cfa = SN_CFA_FP, .cfa_off = 16, .ra = SN_SAVED_CFA, .ra_off = -8,
		.fp = SN_SAVED_CFA, .fp_off = -16 };
	store.rules[3] = (struct sn_rule){ .cfa = SN_CFA_END };
	store.rules[4] = (struct sn_rule){ .cfa = SN_CFA_BAD };
	store.rules[5] = (struct sn_rule){ .cfa = SN_CFA_FP_DEREF, .cfa_off = -8, .aux = 8, .ra = SN_SAVED_CFA,
		.ra_off = -8, .fp = SN_SAVED_FP, .fp_off = 0 };
	store.rules[6] = (struct sn_rule){ .cfa = SN_CFA_REG, .aux = 2, .cfa_off = 8, .ra = SN_SAVED_CFA,
		.ra_off = -8 };
	store.rules[7] = (struct sn_rule){ .cfa = SN_CFA_SIGNAL };
	for (unsigned i = 0; i < 8; i++)
		sn_rule_mark(&store.rules[i]);
	w = (struct sn_walk){ .map = map, .tables = (const uint8_t *)&store, .tables_bytes = sizeof(store),
		.stack_lo = at_word(0), .stack_hi = at_word(WORDS) };
	set_rows((const uint32_t[]){ 0, 0x180, 0x2ff, 0x300, 0x400, 0x500, 0x600 },
		(const uint16_t[]){ 1, 2, 1, 3, 4, 5, 6 }, 7);
}

static void
tear_down(void)
{
	(void)munmap(stack, 2 * SN_PAGE);
	free(map);
}

START_TEST(frames_follow_their_rules_over_borders_of_buckets)
{
	/* 0x17f: rule 1, of the bucket before; its caller's call, too; then 0x250 (rule 2), and the end */
	set_regs(TEXT + 0x17f, at_word(0), at_word(20));
	stack[1] = TEXT + 0x180;
	stack[3] = TEXT + 0x251;
	stack[20] = 77;
	stack[21] = TEXT + 0x301;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 4);
	ck_assert_uint_eq(frames[0], TEXT + 0x17f);
	ck_assert_uint_eq(frames[1], TEXT + 0x17f);
	ck_assert_uint_eq(frames[2], TEXT + 0x250);
	ck_assert_uint_eq(frames[3], TEXT + 0x300);
	ck_assert_int_eq(w.end, SN_WALK_COMPLETE);
	ck_assert(!w.guessed);
}
END_TEST

START_TEST(return_address_at_a_border_belongs_to_the_call_before_it)
{
	set_regs(TEXT, at_word(0), 0);
	stack[1] = TEXT + 0x300;	/* 0x2ff: rule 1, a call that never returns; 0x300 would be the end */
	stack[3] = TEXT + 0x3ff;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 3);
	ck_assert_uint_eq(frames[1], TEXT + 0x2ff);
	ck_assert_int_eq(w.end, SN_WALK_COMPLETE);
}
END_TEST

START_TEST(realigned_frame_is_left_through_its_saved_pointer)
{
	set_regs(TEXT + 0x500, at_word(0), at_word(10));
	stack[9] = at_word(30);		/* FP - 8: where the caller's stack pointer was kept; CFA = that + 8 */
	stack[30] = TEXT + 0x301;
	stack[10] = 123;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 2);
	ck_assert_int_eq(w.end, SN_WALK_COMPLETE);
}
END_TEST

START_TEST(frame_pointer_restored_in_the_epilogue_is_not_looked_for_at_itself)
{
	/* behind leave: FP is the caller's, and the CFI goes on to say that it is at FP */
	store.rules[1].fp = SN_SAVED_FP;
	sn_rule_mark(&store.rules[1]);
	set_regs(TEXT, at_word(2), at_word(20));
	stack[3] = TEXT + 0x201;	/* rule 2: needs FP */
	stack[21] = TEXT + 0x301;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 3);
	ck_assert_uint_eq(frames[2], TEXT + 0x300);
	ck_assert_int_eq(w.end, SN_WALK_COMPLETE);
}
END_TEST

START_TEST(limit_of_frames_is_truncation_and_exact_depth_is_not)
{
	set_regs(TEXT, at_word(0), 0);
	stack[1] = TEXT + 1;
	stack[3] = TEXT + 0x301;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 2), 2);
	ck_assert_int_eq(w.end, SN_WALK_TRUNCATED);
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 3), 3);
	ck_assert_int_eq(w.end, SN_WALK_COMPLETE);
}
END_TEST

START_TEST(what_no_rule_expresses_and_unknown_code_ask_for_another_way)
{
	set_regs(TEXT + 0x400, at_word(0), 0);
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 1);
	ck_assert_int_eq(w.end, SN_WALK_UNKNOWN);
	set_regs(TEXT, at_word(0), 0);
	stack[1] = 0x7700000;		/* no code at all: not a frame */
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 1);
	ck_assert_int_eq(w.end, SN_WALK_UNKNOWN);
	/* a module that may be gone */
	map->text[0].stays = 0;
	w.only_stays = true;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 1);
	ck_assert_int_eq(w.end, SN_WALK_UNKNOWN);
}
END_TEST

START_TEST(code_without_cfi_is_guessed_and_said_so)
{
	store.rules[1].cfa = SN_CFA_NONE;
	sn_rule_mark(&store.rules[1]);
	set_regs(TEXT, at_word(0), at_word(10));
	stack[0] = 12345;		/* no return address: then the chain of frame pointers */
	stack[10] = 0;
	stack[11] = TEXT + 0x301;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 2);
	ck_assert_int_eq(w.end, SN_WALK_COMPLETE);
	ck_assert(w.guessed);
	set_regs(TEXT, at_word(0), 0);
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 1);
	ck_assert_int_eq(w.end, SN_WALK_FAILED);
}
END_TEST

START_TEST(jit_code_goes_by_frame_pointers)
{
	map->text[0].kind = SN_TEXT_FP;
	set_regs(TEXT + 5, at_word(0), at_word(2));
	stack[2] = at_word(6);
	stack[3] = TEXT + 9;
	stack[6] = 0;
	stack[7] = TEXT + 20;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 3);
	ck_assert_int_eq(w.end, SN_WALK_COMPLETE);
	ck_assert_uint_eq(frames[2], TEXT + 19);
	ck_assert(!w.guessed);
}
END_TEST

START_TEST(stack_that_loops_or_goes_down_ends)
{
	set_regs(TEXT + 0x180, at_word(8), at_word(8));
	stack[8] = at_word(4);		/* the caller's frame pointer lies below */
	stack[9] = TEXT + 0x181;
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 2);
	ck_assert_int_eq(w.end, SN_WALK_FAILED);
	stack[8] = at_word(8);		/* … or is its own */
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 2);
	ck_assert_int_eq(w.end, SN_WALK_FAILED);
}
END_TEST

START_TEST(stack_that_is_not_the_threads_own_is_probed)
{
	w.stack_lo = w.stack_hi = 0;	/* a coroutine, or a thread that nobody knows */
	set_regs(TEXT, at_word(WORDS - 4), 0);
	stack[WORDS - 3] = TEXT + 1;
	stack[WORDS - 1] = TEXT + 1;	/* the next one would lie in the page that cannot be read */
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 3);
	ck_assert_int_eq(w.end, SN_WALK_FAILED);
	set_regs(TEXT, 8, 0);
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 1);
	ck_assert_int_eq(w.end, SN_WALK_FAILED);
	set_regs(TEXT, UINT64_MAX - 7, UINT64_MAX - 15);
	ck_assert_uint_eq(sn_walk_tables(&w, &uc, frames, 64), 1);
	ck_assert_int_eq(w.end, SN_WALK_FAILED);
}
END_TEST

/* xorshift64, Marsaglia 2003. */
static uint64_t
random_word(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Something that may be an address of the stack, of the text, or anything. */
static uint64_t
random_value(void)
{
	switch (random_word() % 8) {
	case 0:
		return random_word();
	case 1:
		return at_word((unsigned)(random_word() % (WORDS + 64)));
	case 2:
		return at_word(WORDS) - 64 + random_word() % 128;
	case 3:
		return random_word() % 16;
	default:
		return TEXT + random_word() % (BUCKETS << SHIFT);
	}
}

START_TEST(spoilt_tables_registers_and_stacks_never_fault)
{
	for (unsigned round = 0; round < 200000; round++) {
		uint8_t *bytes = (uint8_t *)&store;
		uint32_t n;

		if (round % 64 == 0) {
			set_up();
			for (unsigned i = 0; i < WORDS; i++)
				stack[i] = random_value();
		}
		for (unsigned i = 0; i < 4; i++)
			bytes[random_word() % sizeof(store)] = (uint8_t)random_word();
		if (round % 16 == 15) {
			uint32_t *field = &map->text[0].index;

			field[random_word() % 6] = (uint32_t)random_word() >> random_word() % 32;
			map->text[0].shift = (uint8_t)random_word();
			map->count = (uint32_t)(random_word() % 3);
		}
		w.stack_hi = round & 1 ? at_word(WORDS) : 0;
		w.stack_lo = w.stack_hi != 0 ? at_word(0) : 0;
		set_regs(random_value(), random_value() & ~(random_word() % 8), random_value());
		n = sn_walk_tables(&w, &uc, frames, 64);
		ck_assert(n >= 1 && n <= 64);
		n = sn_walk_fp(&w, &uc, frames, 64);
		ck_assert(n >= 1 && n <= 64);
		if (round % 64 == 63)
			tear_down();
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("walk");
	TCase *t = tcase_create("by hand"), *spoilt = tcase_create("spoilt");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, frames_follow_their_rules_over_borders_of_buckets);
	tcase_add_test(t, return_address_at_a_border_belongs_to_the_call_before_it);
	tcase_add_test(t, realigned_frame_is_left_through_its_saved_pointer);
	tcase_add_test(t, frame_pointer_restored_in_the_epilogue_is_not_looked_for_at_itself);
	tcase_add_test(t, limit_of_frames_is_truncation_and_exact_depth_is_not);
	tcase_add_test(t, what_no_rule_expresses_and_unknown_code_ask_for_another_way);
	tcase_add_test(t, code_without_cfi_is_guessed_and_said_so);
	tcase_add_test(t, jit_code_goes_by_frame_pointers);
	tcase_add_test(t, stack_that_loops_or_goes_down_ends);
	tcase_add_test(t, stack_that_is_not_the_threads_own_is_probed);
	suite_add_tcase(s, t);
	tcase_add_test(spoilt, spoilt_tables_registers_and_stacks_never_fault);
	tcase_set_timeout(spoilt, 120);
	suite_add_tcase(s, spoilt);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

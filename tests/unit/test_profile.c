/* SPDX-License-Identifier: Apache-2.0
 *
 * test_profile.c - interning, rows, labels, and what happens at the bound.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/profile.h"

#define PERIOD	10000000

static struct sn_profile profile;
static struct sn_module module_a = { .start = 0x1000, .limit = 0x2000 };
static struct sn_module module_b = { .start = 0x1000, .limit = 0x2000 };

static void
setup(void)
{
	sn_profile_init(&profile, PERIOD, 0);
}

static void
teardown(void)
{
	sn_profile_free(&profile);
}

static uint32_t
frame_at(uint64_t addr)
{
	return sn_profile_frame(&profile, addr, &module_a, SN_PSEUDO_NONE);
}

static uint32_t
stack_of(uint64_t leaf, uint64_t caller)
{
	uint32_t ids[2] = { frame_at(leaf), frame_at(caller) };

	return sn_profile_stack(&profile, ids, 2);
}

static uint32_t
pseudo_stack(enum sn_pseudo pseudo)
{
	uint32_t id = sn_profile_frame(&profile, 0, NULL, pseudo);

	return sn_profile_stack(&profile, &id, 1);
}

static uint64_t
count_of_stack(uint32_t stack)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < profile.row_count; i++)
		if (profile.rows[i].stack == stack)
			count += profile.rows[i].count;
	return count;
}

START_TEST(name_every_pseudo_frame_in_brackets)
{
	for (unsigned i = SN_PSEUDO_NONE; i < SN_PSEUDO_COUNT; i++) {
		const char *name = sn_pseudo_name(i);

		ck_assert_int_eq(name[0], '[');
		ck_assert_int_eq(name[strlen(name) - 1], ']');
	}
	ck_assert_str_eq(sn_pseudo_name(SN_PSEUDO_NOT_SAMPLED), "[not sampled]");
	ck_assert_str_eq(sn_pseudo_name(SN_PSEUDO_COUNT), "[unknown]");
	ck_assert_str_eq(sn_pseudo_name((enum sn_pseudo)1000000), "[unknown]");
}
END_TEST

START_TEST(intern_equal_frames_gives_one_index)
{
	uint32_t a = frame_at(0x1234);

	ck_assert_uint_eq(frame_at(0x1234), a);
	ck_assert_uint_ne(frame_at(0x1235), a);
	ck_assert_uint_ne(sn_profile_frame(&profile, 0x1234, &module_b, SN_PSEUDO_NONE), a);
	ck_assert_uint_ne(sn_profile_frame(&profile, 0x1234, NULL, SN_PSEUDO_NONE), a);
	ck_assert_uint_eq(profile.frames[a].addr, 0x1234);
	ck_assert_ptr_eq(profile.frames[a].module, &module_a);
}
END_TEST

START_TEST(intern_pseudo_frame_forgets_address_and_module)
{
	uint32_t a = sn_profile_frame(&profile, 0x99, &module_a, SN_PSEUDO_LOST);

	ck_assert_uint_eq(sn_profile_frame(&profile, 0, NULL, SN_PSEUDO_LOST), a);
	ck_assert_uint_eq(profile.frames[a].addr, 0);
	ck_assert_ptr_null(profile.frames[a].module);
}
END_TEST

START_TEST(intern_equal_stacks_gives_one_index)
{
	uint32_t a = stack_of(1, 2), b = stack_of(2, 1);
	uint32_t one = frame_at(1);

	ck_assert_uint_eq(stack_of(1, 2), a);
	ck_assert_uint_ne(a, b);
	ck_assert_uint_ne(sn_profile_stack(&profile, &one, 1), a);
	ck_assert_uint_eq(profile.stacks[a].count, 2);
	ck_assert_uint_eq(profile.frame_ids[profile.stacks[a].first], one);
}
END_TEST

START_TEST(intern_stack_that_cannot_be_is_refused)
{
	uint32_t ids[2] = { frame_at(1), UINT32_MAX };
	uint32_t before = profile.stack_count;

	ck_assert_uint_eq(sn_profile_stack(&profile, ids, 2), UINT32_MAX);
	ids[1] = profile.frame_count;
	ck_assert_uint_eq(sn_profile_stack(&profile, ids, 2), UINT32_MAX);
	ck_assert_uint_eq(sn_profile_stack(&profile, ids, 0), UINT32_MAX);
	ck_assert_uint_eq(profile.stack_count, before);
}
END_TEST

START_TEST(intern_many_finds_each_again)
{
	enum { MANY = 20000 };
	uint32_t *stacks = malloc(MANY * sizeof(*stacks));

	ck_assert_ptr_nonnull(stacks);
	for (uint32_t i = 0; i < MANY; i++) {
		stacks[i] = stack_of(i * 16, i % 7);
		ck_assert_int_eq(sn_profile_add(&profile, stacks[i], SN_NO_LABEL, (int32_t)(i % 5), 0, i), 0);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		ck_assert_uint_eq(stack_of(i * 16, i % 7), stacks[i]);
		ck_assert_int_eq(sn_profile_add(&profile, stacks[i], SN_NO_LABEL, (int32_t)(i % 5), 0, 1), 0);
	}
	ck_assert_uint_eq(profile.row_count, MANY);
	ck_assert_uint_eq(sn_profile_total(&profile), (uint64_t)MANY * (MANY - 1) / 2 + MANY);
	ck_assert_uint_eq(profile.stacks_dropped, 0);
	free(stacks);
}
END_TEST

START_TEST(add_twice_counts_in_one_row)
{
	uint32_t s = stack_of(1, 2);

	ck_assert_int_eq(sn_profile_add(&profile, s, 0, 5, 1, 3), 0);
	ck_assert_int_eq(sn_profile_add(&profile, s, 0, 5, 1, 4), 0);
	ck_assert_uint_eq(profile.row_count, 1);
	ck_assert_uint_eq(profile.rows[0].count, 7);
}
END_TEST

START_TEST(add_under_other_label_thread_or_group_counts_apart)
{
	uint32_t s = stack_of(1, 2);

	ck_assert_int_eq(sn_profile_add(&profile, s, 0, 5, 1, 1), 0);
	ck_assert_int_eq(sn_profile_add(&profile, s, 1, 5, 1, 1), 0);
	ck_assert_int_eq(sn_profile_add(&profile, s, 0, 6, 1, 1), 0);
	ck_assert_int_eq(sn_profile_add(&profile, s, 0, 5, 2, 1), 0);
	ck_assert_uint_eq(profile.row_count, 4);
	ck_assert_uint_eq(sn_profile_total(&profile), 4);
}
END_TEST

START_TEST(add_nothing_makes_no_row)
{
	ck_assert_int_eq(sn_profile_add(&profile, stack_of(1, 2), SN_NO_LABEL, 0, 0, 0), 0);
	ck_assert_uint_eq(profile.row_count, 0);
}
END_TEST

START_TEST(add_to_refused_stack_counts_as_dropped)
{
	ck_assert_int_eq(sn_profile_add(&profile, UINT32_MAX, 0, 5, 1, 9), 0);
	ck_assert_uint_eq(count_of_stack(pseudo_stack(SN_PSEUDO_STACK_DROPPED)), 9);
	ck_assert_uint_eq(profile.stacks_dropped, 1);
}
END_TEST

START_TEST(add_beyond_64_bits_stays_at_the_largest)
{
	uint32_t s = stack_of(1, 2);

	ck_assert_int_eq(sn_profile_add(&profile, s, SN_NO_LABEL, 0, 0, UINT64_MAX - 1), 0);
	ck_assert_int_eq(sn_profile_add(&profile, s, SN_NO_LABEL, 0, 0, 5), 0);
	ck_assert_uint_eq(profile.rows[0].count, UINT64_MAX);
}
END_TEST

START_TEST(group_by_start_function_and_main_thread)
{
	uint32_t a = sn_profile_group(&profile, 0x1000, false);

	ck_assert_uint_eq(sn_profile_group(&profile, 0x1000, false), a);
	ck_assert_uint_ne(sn_profile_group(&profile, 0x1000, true), a);
	ck_assert_uint_ne(sn_profile_group(&profile, 0x2000, false), a);
	ck_assert_uint_eq(profile.groups[a].root_stack, SN_NO_STACK);
	ck_assert_int_eq(profile.groups[a].residual_ns, 0);
}
END_TEST

START_TEST(group_without_end_is_refused_at_a_bound)
{
	uint32_t last = 0;

	for (uint64_t i = 0; i < 100000 && last != UINT32_MAX; i++)
		last = sn_profile_group(&profile, i, false);
	ck_assert_uint_eq(last, UINT32_MAX);
	ck_assert_uint_eq(sn_profile_group(&profile, 0, false), 0);
}
END_TEST

START_TEST(label_65th_text_becomes_other)
{
	bool overflow = false;
	char text[16];
	uint32_t other;

	for (uint32_t i = 0; i < 64; i++) {
		(void)snprintf(text, sizeof(text), "worker %u", i);
		ck_assert_uint_eq(sn_profile_label(&profile, text, &overflow), i);
	}
	ck_assert(!overflow);
	other = sn_profile_label(&profile, "one more", &overflow);
	ck_assert(overflow);
	ck_assert_str_eq(profile.labels[other], "[other]");
	ck_assert_uint_eq(sn_profile_label(&profile, "and another", &overflow), other);
	ck_assert_uint_eq(profile.label_count, 65);

	overflow = false;
	ck_assert_uint_eq(sn_profile_label(&profile, "[other]", &overflow), other);
	ck_assert(overflow);

	overflow = false;
	ck_assert_uint_eq(sn_profile_label(&profile, "worker 63", &overflow), 63);
	ck_assert(!overflow);
}
END_TEST

START_TEST(label_called_other_is_a_name_like_any)
{
	bool overflow = false;
	uint32_t other = sn_profile_label(&profile, "[other]", &overflow);
	char text[16];

	ck_assert(!overflow);
	for (uint32_t i = 0; i < 70; i++) {
		(void)snprintf(text, sizeof(text), "worker %u", i);
		(void)sn_profile_label(&profile, text, &overflow);
	}
	ck_assert(overflow);
	ck_assert_uint_eq(sn_profile_label(&profile, "worker 69", &overflow), other);
	ck_assert_uint_eq(profile.label_count, 64);
}
END_TEST

START_TEST(comment_is_kept_as_formatted)
{
	ck_assert_int_eq(sn_profile_comment(&profile, "signals=%d", 42), 0);
	ck_assert_int_eq(sn_profile_comment(&profile, "# %s", "more"), 0);
	ck_assert_uint_eq(profile.comment_count, 2);
	ck_assert_str_eq(profile.comments[0], "signals=42");
	ck_assert_str_eq(profile.comments[1], "# more");
}
END_TEST

/* Fill a profile of that budget with new stacks until one is refused; the last that was not. */
static uint32_t
fill(size_t budget)
{
	uint32_t last = UINT32_MAX;

	sn_profile_free(&profile);
	sn_profile_init(&profile, PERIOD, budget);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint32_t s = stack_of(i, i + 1);

		if (s == UINT32_MAX)
			return last;
		ck_assert_int_eq(sn_profile_add(&profile, s, SN_NO_LABEL, 0, 0, 1), 0);
		last = s;
	}
	ck_abort_msg("nothing was refused");
}

START_TEST(fill_to_the_bound_refuses_new_stacks_and_keeps_the_old)
{
	uint32_t last = fill(1 << 20);
	uint64_t before = sn_profile_total(&profile);

	ck_assert_uint_le(profile.held_bytes, 1 << 20);
	ck_assert_uint_gt(profile.held_bytes, 1 << 18);
	ck_assert_uint_gt(profile.row_count, 5000);
	ck_assert_int_eq(sn_profile_add(&profile, last, SN_NO_LABEL, 0, 0, 10), 0);
	ck_assert_uint_eq(count_of_stack(last), 11);
	ck_assert_uint_eq(sn_profile_total(&profile), before + 10);
	ck_assert_uint_eq(profile.stacks_dropped, 0);
}
END_TEST

START_TEST(fill_with_stacks_alone_leaves_a_quarter_for_rows)
{
	const size_t budget = 1 << 20;
	uint32_t last = 0;

	sn_profile_free(&profile);
	sn_profile_init(&profile, PERIOD, budget);
	for (uint32_t i = 0; last != UINT32_MAX; i++)
		last = sn_profile_stack(&profile, &(uint32_t){ frame_at(i) }, 1);
	ck_assert_uint_le(profile.held_bytes, budget / 4 * 3);
	for (uint32_t i = 0; i < 2000; i++)
		ck_assert_int_eq(sn_profile_add(&profile, i + SN_PSEUDO_COUNT, SN_NO_LABEL, 0, 0, 1), 0);
	ck_assert_uint_eq(profile.stacks_dropped, 0);
}
END_TEST

START_TEST(fill_to_the_bound_leaves_every_pseudo_stack)
{
	(void)fill(1 << 16);
	for (unsigned i = SN_PSEUDO_NONE + 1; i < SN_PSEUDO_COUNT; i++)
		ck_assert_uint_ne(pseudo_stack(i), UINT32_MAX);
	ck_assert_int_eq(sn_profile_add(&profile, pseudo_stack(SN_PSEUDO_STACK_DROPPED), 3, 0, 0, 4), 0);
	ck_assert_uint_eq(profile.stacks_dropped, 1);
}
END_TEST

START_TEST(fill_with_rows_to_the_bound_loses_no_count)
{
	uint32_t s;

	sn_profile_free(&profile);
	sn_profile_init(&profile, PERIOD, 1 << 18);
	s = stack_of(1, 2);
	for (int32_t tid = 1; tid <= 50000; tid++)
		ck_assert_int_eq(sn_profile_add(&profile, s, SN_NO_LABEL, tid, 0, 1), 0);
	ck_assert_uint_eq(sn_profile_total(&profile), 50000);
	ck_assert_uint_le(profile.held_bytes, 1 << 18);
	ck_assert_uint_gt(profile.stacks_dropped, 0);
	ck_assert_uint_eq(count_of_stack(pseudo_stack(SN_PSEUDO_STACK_DROPPED)), profile.stacks_dropped);
	ck_assert_uint_eq(count_of_stack(s) + profile.stacks_dropped, 50000);
}
END_TEST

START_TEST(start_under_a_budget_too_small_for_anything_still_counts)
{
	sn_profile_free(&profile);
	sn_profile_init(&profile, PERIOD, 1);
	for (uint32_t i = 0; i < 100; i++)
		ck_assert_int_eq(sn_profile_add(&profile, stack_of(i, i), SN_NO_LABEL, 0, 0, 1), 0);
	ck_assert_uint_eq(sn_profile_total(&profile), 100);
}
END_TEST

START_TEST(hold_as_many_bytes_as_the_arrays_have)
{
	const struct sn_profile *p = &profile;
	size_t bytes;

	for (uint32_t i = 0; i < 1000; i++)
		ck_assert_int_eq(sn_profile_add(&profile, stack_of(i, 0), SN_NO_LABEL, 0,
			sn_profile_group(&profile, i % 3, false), 1), 0);
	bytes = p->frame_cap * sizeof(*p->frames) + p->stack_cap * sizeof(*p->stacks) +
		p->frame_id_cap * sizeof(*p->frame_ids) + p->row_cap * sizeof(*p->rows) +
		p->group_cap * sizeof(*p->groups) +
		(p->frame_hash_size + p->stack_hash_size + p->row_hash_size) * sizeof(uint32_t);
	ck_assert_uint_eq(p->held_bytes, bytes);
}
END_TEST

static Suite *
profile_suite(void)
{
	Suite *s = suite_create("profile");
	TCase *t = tcase_create("profile");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, name_every_pseudo_frame_in_brackets);
	tcase_add_test(t, intern_equal_frames_gives_one_index);
	tcase_add_test(t, intern_pseudo_frame_forgets_address_and_module);
	tcase_add_test(t, intern_equal_stacks_gives_one_index);
	tcase_add_test(t, intern_stack_that_cannot_be_is_refused);
	tcase_add_test(t, intern_many_finds_each_again);
	tcase_add_test(t, add_twice_counts_in_one_row);
	tcase_add_test(t, add_under_other_label_thread_or_group_counts_apart);
	tcase_add_test(t, add_nothing_makes_no_row);
	tcase_add_test(t, add_to_refused_stack_counts_as_dropped);
	tcase_add_test(t, add_beyond_64_bits_stays_at_the_largest);
	tcase_add_test(t, group_by_start_function_and_main_thread);
	tcase_add_test(t, group_without_end_is_refused_at_a_bound);
	tcase_add_test(t, label_65th_text_becomes_other);
	tcase_add_test(t, label_called_other_is_a_name_like_any);
	tcase_add_test(t, comment_is_kept_as_formatted);
	tcase_add_test(t, fill_to_the_bound_refuses_new_stacks_and_keeps_the_old);
	tcase_add_test(t, fill_with_stacks_alone_leaves_a_quarter_for_rows);
	tcase_add_test(t, fill_to_the_bound_leaves_every_pseudo_stack);
	tcase_add_test(t, fill_with_rows_to_the_bound_loses_no_count);
	tcase_add_test(t, start_under_a_budget_too_small_for_anything_still_counts);
	tcase_add_test(t, hold_as_many_bytes_as_the_arrays_have);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(profile_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

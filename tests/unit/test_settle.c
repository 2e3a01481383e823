/* SPDX-License-Identifier: Apache-2.0
 *
 * test_settle.c - the rows add up to the kernel's figure, each within 1 of its share.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/profile.h"

#define PERIOD	10000000
#define ROWS	64
#define CASES	4000

static struct sn_profile profile;
static struct sn_module module_a = { .start = 0x1000, .limit = 0x2000 };

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
stack_of(uint64_t leaf, uint64_t caller)
{
	uint32_t ids[2] = {
		sn_profile_frame(&profile, leaf, &module_a, SN_PSEUDO_NONE),
		sn_profile_frame(&profile, caller, &module_a, SN_PSEUDO_NONE),
	};

	return sn_profile_stack(&profile, ids, 2);
}

static uint32_t
new_group(uint64_t start_fn, int64_t residual_ns)
{
	uint32_t g = sn_profile_group(&profile, start_fn, false);

	profile.groups[g].residual_ns = residual_ns;
	return g;
}

static void
add(uint64_t leaf, uint32_t group, uint64_t count)
{
	ck_assert_int_eq(sn_profile_add(&profile, stack_of(leaf, 0x1000), SN_NO_LABEL, 0, group, count), 0);
}

static const struct sn_frame *
frame_of(const struct sn_row *row, uint32_t at)
{
	return &profile.frames[profile.frame_ids[profile.stacks[row->stack].first + at]];
}

/* The row of the group (or of none: UINT32_MAX) whose leaf is the pseudo frame. */
static const struct sn_row *
unseen(uint32_t group, enum sn_pseudo pseudo)
{
	for (uint32_t i = 0; i < profile.row_count; i++)
		if (profile.rows[i].group == group && frame_of(&profile.rows[i], 0)->pseudo == pseudo)
			return &profile.rows[i];
	return NULL;
}

static uint64_t
count_of(const struct sn_row *row)
{
	return row != NULL ? row->count : 0;
}

START_TEST(settle_without_residual_changes_nothing)
{
	add(1, new_group(0x1000, 0), 7);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(profile.row_count, 1);
	ck_assert_uint_eq(profile.rows[0].count, 7);
}
END_TEST

START_TEST(settle_residual_appears_under_the_start_function)
{
	uint32_t g = new_group(0x1000, 3 * PERIOD);
	const struct sn_row *row;

	profile.groups[g].root_stack = stack_of(0x1010, 0x1020);
	add(1, g, 5);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	row = unseen(g, SN_PSEUDO_NOT_SAMPLED);
	ck_assert_uint_eq(count_of(row), 3);
	ck_assert_uint_eq(profile.stacks[row->stack].count, 3);
	ck_assert_uint_eq(frame_of(row, 1)->addr, 0x1010);
	ck_assert_uint_eq(frame_of(row, 2)->addr, 0x1020);
	ck_assert_uint_eq(row->label, SN_NO_LABEL);
	ck_assert_uint_eq(sn_profile_total(&profile), 8);
}
END_TEST

START_TEST(settle_without_root_stack_names_the_start_function_alone)
{
	uint32_t g = new_group(0x1800, PERIOD);
	const struct sn_row *row;

	add(1, g, 1);			/* shows the module that 0x1800 lies in */
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	row = unseen(g, SN_PSEUDO_NOT_SAMPLED);
	ck_assert_uint_eq(count_of(row), 1);
	ck_assert_uint_eq(profile.stacks[row->stack].count, 2);
	ck_assert_uint_eq(frame_of(row, 1)->addr, 0x1800);
	ck_assert_ptr_eq(frame_of(row, 1)->module, &module_a);
}
END_TEST

START_TEST(settle_without_known_start_function_is_the_pseudo_frame_alone)
{
	uint32_t unknown = new_group(0, PERIOD), elsewhere = new_group(0x999999, PERIOD);

	add(1, unknown, 1);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(count_of(unseen(unknown, SN_PSEUDO_NOT_SAMPLED)), 1);
	ck_assert_uint_eq(count_of(unseen(elsewhere, SN_PSEUDO_NOT_SAMPLED)), 1);
	ck_assert_uint_eq(profile.stacks[unseen(unknown, SN_PSEUDO_NOT_SAMPLED)->stack].count, 1);
	ck_assert_uint_eq(profile.stacks[unseen(elsewhere, SN_PSEUDO_NOT_SAMPLED)->stack].count, 1);
}
END_TEST

START_TEST(settle_blocked_part_is_named_apart)
{
	uint32_t g = new_group(0, 10 * PERIOD), all = new_group(1, 2 * PERIOD);

	profile.groups[g].blocked_ns = 4 * PERIOD + PERIOD / 2;
	profile.groups[all].blocked_ns = 9 * PERIOD;
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(count_of(unseen(g, SN_PSEUDO_SIGNAL_BLOCKED)), 4);
	ck_assert_uint_eq(count_of(unseen(g, SN_PSEUDO_NOT_SAMPLED)), 6);
	ck_assert_uint_eq(count_of(unseen(all, SN_PSEUDO_SIGNAL_BLOCKED)), 2);
	ck_assert_ptr_null(unseen(all, SN_PSEUDO_NOT_SAMPLED));
}
END_TEST

START_TEST(settle_part_that_perf_events_did_not_see_is_kernel_time)
{
	uint32_t g = new_group(0, 10 * PERIOD), all = new_group(1, 5 * PERIOD);

	profile.groups[g].kernel_ns = 7 * PERIOD + PERIOD / 2;
	profile.groups[g].blocked_ns = PERIOD;
	profile.groups[all].kernel_ns = 50 * PERIOD;
	profile.groups[all].blocked_ns = 2 * PERIOD;
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(count_of(unseen(g, SN_PSEUDO_KERNEL)), 7);
	ck_assert_uint_eq(count_of(unseen(g, SN_PSEUDO_SIGNAL_BLOCKED)), 1);
	ck_assert_uint_eq(count_of(unseen(g, SN_PSEUDO_NOT_SAMPLED)), 2);
	ck_assert_uint_eq(count_of(unseen(all, SN_PSEUDO_KERNEL)), 3);
	ck_assert_ptr_null(unseen(all, SN_PSEUDO_NOT_SAMPLED));
}
END_TEST

START_TEST(settle_remainders_of_groups_add_up_to_a_period)
{
	(void)new_group(1, PERIOD / 2);
	(void)new_group(2, PERIOD / 4);
	ck_assert_int_eq(sn_profile_settle(&profile, PERIOD / 4), 0);
	ck_assert_uint_eq(profile.row_count, 1);
	ck_assert_uint_eq(count_of(unseen(UINT32_MAX, SN_PSEUDO_NOT_SAMPLED)), 1);
}
END_TEST

START_TEST(settle_less_than_a_period_in_all_adds_nothing)
{
	(void)new_group(1, PERIOD / 2);
	ck_assert_int_eq(sn_profile_settle(&profile, PERIOD / 2 - 1), 0);
	ck_assert_uint_eq(sn_profile_total(&profile), 0);
}
END_TEST

START_TEST(settle_excess_scales_the_rows_of_its_group_only)
{
	uint32_t g = new_group(1, -5 * PERIOD), other = new_group(2, 0);

	add(1, g, 10);
	add(2, g, 5);
	add(3, g, 5);
	add(4, other, 9);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(sn_profile_total(&profile), 15 + 9);
	ck_assert_uint_eq(profile.rows[3].count, 9);
	ck_assert_uint_ge(profile.rows[0].count, 7);
	ck_assert_uint_le(profile.rows[0].count, 8);
}
END_TEST

START_TEST(settle_excess_beyond_a_group_is_taken_from_the_process)
{
	uint32_t g = new_group(1, -8 * PERIOD), other = new_group(2, 0);

	add(1, g, 3);
	add(2, other, 100);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(profile.rows[0].count, 0);
	ck_assert_uint_eq(profile.rows[1].count, 95);
}
END_TEST

START_TEST(settle_negative_process_residual_scales_all_rows)
{
	add(1, new_group(1, 0), 60);
	add(2, new_group(2, 0), 40);
	ck_assert_int_eq(sn_profile_settle(&profile, -10 * PERIOD), 0);
	ck_assert_uint_eq(profile.rows[0].count, 54);
	ck_assert_uint_eq(profile.rows[1].count, 36);
}
END_TEST

START_TEST(settle_more_excess_than_there_is_leaves_nothing_and_no_underflow)
{
	add(1, new_group(1, INT64_MIN), 5);
	ck_assert_int_eq(sn_profile_settle(&profile, INT64_MIN), 0);
	ck_assert_uint_eq(sn_profile_total(&profile), 0);
}
END_TEST

START_TEST(settle_largest_residuals_does_not_overflow)
{
	uint32_t g = new_group(1, INT64_MAX);

	(void)new_group(2, INT64_MAX);
	add(1, g, 1);
	ck_assert_int_eq(sn_profile_settle(&profile, INT64_MAX), 0);
	ck_assert_uint_eq(sn_profile_total(&profile), 1 + ((unsigned __int128)INT64_MAX * 3) / PERIOD);
}
END_TEST

START_TEST(settle_without_period_is_refused)
{
	profile.period_ns = 0;
	ck_assert_int_eq(sn_profile_settle(&profile, 0), -EINVAL);
}
END_TEST

START_TEST(settle_at_the_bound_still_agrees_with_the_clock)
{
	uint32_t g;

	sn_profile_free(&profile);
	sn_profile_init(&profile, PERIOD, 1 << 16);
	g = new_group(1, 0);
	for (uint32_t i = 0; i < 5000; i++)
		ck_assert_int_eq(sn_profile_add(&profile, stack_of(i, i), SN_NO_LABEL, 0, g, 1), 0);
	ck_assert_uint_gt(profile.stacks_dropped, 0);
	profile.groups[g].residual_ns = 77 * (int64_t)PERIOD;
	profile.groups[g].root_stack = 0;
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(count_of(unseen(g, SN_PSEUDO_NOT_SAMPLED)), 77);
	ck_assert_uint_eq(sn_profile_total(&profile), 5077);
	ck_assert_uint_eq(profile.budget_bytes, 1 << 16);
}
END_TEST

/* ---- many random cases ---- */

static uint64_t random_state;

static uint64_t
random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static int64_t
random_residual(uint64_t periods)
{
	return (int64_t)random_below(2 * periods * PERIOD + 1) - (int64_t)(periods * PERIOD);
}

/* A profile of a few groups and rows; the counts as they were, and the kernel's figure in ns. */
static __int128
random_profile(uint64_t *before, uint64_t *total, int64_t process_ns)
{
	uint32_t groups = 1 + (uint32_t)random_below(5), rows = (uint32_t)random_below(ROWS);
	uint64_t scale = 1 + random_below(1000);
	__int128 kernel = process_ns;

	for (uint32_t g = 0; g < groups; g++) {
		(void)new_group(g, random_residual(1 + random_below(200)));
		kernel += profile.groups[g].residual_ns;
	}
	for (uint32_t i = 0; i < rows; i++) {
		before[i] = 1 + random_below(scale);
		add(100 + i, (uint32_t)random_below(groups), before[i]);
		total[profile.rows[i].group] += before[i];
		kernel += (__int128)before[i] * PERIOD;
	}
	return kernel;
}

/* |total * period - kernel| < period, or nothing is left of a figure below zero. */
static void
check_sum(__int128 kernel, int number)
{
	__int128 sum = (__int128)sn_profile_total(&profile) * PERIOD;
	__int128 error = sum - kernel;

	if (kernel < 0)
		ck_assert_msg(sum == 0, "case %d: rows are left", number);
	else
		ck_assert_msg(error > -PERIOD && error < PERIOD, "case %d: off by %lld ns", number, (long long)error);
}

START_TEST(settle_random_profiles_adds_up_to_the_kernel_s_figure)
{
	random_state = 0x1234567;
	for (int i = 0; i < CASES; i++) {
		uint64_t before[ROWS], total[8] = { 0 };
		int64_t process_ns = random_residual(1 + random_below(300));
		__int128 kernel;

		sn_profile_free(&profile);
		setup();
		kernel = random_profile(before, total, process_ns);
		ck_assert_int_eq(sn_profile_settle(&profile, process_ns), 0);
		check_sum(kernel, i);
	}
}
END_TEST

/*
 * Where the process as a whole has nothing to take back, a row is within 1 of its share of what its
 * group may keep.
 */
START_TEST(settle_random_profiles_keeps_every_row_within_one_of_its_share)
{
	random_state = 0x7654321;
	for (int i = 0; i < CASES; i++) {
		uint64_t before[ROWS], total[8] = { 0 };
		int64_t process_ns = INT64_C(100000) * PERIOD;
		uint32_t rows;

		sn_profile_free(&profile);
		setup();
		(void)random_profile(before, total, process_ns);
		rows = profile.row_count;
		ck_assert_int_eq(sn_profile_settle(&profile, process_ns), 0);
		for (uint32_t k = 0; k < rows; k++) {
			const struct sn_row *row = &profile.rows[k];
			uint64_t all = total[row->group];
			int64_t residual = profile.groups[row->group].residual_ns;
			uint64_t taken = residual < 0 ? (uint64_t)-residual / PERIOD : 0;
			double share = taken >= all ? 0 : (double)before[k] * (double)(all - taken) / (double)all;
			double error = (double)row->count - share;

			ck_assert_msg(error > -1.000001 && error < 1.000001, "case %d row %u: %f for %f", i, k,
				(double)row->count, share);
			ck_assert_uint_le(row->count, before[k]);
		}
	}
}
END_TEST

START_TEST(settle_random_negative_process_keeps_every_row_within_one_of_its_share)
{
	random_state = 0xabcdef;
	for (int i = 0; i < CASES; i++) {
		uint64_t before[ROWS], all = 0, taken = random_below(2000);
		uint32_t rows = 1 + (uint32_t)random_below(ROWS - 1), g;

		sn_profile_free(&profile);
		setup();
		g = new_group(1, 0);
		for (uint32_t k = 0; k < rows; k++) {
			before[k] = 1 + random_below(50);
			all += before[k];
			add(100 + k, g, before[k]);
		}
		ck_assert_int_eq(sn_profile_settle(&profile, -(int64_t)(taken * PERIOD)), 0);
		ck_assert_uint_eq(sn_profile_total(&profile), taken > all ? 0 : all - taken);
		for (uint32_t k = 0; k < rows; k++) {
			double share = taken > all ? 0 : (double)before[k] * (double)(all - taken) / (double)all;
			double error = (double)profile.rows[k].count - share;

			ck_assert_msg(error > -1.000001 && error < 1.000001, "case %d row %u", i, k);
		}
	}
}
END_TEST

START_TEST(settle_many_small_rows_thins_them_evenly)
{
	uint32_t g = new_group(1, -500 * (int64_t)PERIOD);
	uint64_t first_half = 0;

	for (uint32_t i = 0; i < 1000; i++)
		add(100 + i, g, 1);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	for (uint32_t i = 0; i < 500; i++)
		first_half += profile.rows[i].count;
	ck_assert_uint_eq(first_half, 250);
	ck_assert_uint_eq(sn_profile_total(&profile), 500);
}
END_TEST

static void
add_filtered(uint32_t group, uint64_t count)
{
	uint32_t frame = sn_profile_frame(&profile, 0, NULL, SN_PSEUDO_FILTERED);

	ck_assert_int_eq(sn_profile_add(&profile, sn_profile_stack(&profile, &frame, 1), SN_NO_LABEL, 0, group,
		count), 0);
}

START_TEST(settle_filtered_samples_are_in_no_row_and_take_their_share_of_the_residual)
{
	uint32_t all = new_group(0x1000, 10 * PERIOD), some = new_group(0x1800, 10 * PERIOD);

	add_filtered(all, 50);
	add(1, some, 30);
	add_filtered(some, 10);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(count_of(unseen(all, SN_PSEUDO_FILTERED)), 0);
	ck_assert_uint_eq(count_of(unseen(some, SN_PSEUDO_FILTERED)), 0);
	ck_assert_uint_eq(count_of(unseen(all, SN_PSEUDO_NOT_SAMPLED)), 0);
	ck_assert_uint_eq(count_of(unseen(some, SN_PSEUDO_NOT_SAMPLED)), 7);	/* 7.5, and what is left is no period */
	ck_assert_uint_eq(sn_profile_total(&profile), 37);
	ck_assert_uint_eq(profile.filtered_ns, 60ull * PERIOD + 10ull * PERIOD + 25 * PERIOD / 10);
}
END_TEST

START_TEST(settle_filtered_samples_scale_with_their_group)
{
	uint32_t g = new_group(0x1000, -10 * PERIOD);

	add(1, g, 50);
	add_filtered(g, 50);
	ck_assert_int_eq(sn_profile_settle(&profile, 0), 0);
	ck_assert_uint_eq(sn_profile_total(&profile), 45);
	ck_assert_uint_eq(profile.filtered_ns, 45ull * PERIOD);
}
END_TEST

static Suite *
settle_suite(void)
{
	Suite *s = suite_create("settle");
	TCase *t = tcase_create("settle");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, settle_without_residual_changes_nothing);
	tcase_add_test(t, settle_residual_appears_under_the_start_function);
	tcase_add_test(t, settle_without_root_stack_names_the_start_function_alone);
	tcase_add_test(t, settle_without_known_start_function_is_the_pseudo_frame_alone);
	tcase_add_test(t, settle_filtered_samples_are_in_no_row_and_take_their_share_of_the_residual);
	tcase_add_test(t, settle_filtered_samples_scale_with_their_group);
	tcase_add_test(t, settle_blocked_part_is_named_apart);
	tcase_add_test(t, settle_part_that_perf_events_did_not_see_is_kernel_time);
	tcase_add_test(t, settle_remainders_of_groups_add_up_to_a_period);
	tcase_add_test(t, settle_less_than_a_period_in_all_adds_nothing);
	tcase_add_test(t, settle_excess_scales_the_rows_of_its_group_only);
	tcase_add_test(t, settle_excess_beyond_a_group_is_taken_from_the_process);
	tcase_add_test(t, settle_negative_process_residual_scales_all_rows);
	tcase_add_test(t, settle_more_excess_than_there_is_leaves_nothing_and_no_underflow);
	tcase_add_test(t, settle_largest_residuals_does_not_overflow);
	tcase_add_test(t, settle_without_period_is_refused);
	tcase_add_test(t, settle_at_the_bound_still_agrees_with_the_clock);
	tcase_add_test(t, settle_random_profiles_adds_up_to_the_kernel_s_figure);
	tcase_add_test(t, settle_random_profiles_keeps_every_row_within_one_of_its_share);
	tcase_add_test(t, settle_random_negative_process_keeps_every_row_within_one_of_its_share);
	tcase_add_test(t, settle_many_small_rows_thins_them_evenly);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(settle_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

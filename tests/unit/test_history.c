/* SPDX-License-Identifier: Apache-2.0
 *
 * test_history.c - rows of the past: what is found, what is let go and in which order, what is said of it.
 */
#include <check.h>
#include <stdlib.h>

#include "collect/history.h"

#define SEC 1000000000ull
#define CHUNK (64u << 10)
#define ROWS_A_CHUNK 2700u		/* somewhat less */

static struct sn_history h;

struct tally {
	uint64_t count, weight, oldest, newest;
};

static void
tear_down(void)
{
	sn_history_free(&h);
	ck_assert_uint_eq(h.held_bytes, 0);
}

static void
add(uint64_t time_ns, uint32_t weight)
{
	sn_history_add(&h, &(struct sn_history_row){ .time_ns = time_ns, .weight = weight });
}

static void
tally(void *ctx, const struct sn_history_row *row)
{
	struct tally *t = ctx;

	if (t->count == 0 || row->time_ns < t->oldest)
		t->oldest = row->time_ns;
	if (row->time_ns > t->newest)
		t->newest = row->time_ns;
	t->count++;
	t->weight += row->weight;
}

static struct tally
span(uint64_t from_ns, uint64_t to_ns)
{
	struct tally t = { 0 };

	sn_history_each(&h, from_ns, to_ns, tally, &t);
	return t;
}

START_TEST(span_has_what_lies_behind_its_start_up_to_its_end)
{
	sn_history_init(&h, 100 * SEC, 1 << 20, 0);
	for (uint64_t i = 1; i <= 10000; i++)
		add(i, 1);
	ck_assert_uint_eq(span(0, 10000).count, 10000);
	ck_assert_uint_eq(span(10, 20).count, 10);
	ck_assert_uint_eq(span(10, 20).oldest, 11);
	ck_assert_uint_eq(span(10, 20).newest, 20);
	ck_assert_uint_eq(span(3000, 9000).count + span(0, 3000).count + span(9000, 20000).count, 10000);
	ck_assert_uint_eq(span(20, 20).count, 0);
	ck_assert_uint_eq(span(10000, UINT64_MAX).count, 0);
}
END_TEST

START_TEST(rows_out_of_order_are_all_found)
{
	sn_history_init(&h, 100 * SEC, 1 << 20, 0);
	for (uint64_t i = 0; i < 9000; i++)
		add(1 + (i * 7919) % 9000, 1);
	ck_assert_uint_eq(span(4000, 5000).count, 1000);
	ck_assert_uint_eq(span(0, 9000).count, 9000);
}
END_TEST

START_TEST(old_rows_go_and_the_start_of_what_is_left_is_true)
{
	sn_history_init(&h, 10 * SEC, 16 << 20, 0);
	for (uint64_t i = 1; i <= 100; i++) {
		for (uint32_t k = 0; k < 1000; k++)
			add(i * SEC + k, 1);
		sn_history_expire(&h, i * SEC + 1000);
	}
	ck_assert_uint_le(h.from_ns, 90 * SEC + 1000);
	ck_assert_uint_ge(h.from_ns, 80 * SEC);		/* whole chunks of some seconds go */
	/* everything behind from_ns is there, nothing before it */
	ck_assert_uint_eq(span(h.from_ns, UINT64_MAX).count, span(0, UINT64_MAX).count);
	ck_assert_uint_eq(span(90 * SEC + 1000, UINT64_MAX).count, 10000);
	ck_assert_uint_eq(h.rows_dropped, 0);
	sn_history_expire(&h, 200 * SEC);
	ck_assert_uint_eq(h.held_bytes, 0);
}
END_TEST

START_TEST(pinned_rows_stay_beyond_their_time)
{
	sn_history_init(&h, 1 * SEC, 16 << 20, 0);
	h.pinned_ns = 5 * SEC;
	for (uint64_t i = 1; i <= 100000; i++)
		add(i * (SEC / 1000), 1);
	sn_history_expire(&h, 100 * SEC);
	ck_assert_uint_eq(span(5 * SEC, UINT64_MAX).count, 95000);
	ck_assert_uint_le(h.from_ns, 5 * SEC);
	h.pinned_ns = 0;
	sn_history_expire(&h, 102 * SEC);
	ck_assert_uint_eq(span(0, UINT64_MAX).count, 0);
}
END_TEST

START_TEST(bound_holds_even_for_pinned_rows_and_is_told)
{
	sn_history_init(&h, 1000 * SEC, 4 * CHUNK, 0);
	h.pinned_ns = 1;
	for (uint64_t i = 1; i <= 10 * ROWS_A_CHUNK; i++) {
		add(i, 1);
		ck_assert_uint_le(h.held_bytes, 4 * CHUNK);
	}
	ck_assert_uint_gt(h.rows_dropped, 5 * ROWS_A_CHUNK);
	ck_assert_uint_eq(h.rows_dropped + span(0, UINT64_MAX).count, 10 * ROWS_A_CHUNK);
	ck_assert_uint_eq(span(h.from_ns, UINT64_MAX).count, span(0, UINT64_MAX).count);
	ck_assert_uint_eq(span(0, UINT64_MAX).oldest, h.from_ns + 1);	/* the oldest went, and no more */
}
END_TEST

START_TEST(bound_below_one_chunk_keeps_nothing_and_says_so)
{
	sn_history_init(&h, 1000 * SEC, CHUNK - 1, 0);
	add(77, 1);
	ck_assert_uint_eq(h.rows_dropped, 1);
	ck_assert_uint_eq(h.from_ns, 77);
	ck_assert_uint_eq(h.held_bytes, 0);
}
END_TEST

START_TEST(keep_nothing_keeps_only_what_a_client_waits_for)
{
	sn_history_init(&h, 0, 1 << 20, 0);
	add(5, 1);
	ck_assert_uint_eq(h.held_bytes, 0);
	ck_assert_uint_eq(h.from_ns, 5);
	ck_assert_uint_eq(h.rows_dropped, 0);
	h.pinned_ns = 6;
	add(7, 1);
	sn_history_expire(&h, 8);
	ck_assert_uint_eq(span(6, 8).count, 1);
	h.pinned_ns = 0;
	sn_history_expire(&h, 9);
	ck_assert_uint_eq(h.held_bytes, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("history");
	TCase *tc = tcase_create("history");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, NULL, tear_down);
	tcase_add_test(tc, span_has_what_lies_behind_its_start_up_to_its_end);
	tcase_add_test(tc, rows_out_of_order_are_all_found);
	tcase_add_test(tc, old_rows_go_and_the_start_of_what_is_left_is_true);
	tcase_add_test(tc, pinned_rows_stay_beyond_their_time);
	tcase_add_test(tc, bound_holds_even_for_pinned_rows_and_is_told);
	tcase_add_test(tc, bound_below_one_chunk_keeps_nothing_and_says_so);
	tcase_add_test(tc, keep_nothing_keeps_only_what_a_client_waits_for);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cut.c - where spans begin and end: when cuts are made and kept, and what lies between two of them.
 */
#include "unit/window_fixture.h"

START_TEST(span_beyond_what_is_kept_is_cut_and_says_where_it_begins)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t before = mark(), b, c;
	struct sn_window w;

	burn(slot, 20 * MS, 2, 0x1111);
	b = mark();
	burn(slot, 30 * MS, 3, 0x2222);
	c = mark();
	p->history.from_ns = b;			/* as if memory had been short */
	w = window(before, c);
	ck_assert(w.is_cut);
	ck_assert_uint_eq(w.from_ns, b);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 3);
	ck_assert_uint_eq(w.profile.cpu_ns, 30 * MS);
	sn_profile_free(&w.profile);
	p->history.from_ns = 0;
	w = window(0, c);			/* not cut: there was no process before */
	ck_assert(!w.is_cut);
	ck_assert_uint_eq(w.from_ns, p->began_mono_ns);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 5);
	sn_profile_free(&w.profile);
	ck_assert_int_eq(sn_process_window(p, &options, c, b, 0, &w), -EINVAL);
}
END_TEST

START_TEST(time_between_two_cuts_is_moved_outwards_and_told)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a = mark(), b;
	struct sn_window w;

	burn(slot, 20 * MS, 2, 0x1111);
	b = mark();
	w = window(a + 1, b - 1);
	ck_assert(w.from_ns == a && w.to_ns == b && !w.is_cut);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 2);
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(idle_process_makes_no_rows_and_one_cut)
{
	uint32_t cuts;
	uint64_t a = mark(), b;
	struct sn_window w;

	cuts = p->cut_count;
	for (int i = 0; i < 100; i++)
		b = mark();
	ck_assert_uint_eq(p->cut_count, cuts);
	ck_assert_uint_eq(p->history.held_bytes, 0);
	w = window(a, b);
	ck_assert(w.from_ns == a && w.to_ns == b);	/* exact, though no cut was made there */
	ck_assert_uint_eq(sn_profile_total(&w.profile), 0);
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(records_with_any_clock_fall_between_their_cuts)
{
	static const uint64_t times[] = { 0, 1, UINT64_MAX, 1ull << 62 };
	uint32_t slot = begin_thread(900001, 0x1000);

	for (size_t i = 0; i < 4; i++) {
		uint64_t a = mark(), b, word;
		struct sn_rec *r = reserve(slot, SN_REC_FRAMES, 8, &word);
		struct sn_window w;

		r->nframes = 1;
		r->weight = 1;
		r->time_ns = times[i];
		memcpy(r + 1, &(uint64_t){ 0x1111 }, 8);
		sn_ring_publish(r, word);
		p->seg.slots[slot].pushed_weight++;
		burn(slot, 10 * MS, 0, 0);
		p->seg.slots[slot].credited_ns += 10 * MS;
		burn(slot, 0, 0, 0);
		b = mark();
		ck_assert_uint_le(b, sn_clock_mono_ns());
		w = window(a, b);
		ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x1111), 1);
		ck_assert_uint_eq(sn_profile_total(&w.profile), 1);
		sn_profile_free(&w.profile);
	}
}
END_TEST

START_TEST(with_nothing_kept_a_client_that_pins_has_its_span)
{
	uint64_t a, b;
	struct sn_window w;
	uint32_t slot;

	tear_down();
	options.keep = 0;
	begin(NOBODY);
	slot = begin_thread(900001, 0x1000);
	burn(slot, 50 * MS, 4, 0x1111);
	sn_process_scan(p, 27);
	a = mark();
	p->history.pinned_ns = a;
	burn(slot, 30 * MS, 2, 0x2222);
	sn_process_scan(p, 27);			/* lets go of what is old */
	b = mark();
	w = window(a, b);
	ck_assert(w.from_ns == a && w.to_ns == b && !w.is_cut);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 3);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x2222), 2);
	sn_profile_free(&w.profile);
	p->history.pinned_ns = 0;
	burn(slot, 30 * MS, 2, 0x2222);
	sn_process_scan(p, 27);
	ck_assert_uint_eq(p->history.held_bytes, 0);
	ck_assert_uint_le(p->cut_count, 1);
}
END_TEST

START_TEST(scans_make_a_cut_now_and_then)
{
	uint32_t slot = begin_thread(900001, 0x1000);

	burn(slot, 50 * MS, 4, 0x1111);
	sn_process_scan(p, 27);
	ck_assert_uint_eq(p->cut_count, 1);
	p->cuts[0].time_ns -= 2000 * MS;	/* as if two seconds had passed */
	p->cuts[0].until_ns -= 2000 * MS;
	sn_process_scan(p, 27);
	ck_assert_uint_eq(p->cut_count, 2);
	ck_assert_uint_eq(p->cuts[1].cpu_ns, 50 * MS);
}
END_TEST

START_TEST(cuts_are_bounded_and_the_pinned_one_stays)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a = 0, b = 0;
	struct sn_window w;

	for (int i = 0; i < 9000; i++) {
		burn(slot, 10 * MS, 0, 0);
		b = mark();
		if (i == 700)
			p->history.pinned_ns = a = b;
		ck_assert_uint_le(p->cut_count, 2048);
	}
	w = window(a, b);
	ck_assert_uint_eq(w.from_ns, a);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 8299);
	sn_profile_free(&w.profile);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cut");
	TCase *tc = tcase_create("cut");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, span_beyond_what_is_kept_is_cut_and_says_where_it_begins);
	tcase_add_test(tc, time_between_two_cuts_is_moved_outwards_and_told);
	tcase_add_test(tc, idle_process_makes_no_rows_and_one_cut);
	tcase_add_test(tc, records_with_any_clock_fall_between_their_cuts);
	tcase_add_test(tc, with_nothing_kept_a_client_that_pins_has_its_span);
	tcase_add_test(tc, scans_make_a_cut_now_and_then);
	tcase_add_test(tc, cuts_are_bounded_and_the_pinned_one_stays);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

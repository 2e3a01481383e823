/* SPDX-License-Identifier: Apache-2.0
 *
 * test_window.c - spans of the past: they add up, they are the kernel's figure, and time without sampling is in none.
 */
#include "unit/window_fixture.h"

START_TEST(span_has_its_samples_and_no_others)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a, b, c;
	struct sn_window w;

	burn(slot, 30 * MS, 3, 0x1111);
	a = mark();
	burn(slot, 50 * MS, 5, 0x2222);
	b = mark();
	burn(slot, 70 * MS, 7, 0x3333);
	c = mark();
	w = window(a, b);
	ck_assert(w.from_ns == a && w.to_ns == b && !w.is_cut);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 5);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x2222), 5);
	ck_assert_uint_eq(w.profile.cpu_ns, 50 * MS);
	ck_assert(has_comment(&w.profile, "samples=1:") && has_comment(&w.profile, "signals=1 "));
	sn_profile_free(&w.profile);
	w = window(a, c);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 12);
	ck_assert_uint_eq(w.profile.cpu_ns, 120 * MS);
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(spans_that_meet_add_up_to_the_whole)
{
	uint32_t one = begin_thread(900001, 0x1000), two = begin_thread(900002, 0x2000);
	uint64_t at[41], parts = 0, kernel = 0;
	struct sn_window w;

	at[0] = mark();
	for (uint32_t i = 1; i <= 40; i++) {
		burn(one, (3 + i % 5) * 10 * MS, 3 + i % 4, 0x1111);
		burn(two, (40 - i) * MS + 12345, i % 3, 0x2222);
		at[i] = mark();
	}
	for (uint32_t i = 1; i <= 40; i++) {
		w = window(at[i - 1], at[i]);
		parts += sn_profile_total(&w.profile);
		kernel += w.profile.cpu_ns;
		/* each is the kernel's figure; what is less than a period may be lacking */
		ck_assert_uint_le(sn_profile_total(&w.profile) * 10 * MS, w.profile.cpu_ns + 10 * MS);
		ck_assert_uint_ge(sn_profile_total(&w.profile) * 10 * MS + 10 * MS, w.profile.cpu_ns);
		sn_profile_free(&w.profile);
	}
	w = window(at[0], at[40]);
	ck_assert_uint_eq(kernel, w.profile.cpu_ns);
	ck_assert_uint_eq(kernel, p->cpu_ns);
	ck_assert_uint_ge(sn_profile_total(&w.profile) + 1, kernel / (10 * MS));
	ck_assert_uint_le(sn_profile_total(&w.profile), kernel / (10 * MS) + 1);
	ck_assert_uint_le(parts, sn_profile_total(&w.profile) + 40);
	ck_assert_uint_ge(parts + 40, sn_profile_total(&w.profile));
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(what_was_not_sampled_stands_under_its_start_function_in_its_span)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a, b, c;
	struct sn_window w;

	a = mark();
	burn(slot, 100 * MS, 2, 0x1111);
	b = mark();
	burn(slot, 20 * MS, 2, 0x1111);
	c = mark();
	p->profile.groups[0].root_stack = sn_profile_stack(&p->profile,
		&(uint32_t){ sn_profile_frame(&p->profile, 0x1004, NULL, SN_PSEUDO_NONE) }, 1);
	w = window(a, b);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NOT_SAMPLED, 0), 8);
	for (uint32_t i = 0; i < w.profile.row_count; i++) {
		const struct sn_stack *s = &w.profile.stacks[w.profile.rows[i].stack];
		const uint32_t *ids = &w.profile.frame_ids[s->first];

		if (w.profile.frames[ids[0]].pseudo == SN_PSEUDO_NOT_SAMPLED) {
			ck_assert_uint_eq(s->count, 2);
			ck_assert_uint_eq(w.profile.frames[ids[1]].addr, 0x1004);
		}
	}
	sn_profile_free(&w.profile);
	w = window(b, c);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NOT_SAMPLED, 0), 0);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 2);
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(credit_beyond_the_clock_scales_only_its_span)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a, b, c;
	struct sn_window w;

	a = mark();
	burn(slot, 100 * MS, 10, 0x1111);
	b = mark();
	burn(slot, 50 * MS, 10, 0x2222);
	c = mark();
	w = window(a, b);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x1111), 10);
	sn_profile_free(&w.profile);
	w = window(b, c);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x2222), 5);
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(thread_without_a_timer_shows_in_each_span_with_what_it_used)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a, b, c, first;
	struct sn_window w;

	p->views[slot].refused = true;
	a = mark();
	burn(slot, 34 * MS, 0, 0);
	b = mark();
	burn(slot, 34 * MS, 0, 0);
	c = mark();
	w = window(a, b);
	first = flat(&w.profile, SN_PSEUDO_UNSAMPLED_THREAD, 0);
	ck_assert_uint_eq(first, 3);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 3);
	sn_profile_free(&w.profile);
	w = window(b, c);
	ck_assert_uint_eq(first + flat(&w.profile, SN_PSEUDO_UNSAMPLED_THREAD, 0), 6);
	sn_profile_free(&w.profile);
	w = window(a, c);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 6);
	sn_profile_free(&w.profile);
	sn_process_close_all(p);
	ck_assert_uint_eq(sn_profile_total(&p->profile), 6);
	ck_assert_uint_eq(p->accounted_ns, 68 * MS);
}
END_TEST

START_TEST(blocked_signal_is_named_in_its_span_only)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a, b, c;
	struct sn_window w;

	a = mark();
	burn(slot, 90 * MS, 0, 0);
	b = mark();
	p->views[slot].blocks_signal = true;
	burn(slot, 110 * MS, 0, 0);
	c = mark();
	w = window(a, b);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NOT_SAMPLED, 0), 9);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_SIGNAL_BLOCKED, 0), 0);
	sn_profile_free(&w.profile);
	w = window(b, c);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_SIGNAL_BLOCKED, 0), 11);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 11);
	sn_profile_free(&w.profile);
	/* In the whole too; and when the signal is let in again, what was blocked stays so. */
	p->views[slot].blocks_signal = false;
	sn_process_close_all(p);
	ck_assert_int_eq(p->profile.groups[0].blocked_ns, 110 * MS);
	ck_assert_int_eq(p->profile.groups[0].residual_ns, 200 * MS);
}
END_TEST

START_TEST(slot_used_again_counts_both_threads_where_they_belong)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t a = mark(), b, c;
	struct sn_window w;

	burn(slot, 20 * MS, 2, 0x1111);
	p->cpu_ns += 30 * MS;
	end_thread(slot, 50 * MS);
	b = mark();
	ck_assert_uint_eq(begin_thread(900002, 0x2000), slot);
	burn(slot, 20 * MS, 2, 0x2222);
	p->cpu_ns += 10 * MS;
	end_thread(slot, 30 * MS);
	c = mark();
	w = window(a, b);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 5);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x1111), 2);
	sn_profile_free(&w.profile);
	w = window(b, c);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 3);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x2222), 2);
	sn_profile_free(&w.profile);
	ck_assert_uint_eq(p->accounted_ns, 80 * MS);
}
END_TEST

START_TEST(what_is_credited_and_not_yet_a_sample_is_not_forgotten)
{
	uint64_t a = mark();
	struct sn_window w;

	for (int32_t i = 0; i < 8; i++) {
		uint32_t slot = begin_thread(900001 + i, 0x1000);

		p->seg.slots[slot].credited_ns = 8 * MS;
		burn(slot, 8 * MS, 0, 0);
	}
	w = window(a, mark());
	ck_assert_uint_eq(w.profile.cpu_ns, 64 * MS);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 6);
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(time_without_sampling_is_in_no_profile)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	uint64_t start = mark(), end;
	struct sn_window w;

	burn(slot, 50 * MS, 5, 0x1111);
	sn_process_set_sampling(p, &options, false);
	ck_assert(!sn_process_is_sampling(p));		/* the program has not obeyed yet */
	burn(slot, 700 * MS, 3, 0x6666);		/* late samples: nobody wants them any more */
	(void)mark();
	sn_process_set_sampling(p, &options, true);
	ck_assert(sn_process_is_sampling(p));
	burn(slot, 70 * MS, 6, 0x2222);
	end = mark();
	w = window(start, end);
	ck_assert_uint_eq(w.profile.cpu_ns, 120 * MS);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 12);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NONE, 0x6666), 0);
	ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NOT_SAMPLED, 0), 1);	/* 70 ms less six samples */
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(so_far_is_what_the_file_would_hold_and_changes_nothing)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	struct sn_window w;

	burn(slot, 100 * MS, 7, 0x1111);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(sn_process_so_far(p, &options, 0, &w), 0);
		ck_assert_uint_eq(sn_profile_total(&w.profile), 10);
		ck_assert_uint_eq(flat(&w.profile, SN_PSEUDO_NOT_SAMPLED, 0), 3);
		ck_assert_uint_eq(w.profile.cpu_ns, 100 * MS);
		sn_profile_free(&w.profile);
	}
	ck_assert_uint_eq(sn_profile_total(&p->profile), 7);
	ck_assert_int_eq(sn_process_finish(p, &options, 0), 0);
	ck_assert_uint_eq(sn_profile_total(&p->profile), 10);
	ck_assert_int_eq(sn_process_so_far(p, &options, 0, &w), 0);
	ck_assert_uint_eq(sn_profile_total(&w.profile), 10);
	ck_assert_uint_eq(w.profile.comment_count, p->profile.comment_count);
	sn_profile_free(&w.profile);
	w = window(p->began_mono_ns, p->ended_mono_ns);		/* of an ended process too */
	ck_assert_uint_eq(sn_profile_total(&w.profile), 10);
	sn_profile_free(&w.profile);
}
END_TEST

START_TEST(real_clocks_of_a_real_thread_are_the_sum_of_its_span)
{
	struct sn_options idle = options;
	volatile uint64_t x = 0;
	struct sn_window w;
	uint64_t a, b, cpu;
	uint32_t slot;

	tear_down();
	idle.mode = SN_MODE_IDLE;
	options = idle;
	begin(getpid());
	p->seg.shared->pid_inside = (uint64_t)getpid();
	slot = begin_thread((int32_t)syscall(SYS_gettid), 0x1000);
	SN_STORE_RELEASE(&p->seg.slots[slot].state, SN_SLOT_IDLE);
	while (sn_clock_ns(CLOCK_THREAD_CPUTIME_ID) < 300 * MS)
		x++;
	sn_process_set_sampling(p, &options, true);
	a = mark();
	cpu = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (sn_clock_ns(CLOCK_THREAD_CPUTIME_ID) < cpu + 200 * MS)
		x++;
	b = mark();
	cpu = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	w = window(a, b);
	ck_assert_uint_ge(w.profile.cpu_ns, 200 * MS);
	ck_assert_uint_ge(sn_profile_total(&w.profile), 19);
	ck_assert_uint_le(sn_profile_total(&w.profile) * 10 * MS, w.profile.cpu_ns + 10 * MS);
	/* under its group, not beside it */
	ck_assert_uint_ge(w.profile.groups[0].residual_ns, (int64_t)(190 * MS));
	sn_profile_free(&w.profile);
	w = window(p->began_mono_ns, b);
	ck_assert_uint_le(w.profile.cpu_ns, cpu + 100 * MS);	/* what was before is not in it */
	ck_assert_int_le(w.profile.groups[0].residual_ns, (int64_t)(cpu + 100 * MS));
	sn_profile_free(&w.profile);
	ck_assert_int_eq(sn_process_so_far(p, &options, 0, &w), 0);
	ck_assert_uint_le(sn_profile_total(&w.profile) * 10 * MS, w.profile.cpu_ns + 10 * MS);
	sn_profile_free(&w.profile);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("window");
	TCase *tc = tcase_create("window");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, span_has_its_samples_and_no_others);
	tcase_add_test(tc, spans_that_meet_add_up_to_the_whole);
	tcase_add_test(tc, what_was_not_sampled_stands_under_its_start_function_in_its_span);
	tcase_add_test(tc, credit_beyond_the_clock_scales_only_its_span);
	tcase_add_test(tc, thread_without_a_timer_shows_in_each_span_with_what_it_used);
	tcase_add_test(tc, blocked_signal_is_named_in_its_span_only);
	tcase_add_test(tc, slot_used_again_counts_both_threads_where_they_belong);
	tcase_add_test(tc, what_is_credited_and_not_yet_a_sample_is_not_forgotten);
	tcase_add_test(tc, time_without_sampling_is_in_no_profile);
	tcase_add_test(tc, so_far_is_what_the_file_would_hold_and_changes_nothing);
	tcase_add_test(tc, real_clocks_of_a_real_thread_are_the_sum_of_its_span);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

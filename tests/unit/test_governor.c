/* SPDX-License-Identifier: Apache-2.0
 *
 * test_governor.c - which rate keeps the budget, and that a lower one samples each period with the same chance.
 */
#include "unit/window_fixture.h"

#define SEC	SN_NS_PER_SEC
#define TICK	(4 * MS)
#define PERIOD	(10 * MS)
#define ONE_PERCENT 10000
#define HOLD	(10 * SEC)

static const struct sn_tempo asked = { .pace = 0, .period_ns = PERIOD, .tick_ns = TICK };

/* Ten seconds of a program that burns one CPU. */
static struct sn_spent
busy(uint64_t signal_ns, uint64_t sample_ns, uint64_t fixed_ns)
{
	return (struct sn_spent){ .time_ns = 10 * SEC, .cpu_ns = 10 * SEC, .signal_ns = signal_ns,
		.sample_ns = sample_ns, .fixed_ns = fixed_ns };
}

static uint32_t
decide(struct sn_spent span, uint64_t ppm, uint32_t pace)
{
	struct sn_tempo now = asked;

	now.pace = pace;
	return sn_governor_decide(&span, &now, ppm, HOLD);
}

START_TEST(rate_stays_while_the_cost_is_within_the_budget)
{
	ck_assert_uint_eq(decide(busy(4 * MS, 20 * MS, 5 * MS), ONE_PERCENT, 0), 0);
	ck_assert_uint_eq(decide(busy(0, 95 * MS, 5 * MS), ONE_PERCENT, 0), 0);
}
END_TEST

START_TEST(rate_falls_just_so_far_that_the_cost_fits)
{
	ck_assert_uint_eq(decide(busy(0, 96 * MS, 5 * MS), ONE_PERCENT, 0), 1);
	ck_assert_uint_eq(decide(busy(0, 191 * MS, 0), ONE_PERCENT, 0), 1);
	ck_assert_uint_eq(decide(busy(0, 390 * MS, 0), ONE_PERCENT, 0), 2);
	ck_assert_uint_eq(decide(busy(0, 390 * MS, 0), ONE_PERCENT, 1), 3);
	ck_assert_uint_eq(decide(busy(0, 90 * SEC, 0), ONE_PERCENT, 0), SN_PACES - 1);
	ck_assert_uint_eq(decide(busy(0, 90 * SEC, 0), ONE_PERCENT, SN_PACES - 1), SN_PACES - 1);
}
END_TEST

/* Twice the period is five ticks: so many fewer signals.  Where the interval is not ours, as many as before. */
START_TEST(signals_cost_less_as_timers_expire_more_seldom)
{
	struct sn_spent span = busy(400 * MS, 0, 0);
	struct sn_tempo now = asked;

	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), 1);
	now.tick_ns = 0;
	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), SN_PACES - 1);
}
END_TEST

/* 1000 Hz of timers are 250 samples, each of four periods: only from the fourth on there are fewer. */
START_TEST(rates_above_the_tick_fall_from_the_tick_on)
{
	struct sn_spent span = busy(0, 390 * MS, 0);
	struct sn_tempo now = { .period_ns = MS, .tick_ns = TICK };

	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), 4);	/* one of 16 */
	now.tick_ns = 0;			/* perf events */
	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), 2);
}
END_TEST

START_TEST(what_no_rate_can_save_does_not_lower_it)
{
	/* A program that hardly runs: to look at its clocks alone costs twice the budget. */
	struct sn_spent span = { .time_ns = 10 * SEC, .cpu_ns = SEC / 2, .signal_ns = 200000, .sample_ns = MS,
		.fixed_ns = 10 * MS };

	ck_assert_uint_eq(sn_governor_decide(&span, &asked, ONE_PERCENT, HOLD), 0);
	span.sample_ns = 3 * MS;		/* but what goes with it may not be the whole budget again */
	ck_assert_uint_ne(sn_governor_decide(&span, &asked, ONE_PERCENT, HOLD), 0);
}
END_TEST

START_TEST(idle_programs_say_nothing)
{
	struct sn_spent span = { .time_ns = 10 * SEC, .cpu_ns = 0, .sample_ns = 5 * SEC };

	ck_assert_uint_eq(sn_governor_decide(&span, &asked, ONE_PERCENT, HOLD), 0);
	ck_assert_uint_eq(decide(span, ONE_PERCENT, 5), 5);
	memset(&span, 0, sizeof(span));
	ck_assert_uint_eq(sn_governor_decide(&span, &asked, ONE_PERCENT, HOLD), 0);
}
END_TEST

START_TEST(before_ten_seconds_only_a_cost_far_off_counts)
{
	struct sn_spent span = busy(0, 30 * MS, 0);

	span.time_ns = span.cpu_ns = 2 * SEC;		/* 1.5 times the budget */
	ck_assert_uint_eq(sn_governor_decide(&span, &asked, ONE_PERCENT, HOLD), 0);
	span.sample_ns = 50 * MS;			/* 2.5 times */
	ck_assert_uint_eq(sn_governor_decide(&span, &asked, ONE_PERCENT, HOLD), 2);
	span.cpu_ns = SEC - 1;
	ck_assert_uint_eq(sn_governor_decide(&span, &asked, ONE_PERCENT, HOLD), 0);
}
END_TEST

START_TEST(rate_rises_one_step_when_there_is_room_and_time)
{
	struct sn_spent span = busy(0, 34 * MS, 0);
	struct sn_tempo now = asked;

	now.pace = 3;
	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), 2);
	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, 20 * SEC), 3);
	span.sample_ns = 36 * MS;			/* twice as much is more than 0.7 of the budget */
	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), 3);
	span.sample_ns = 0;
	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), 2);
	now.pace = 0;					/* never above the rate that was asked for */
	ck_assert_uint_eq(sn_governor_decide(&span, &now, ONE_PERCENT, HOLD), 0);
}
END_TEST

/* Whatever a sample costs, the rate that is found is kept: it neither falls further nor rises. */
START_TEST(steady_cost_means_a_steady_rate)
{
	for (uint64_t each = 1000; each < 100 * MS; each += each / 7) {
		uint32_t pace = 0, changes = 0;

		for (int round = 0; round < 50; round++) {
			uint32_t k = sn_paces[pace];
			uint32_t ticks = pace == 0 ? 1 : k * 10 / 4 < 8 ? k * 10 / 4 : 8;
			uint32_t next = decide(busy(2500 / ticks * 1550, 1000 * each / k, 5 * MS), ONE_PERCENT, pace);

			changes += next != pace;
			pace = next;
		}
		ck_assert_uint_le(changes, 1);
	}
}
END_TEST

/* A segment may say anything. */
START_TEST(any_figures_give_a_rate)
{
	static const uint64_t odd[] = { 0, 1, SEC, INT64_MAX, UINT64_MAX - 1, UINT64_MAX };
	struct sn_tempo now = asked;

	for (size_t i = 0; i < 6 * 6 * 6 * 6 * 6; i++) {
		struct sn_spent span = { .time_ns = odd[i % 6], .cpu_ns = odd[i / 6 % 6], .signal_ns = odd[i / 36 % 6],
			.sample_ns = odd[i / 216 % 6], .fixed_ns = odd[i / 1296] };

		now.pace = (uint32_t)(i % 11 == 10 ? UINT32_MAX : i % 11);
		ck_assert_uint_lt(sn_governor_decide(&span, &now, odd[i % 5], odd[i / 7 % 6]), SN_PACES);
	}
}
END_TEST

START_TEST(budget_binds_only_who_named_it_or_no_rate)
{
	struct sn_options o;

	sn_options_default(&o);
	ck_assert(sn_governor_is_bound(&o));
	o.named = SN_NAMED(hz);
	ck_assert(!sn_governor_is_bound(&o));
	o.named = SN_NAMED(hz) | SN_NAMED(budget);
	ck_assert(sn_governor_is_bound(&o));
	o.budget = 0;
	ck_assert(!sn_governor_is_bound(&o));
	o.named = 0;
	ck_assert(!sn_governor_is_bound(&o));
}
END_TEST

START_TEST(paces_that_the_program_wrote_over_stay_in_bounds)
{
	ck_assert_uint_eq(sn_pace_every(0), 1);
	ck_assert_uint_eq(sn_pace_ticks(0), 1);
	ck_assert_uint_eq(SN_PACE(1u, 1u), 0);
	for (uint32_t i = 0; i < SN_PACES; i++)
		ck_assert_uint_eq(sn_pace_every(SN_PACE(sn_paces[i], 5u)), sn_paces[i]);
	ck_assert_uint_eq(sn_pace_ticks(SN_PACE(100u, 5u)), 5);
	ck_assert_uint_eq(sn_pace_every(UINT32_MAX), SN_PACE_EVERY_MAX);
	ck_assert_uint_eq(sn_pace_ticks(UINT32_MAX), SN_PACE_TICKS_MAX);
}
END_TEST

/* ---- a process ---- */

/* It has run and been sampled for ten seconds, as far as the governor knows: this cost is of all of them. */
static void
after_ten_seconds(uint64_t cpu_ns, uint64_t own_ns)
{
	uint64_t now = sn_clock_mono_ns();

	p->governor.image_ns = now - 20 * SEC;
	p->governor.spent[0] = (struct sn_spent){ .time_ns = now - 10 * SEC, .cpu_ns = p->cpu_ns };
	p->governor.spent_count = 1;
	p->cpu_ns += cpu_ns;
	sn_process_govern(p, &options, own_ns, own_ns);
}

static uint32_t
pace(void)
{
	return p->seg.wishes->pace;
}

START_TEST(change_of_rate_is_told_to_the_program_and_begins_a_span)
{
	uint32_t cuts = p->cut_count;
	struct sn_window w;

	after_ten_seconds(10 * SEC, 50 * MS);
	ck_assert_uint_eq(pace(), 0);
	after_ten_seconds(10 * SEC, 390 * MS);
	ck_assert_uint_eq(pace(), SN_PACE(4u, 10 * 4 / 4 < 8 ? 10u : 8u));
	ck_assert_uint_eq(p->count.rate_changes, 1);
	ck_assert_uint_gt(p->cut_count, cuts);
	ck_assert_int_eq(sn_process_window(p, &options, p->governor.since_ns, UINT64_MAX, 0, &w), 0);
	sn_profile_free(&w.profile);
	/* A new program in the process, which begins at the rate in force. */
	ck_assert_int_eq(sn_process_begin_image(p, &options, 8, NULL), 0);
	ck_assert_uint_eq(sn_pace_every(pace()), 4);
}
END_TEST

START_TEST(what_a_program_costs_at_its_beginning_does_not_count)
{
	after_ten_seconds(10 * SEC, 390 * MS);
	ck_assert_uint_gt(p->governor.pace, 0);
	p->governor.pace = 0;
	ck_assert_int_eq(sn_process_begin_image(p, &options, 8, NULL), 0);
	sn_process_govern(p, &options, 900 * MS, 900 * MS);
	ck_assert_uint_eq(p->governor.spent_count, 0);
	after_ten_seconds(10 * SEC, 390 * MS);
	ck_assert_uint_gt(p->governor.pace, 0);
}
END_TEST

START_TEST(no_budget_no_change)
{
	options.budget = 0;
	after_ten_seconds(10 * SEC, 5 * SEC);
	ck_assert_uint_eq(pace(), 0);
	options.budget = ONE_PERCENT;
	options.named = SN_NAMED(hz);
	after_ten_seconds(10 * SEC, 5 * SEC);
	ck_assert_uint_eq(pace(), 0);
	options.named = 0;
	p->sampling = false;
	after_ten_seconds(10 * SEC, 5 * SEC);
	ck_assert_uint_eq(pace(), 0);
	p->sampling = true;
	after_ten_seconds(10 * SEC, 5 * SEC);
	ck_assert_uint_ne(pace(), 0);
}
END_TEST

START_TEST(higher_rate_that_did_not_last_is_tried_more_seldom)
{
	after_ten_seconds(10 * SEC, 150 * MS);
	ck_assert_uint_eq(p->governor.pace, 1);
	for (uint64_t hold = 10 * SEC; hold < 600 * SEC; hold = hold < 300 * SEC ? 2 * hold : 600 * SEC) {
		ck_assert_uint_eq(p->governor.hold_ns, hold);
		p->governor.hold_ns = 0;		/* … is over */
		after_ten_seconds(10 * SEC, 0);
		ck_assert_uint_eq(p->governor.pace, 0);
		p->governor.hold_ns = hold;
		after_ten_seconds(10 * SEC, 150 * MS);
		ck_assert_uint_eq(p->governor.pace, 1);
	}
	p->governor.raised_ns -= 61 * SEC;
	p->governor.pace = 0;
	after_ten_seconds(10 * SEC, 150 * MS);
	ck_assert_uint_eq(p->governor.hold_ns, 10 * SEC);
}
END_TEST

/* What a torn segment says of handlers and signals is at most all that the program used, and takes no span apart. */
START_TEST(figures_of_a_torn_segment_do_no_harm)
{
	static const uint64_t odd[] = { 0, UINT64_MAX, 1, INT64_MAX, 0, UINT64_MAX / 2 };
	uint32_t slot = begin_thread(900001, 0x1000);
	struct sn_window w;

	for (int i = 0; i < 6; i++) {
		p->seg.slots[slot].handler_ns = odd[i];
		p->seg.slots[slot].signals = odd[5 - i];
		p->seg.wishes->pace = (uint32_t)odd[i];
		p->seg.slots[slot].more_ticks = (uint32_t)odd[i];
		after_ten_seconds(10 * SEC, 50 * MS);
		ck_assert_uint_lt(p->governor.pace, SN_PACES);
		ck_assert_uint_eq(sn_pace_every(pace()), sn_paces[p->governor.pace]);
		ck_assert_int_eq(sn_process_so_far(p, &options, 0, &w), 0);
		sn_profile_free(&w.profile);
	}
}
END_TEST

/* A sample of 16 periods where 10 are credited, or none yet. */
START_TEST(profile_adds_up_though_weights_are_ahead_or_behind)
{
	uint32_t slot = begin_thread(900001, 0x1000);
	struct sn_window w;

	p->count.rate_changes = 1;
	burn(slot, 100 * MS, 10, 0x1111);
	p->seg.slots[slot].credited_ns -= 60 * MS;	/* a fixture's sample is credited whole */
	for (uint64_t ms = 100; ms <= 300; ms += 100) {
		p->seg.slots[slot].credited_ns += ms == 100 ? 0 : 130 * MS;
		burn(slot, ms == 100 ? 0 : 100 * MS, 0, 0);
		ck_assert_int_eq(sn_process_so_far(p, &options, 0, &w), 0);
		ck_assert_uint_eq(sn_profile_total(&w.profile), ms / 10);
		sn_profile_free(&w.profile);
	}
	ck_assert_int_eq(sn_process_finish(p, &options, 0), 0);
	ck_assert_uint_eq(sn_profile_total(&p->profile), 30);
}
END_TEST

/* ---- the program's side: weights ---- */

static int
admit_nobody(void *arg)
{
	(void)arg;
	return 0;			/* the weight is counted, and no stack is walked */
}

static struct sn_segment_shared shared;

/* The weight that a tick gives to the stack at hand. */
static uint64_t
tick(struct sn_live_state *live, struct sn_slot *slot, uint32_t pace)
{
	static const ucontext_t uc;
	uint64_t before = slot->filtered_weight;

	live->segment.wishes->pace = pace;
	sn_cpu_tick(live, 0, 0, &uc);
	return slot->filtered_weight - before;
}

/*
 * All random beginnings of a slot there are, each once: at each tick of a sequence of paces their weights add up to
 * just the time that they were credited, so none of the ticks, before or after a change, is favoured.
 */
START_TEST(every_tick_has_its_weight_at_any_pace_and_across_changes)
{
	static const uint32_t paces[] = { 1, 1, 8, 8, 8, 2, 4, 1, 8, 1, 1, 4, 4, 4, 2, 2, 8, 1 };
	enum { BEGINNINGS = 5, PHASES = 8, TICKS = 200 };
	struct sn_slot slots[BEGINNINGS * PHASES] = { 0 };
	struct sn_segment_wishes wishes = { 0 };
	struct sn_live_state live = { .options = { .tick_ns = TICK, .period_ns = PERIOD } };

	sn_filter_set(admit_nobody, NULL);
	live.segment.nslots = 1;
	live.segment.wishes = &wishes;
	live.segment.shared = &shared;
	for (uint32_t i = 0; i < BEGINNINGS * PHASES; i++)
		slots[i] = (struct sn_slot){ .state = SN_SLOT_ARMED, .timer_id = -1, .acc_ns = i % BEGINNINGS * 2 * MS,
			.periods = i / BEGINNINGS };
	for (uint32_t t = 0; t < TICKS; t++) {
		uint32_t every = paces[t / 3 % (sizeof(paces) / sizeof(paces[0]))];
		uint64_t weight = 0;

		for (uint32_t i = 0; i < BEGINNINGS * PHASES; i++) {
			live.segment.slots = &slots[i];
			weight += tick(&live, &slots[i], SN_PACE(every, 1u));
		}
		ck_assert_uint_eq(weight * PERIOD, BEGINNINGS * PHASES * TICK);
	}
	sn_filter_set(NULL, NULL);
}
END_TEST

/* Seen from one slot: of k periods one is taken, at weight k. */
START_TEST(sum_of_weights_stays_by_the_time_credited)
{
	struct sn_segment_wishes wishes = { 0 };
	struct sn_slot slot = { .state = SN_SLOT_ARMED, .timer_id = -1, .acc_ns = 3 * MS, .periods = 41 };
	struct sn_live_state live = { .options = { .tick_ns = TICK, .period_ns = PERIOD } };

	sn_filter_set(admit_nobody, NULL);
	live.segment.slots = &slot;
	live.segment.nslots = 1;
	live.segment.wishes = &wishes;
	live.segment.shared = &shared;
	for (uint32_t t = 0; t < 10000; t++) {
		uint64_t weight = tick(&live, &slot, SN_PACE(100u, 1u));

		ck_assert(weight == 0 || weight == 100);
	}
	ck_assert_uint_eq(slot.credited_ns, 10000 * TICK);
	ck_assert_uint_ge(slot.filtered_weight * PERIOD + 100 * PERIOD, slot.credited_ns);
	ck_assert_uint_le(slot.filtered_weight * PERIOD, slot.credited_ns + 100 * PERIOD);
	sn_filter_set(NULL, NULL);
}
END_TEST

/* A timer of so many ticks: an expiry in time is credited whole, late ones up to the usual limit beyond it. */
START_TEST(expiry_credits_the_interval_of_its_timer)
{
	struct sn_segment_wishes wishes = { .pace = SN_PACE(8u, 8u) };
	struct sn_slot slot = { .state = SN_SLOT_ARMED, .timer_id = -1, .more_ticks = 7 };
	struct sn_live_state live = { .options = { .tick_ns = TICK, .period_ns = 1000 * SEC } };
	static const uint8_t code[8] __attribute__((aligned(64)));
	ucontext_t uc = { 0 };

#if defined(__x86_64__)
	uc.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(code + 4);
#else
	uc.uc_mcontext.pc = (uintptr_t)(code + 4);
#endif
	live.segment.slots = &slot;
	live.segment.nslots = 1;
	live.segment.wishes = &wishes;
	live.segment.shared = &shared;
	sn_cpu_tick(&live, 0, 0, &uc);
	ck_assert_uint_eq(slot.credited_ns, 8 * TICK);
	sn_cpu_tick(&live, 0, 5, &uc);
	ck_assert_uint_eq(slot.credited_ns, (8 + 15) * TICK);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("governor");
	TCase *tc = tcase_create("governor");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, rate_stays_while_the_cost_is_within_the_budget);
	tcase_add_test(tc, rate_falls_just_so_far_that_the_cost_fits);
	tcase_add_test(tc, signals_cost_less_as_timers_expire_more_seldom);
	tcase_add_test(tc, rates_above_the_tick_fall_from_the_tick_on);
	tcase_add_test(tc, what_no_rate_can_save_does_not_lower_it);
	tcase_add_test(tc, idle_programs_say_nothing);
	tcase_add_test(tc, before_ten_seconds_only_a_cost_far_off_counts);
	tcase_add_test(tc, rate_rises_one_step_when_there_is_room_and_time);
	tcase_add_test(tc, steady_cost_means_a_steady_rate);
	tcase_add_test(tc, any_figures_give_a_rate);
	tcase_add_test(tc, budget_binds_only_who_named_it_or_no_rate);
	tcase_add_test(tc, paces_that_the_program_wrote_over_stay_in_bounds);
	tcase_add_test(tc, every_tick_has_its_weight_at_any_pace_and_across_changes);
	tcase_add_test(tc, sum_of_weights_stays_by_the_time_credited);
	tcase_add_test(tc, expiry_credits_the_interval_of_its_timer);
	suite_add_tcase(suite, tc);
	tc = tcase_create("process");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, change_of_rate_is_told_to_the_program_and_begins_a_span);
	tcase_add_test(tc, what_a_program_costs_at_its_beginning_does_not_count);
	tcase_add_test(tc, no_budget_no_change);
	tcase_add_test(tc, higher_rate_that_did_not_last_is_tried_more_seldom);
	tcase_add_test(tc, figures_of_a_torn_segment_do_no_harm);
	tcase_add_test(tc, profile_adds_up_though_weights_are_ahead_or_behind);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

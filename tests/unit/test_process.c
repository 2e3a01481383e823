/* SPDX-License-Identifier: Apache-2.0
 *
 * test_process.c - the bookkeeping of threads: whatever becomes of their slots, each nanosecond is counted once.
 * The segment is made here; the process id is our own, so that /proc has something to say.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"
#include "hot/hot.h"

#define MS 1000000ull

static struct sn_images images;
static struct sn_process *p;
static struct sn_options options;

static void
set_up(void)
{
	sn_options_default(&options);
	images = (struct sn_images){ 0 };
	p = sn_process_new(getpid(), &options, &images);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(sn_process_begin_image(p, &options, 8, NULL), 0);
	sn_segment_fill_free_list(&p->seg);
}

static void
tear_down(void)
{
	sn_process_free(p);
}

/* A thread that no kernel knows takes a slot. */
static uint32_t
begin_thread(int32_t tid, uint64_t start_fn, uint64_t credited_ns)
{
	uint32_t slot = sn_slot_claim(&p->seg);
	struct sn_slot *sl = &p->seg.slots[slot];

	ck_assert_uint_ne(slot, SN_NO_SLOT);
	sl->tid = tid;
	sl->start_fn = start_fn;
	sl->credited_ns = credited_ns;
	SN_STORE_RELEASE(&sl->state, SN_SLOT_ARMED);
	return slot;
}

/* … and ends as sn_thread_detach lets it, with this CPU clock. */
static void
end_thread(uint32_t slot, uint64_t cpu_ns)
{
	const struct sn_slot *sl = &p->seg.slots[slot];
	uint64_t word;
	struct sn_rec *r = sn_ring_reserve(&p->seg, slot, sizeof(*r) + sizeof(struct sn_rec_exit), &word);
	struct sn_rec_exit last = { .cpu_ns = cpu_ns, .credited_ns = sl->credited_ns, .comm = "made-up" };

	ck_assert_ptr_nonnull(r);
	*r = (struct sn_rec){
		.word = word | SN_REC_BUSY, .kind = SN_REC_EXIT, .tid = sl->tid, .start_fn = sl->start_fn,
	};
	memcpy(r + 1, &last, sizeof(last));
	sn_ring_publish(r, word);
	sn_slot_release(&p->seg, slot);
}

static void
drain(void)
{
	uint32_t fullest = 0;

	while (sn_process_drain(p, UINT32_MAX, &fullest) > 0)
		;
}

static int64_t
residual_of(uint64_t start_fn)
{
	return p->profile.groups[sn_profile_group(&p->profile, start_fn, false)].residual_ns;
}

START_TEST(ended_thread_leaves_clock_less_credit_with_its_start_function)
{
	uint32_t slot = begin_thread(900001, 0x1000, 12 * MS);

	end_thread(slot, 15 * MS);
	drain();
	ck_assert_int_eq(residual_of(0x1000), 3 * MS);
	ck_assert_uint_eq(p->accounted_ns, 15 * MS);
}
END_TEST

START_TEST(many_threads_through_one_slot_are_each_counted_once)
{
	for (int32_t i = 0; i < 1000; i++) {
		end_thread(begin_thread(900000 + i, 0x1000 + (uint64_t)(i % 3), 4 * MS), MS / 2);
		if (i % 7 == 0)
			drain();
		if (i % 50 == 0)
			sn_process_scan(p, 27);
	}
	drain();
	sn_process_close_all(p);
	ck_assert_uint_eq(p->accounted_ns, 1000 * MS / 2);
	ck_assert_int_eq(residual_of(0x1000) + residual_of(0x1001) + residual_of(0x1002), -3500 * (int64_t)MS);
}
END_TEST

START_TEST(slot_taken_again_before_the_last_word_was_read_is_not_counted_twice)
{
	uint32_t slot = begin_thread(900001, 0x1000, 8 * MS);

	(void)sn_process_view(p, slot);
	end_thread(slot, 10 * MS);
	ck_assert_uint_eq(begin_thread(900002, 0x2000, 4 * MS), slot);
	p->slots_used = 1;
	sn_process_scan(p, 27);			/* sees the second thread while the first one's last word waits */
	drain();
	end_thread(slot, 5 * MS);
	drain();
	sn_process_close_all(p);
	ck_assert_uint_eq(p->accounted_ns, 15 * MS);
	ck_assert_int_eq(residual_of(0x1000), 2 * MS);
	ck_assert_int_eq(residual_of(0x2000), 1 * MS);
}
END_TEST

START_TEST(thread_killed_without_a_word_keeps_its_last_figures)
{
	uint32_t slot = begin_thread(900001, 0x1000, 8 * MS);
	struct sn_thread_view *v;

	drain();				/* learns that the slot is used */
	v = sn_process_view(p, slot);
	v->cpu_ns = 9 * MS;			/* as a scan would have read it */
	v->credited_ns = 8 * MS;
	p->seg.slots[slot].credited_ns = 20 * MS;
	sn_process_close_all(p);
	/* 12 ms were credited since the scan: the best guess of what it used since */
	ck_assert_uint_eq(p->accounted_ns, 21 * MS);
	ck_assert_int_eq(residual_of(0x1000), 1 * MS);
}
END_TEST

START_TEST(refused_thread_shows_as_unsampled_not_as_residual)
{
	uint32_t slot = begin_thread(900001, 0x1000, 0);

	SN_STORE_RELEASE(&p->seg.slots[slot].state, SN_SLOT_UNARMED);
	drain();
	sn_process_view(p, slot)->cpu_ns = 55 * MS;
	sn_process_close_all(p);
	ck_assert_int_eq(residual_of(0x1000), 5 * MS);
	ck_assert_uint_eq(sn_profile_total(&p->profile), 5);	/* whole periods of 10 ms; the rest is settled later */
	ck_assert_uint_eq(p->accounted_ns, 55 * MS);
}
END_TEST

START_TEST(refused_threads_of_less_than_a_period_each_show_together)
{
	for (int32_t i = 0; i < 10; i++) {
		struct sn_thread_view v = { .tid = 900001 + i, .start_fn = 0x1000, .refused = true };

		sn_process_account(p, &v, 3 * MS, 0);
		sn_process_close_thread(p, &v, 8 * MS, 0);
	}
	ck_assert_uint_eq(sn_profile_total(&p->profile), 8);
	ck_assert_int_eq(residual_of(0x1000), 0);
	ck_assert_uint_eq(p->accounted_ns, 80 * MS);
}
END_TEST

START_TEST(lost_samples_keep_their_weight)
{
	uint32_t slot = begin_thread(900001, 0x1000, 0);

	p->seg.slots[slot].lost_weight = 7;
	p->seg.slots[slot].lost_records = 3;
	sn_ring_note(&p->seg, slot);
	drain();
	drain();
	ck_assert_uint_eq(sn_profile_total(&p->profile), 7);
	ck_assert_uint_eq(p->count.lost, 3);
}
END_TEST

START_TEST(hostile_clocks_are_left_out_of_the_sums)
{
	end_thread(begin_thread(900001, 0x1000, UINT64_MAX - 5), 10 * MS);
	end_thread(begin_thread(900002, 0x1000, 1), UINT64_MAX);
	drain();
	ck_assert_int_eq(residual_of(0x1000), 0);
	ck_assert_uint_eq(p->accounted_ns, 0);
}
END_TEST

START_TEST(torn_slots_and_rings_never_crash_the_collector)
{
	uint32_t seed = 4711;

	for (int round = 0; round < 300; round++) {
		uint8_t *bytes = (uint8_t *)p->seg.slots;
		uint32_t fullest = 0;

		for (int i = 0; i < 64; i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[(seed >> 8) % (p->seg.nslots * sizeof(struct sn_slot))] = (uint8_t)seed;
			seed = seed * 1664525 + 1013904223;
			p->seg.ring_chunk[0][(seed >> 4) % 65536] = (uint8_t)seed;
		}
		(void)sn_process_drain(p, 1000, &fullest);
		sn_process_scan(p, 27);
		if (round % 20 == 0) {
			struct sn_window w;

			sn_process_set_sampling(p, &options, round % 40 != 0);
			ck_assert_int_eq(sn_process_window(p, &options, 0, sn_process_mark(p, &options), 0, &w), 0);
			sn_profile_free(&w.profile);
		}
	}
	ck_assert_int_eq(sn_process_finish(p, &options, 0), 0);
}
END_TEST

START_TEST(second_image_of_a_process_does_not_count_the_clock_of_the_first)
{
	struct sn_slot *sl;
	uint32_t slot;

	slot = begin_thread(900001, 0x1000, 8 * MS);
	p->seg.slots[slot].is_main = 1;
	drain();
	sn_process_view(p, slot)->cpu_ns = 9 * MS;
	p->views[slot].credited_ns = 8 * MS;
	ck_assert_int_eq(sn_process_begin_image(p, &options, 8, NULL), 0);	/* exec */
	ck_assert_uint_eq(p->accounted_ns, 9 * MS);
	sn_segment_fill_free_list(&p->seg);
	slot = begin_thread(900001, 0x5000, 4 * MS);
	sl = &p->seg.slots[slot];
	sl->is_main = 1;
	sl->cpu_at_arming_ns = 9 * MS;		/* the clock goes on through exec */
	drain();
	sn_process_view(p, slot)->cpu_ns = 14 * MS;
	p->views[slot].credited_ns = 4 * MS;
	sn_process_close_all(p);
	ck_assert_uint_eq(p->accounted_ns, 14 * MS);
}
END_TEST

/* Inside: the segment is the program's own, and its rings are mapped as they are needed. */
#define INSIDE_SLOTS 32u
static struct sn_segment own;
static struct sn_host host;

static void
begin_inside(void)
{
	struct sn_segment_options so = { .period_ns = 10 * MS, .tick_ns = 4 * MS, .hz = 100, .way = SN_WAY_COPY };
	uint64_t bytes = sn_segment_size(INSIDE_SLOTS, SN_RING_COPY);
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(base, MAP_FAILED);
	sn_segment_format(base, INSIDE_SLOTS, SN_RING_COPY, 77, &so);
	ck_assert_int_eq(sn_segment_open(&own, base, bytes), 0);
	own.ring_chunk[1] = NULL;		/* not needed yet */
	own.shared->pid_inside = (uint64_t)getpid();
	sn_segment_fill_free_list(&own);
	host = (struct sn_host){ .segment = &own };
	sn_process_free(p);
	p = sn_process_new(getpid(), &options, &images);
	ck_assert_int_eq(sn_process_adopt(p, &options, &host), 0);
	ck_assert_int_eq(p->memfd, -1);
}

static void
push_copies(uint32_t slot, int count)
{
	for (int i = 0; i < count; i++) {
		uint32_t more = sizeof(struct sn_regs) + 15000;
		uint64_t word;
		struct sn_rec *r = sn_ring_reserve(&own, slot, (uint32_t)sizeof(*r) + more, &word);

		ck_assert_ptr_nonnull(r);
		*r = (struct sn_rec){
			.word = word | SN_REC_BUSY, .kind = SN_REC_STACK, .weight = 1, .stack_bytes = 15000,
			.tid = own.slots[slot].tid, .time_ns = 1,
		};
		memset(r + 1, 0x55, more);
		sn_ring_publish(r, word);
		own.slots[slot].pushed_weight++;
	}
}

static size_t
resident(const struct sn_segment *s, uint32_t slot)
{
	static unsigned char in[SN_RING_COPY / SN_PAGE];
	size_t n = 0;

	ck_assert_int_eq(mincore(sn_segment_ring(s, slot), SN_RING_COPY, in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		n += in[i] & 1;
	return n * SN_PAGE;
}

START_TEST(ring_inside_gives_its_pages_back)
{
	uint32_t slot;

	begin_inside();
	slot = sn_slot_claim(&own);
	own.slots[slot].tid = 900001;
	SN_STORE_RELEASE(&own.slots[slot].state, SN_SLOT_ARMED);
	for (int lap = 0; lap < 40; lap++) {
		push_copies(slot, 10);
		drain();
	}
	ck_assert_uint_eq(p->count.samples, 400);
	ck_assert_uint_eq(p->count.bad_records, 0);
	/* 6 MB went through it */
	ck_assert_uint_le(resident(&own, slot), 640 << 10);
	push_copies(slot, 10);			/* what was given back is written again, whole */
	drain();
	ck_assert_uint_eq(p->count.samples, 410);
}
END_TEST

START_TEST(segment_of_the_program_stays_when_we_go)
{
	begin_inside();
	ck_assert_int_eq(sn_process_finish(p, &options, 0), 0);
	ck_assert_uint_eq(own.header->nslots, INSIDE_SLOTS);	/* still mapped */
	own.slots[0].uses = 1;
}
END_TEST

static int32_t armed_tid;
static int sampling_calls;

static int
note_arm(int32_t tid)
{
	armed_tid = tid;
	return 0;
}

static void
note_sampling(bool on)
{
	(void)on;
	sampling_calls++;
	SN_STORE_RELEASE(&own.shared->sampling_obeyed, on ? 1u : 0u);
}

static void *
wait_for_end(void *arg)
{
	int *tid = arg;

	SN_STORE_RELEASE(tid, (int)syscall(SYS_gettid));
	while (SN_LOAD_ACQUIRE(tid) != 0)
		(void)usleep(1000);
	return NULL;
}

START_TEST(inside_the_program_is_asked_directly)
{
	int tid = 0, was;
	pthread_t t;

	begin_inside();
	host.arm = note_arm;
	host.set_sampling = note_sampling;
	ck_assert_int_eq(pthread_create(&t, NULL, wait_for_end, &tid), 0);
	while ((was = SN_LOAD_ACQUIRE(&tid)) == 0)
		(void)usleep(1000);
	sn_process_scan(p, 27);
	sn_process_scan(p, 27);
	ck_assert_int_eq(armed_tid, was);	/* the one without a slot, and not our own thread */
	sn_process_set_sampling(p, &options, false);
	ck_assert(sn_process_is_sampling(p));
	ck_assert_int_eq(sampling_calls, 1);
	ck_assert_uint_eq(own.wishes->sampling, 0);
	SN_STORE_RELEASE(&tid, 0);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
}
END_TEST

START_TEST(cpu_time_of_our_thread_inside_is_not_the_programs)
{
	volatile uint64_t x = 0;
	uint64_t began, all;

	begin_inside();
	began = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (sn_clock_ns(CLOCK_THREAD_CPUTIME_ID) < began + 100 * MS)
		x++;
	all = sn_process_read_cpu(p);
	ck_assert_uint_gt(all, 100 * MS);
	ck_assert_uint_le(p->cpu_ns, all - 100 * MS);
}
END_TEST

START_TEST(sums_are_the_same_however_often_a_thread_is_looked_at)
{
	for (uint32_t looks = 0; looks < 4; looks++) {
		struct sn_thread_view v = { .tid = 900001, .start_fn = 0x1000 + looks };
		uint64_t before = p->accounted_ns;

		for (uint32_t i = 0; i < looks; i++) {
			v.blocks_signal = true;
			sn_process_account(p, &v, (i * 37 + 5) * MS, (i * 29 + 8) * MS);
		}
		v.blocks_signal = true;
		sn_process_close_thread(p, &v, 215 * MS + 7, 200 * MS);
		ck_assert_int_eq(residual_of(0x1000 + looks), 15 * MS + 7);
		ck_assert_int_eq(p->profile.groups[sn_profile_group(&p->profile, 0x1000 + looks, false)].blocked_ns,
			15 * MS + 7);
		ck_assert_uint_eq(p->accounted_ns - before, 215 * MS + 7);
	}
}
END_TEST

START_TEST(unseen_time_is_the_kernels_while_a_thread_has_an_event_that_does_not_see_it)
{
	struct sn_thread_view v = { .tid = 900002, .start_fn = 0x2000 };
	struct sn_group *g;

	sn_process_account(p, &v, 10 * MS, 4 * MS);	/* a timer: 6 ms not sampled */
	v.drive = SN_BY_PERF;
	sn_process_account(p, &v, 110 * MS, 54 * MS);	/* 50 ms that it did not see */
	v.drive = SN_BY_TIMER_ONLY;
	sn_process_close_thread(p, &v, 210 * MS, 151 * MS);
	g = &p->profile.groups[sn_profile_group(&p->profile, 0x2000, false)];
	ck_assert_int_eq(g->residual_ns, 59 * MS);
	ck_assert_int_eq(g->kernel_ns, 50 * MS);
}
END_TEST

START_TEST(children_count_while_their_parent_is_sampled)
{
	struct sn_segment_kin *kin = p->seg.kin;

	kin->cpu_ns += 50 * MS;
	kin->count++;
	sn_process_set_sampling(p, &options, false);
	ck_assert_int_eq(p->kin_ns, 50 * MS);
	ck_assert_uint_eq(sn_process_kin_count(p), 0);
	kin->cpu_ns += 30 * MS;
	kin->count++;
	sn_process_set_sampling(p, &options, true);
	ck_assert_int_eq(p->kin_ns, 50 * MS);
	kin->cpu_ns += 20 * MS;
	kin->count++;
	ck_assert_uint_eq(sn_process_kin_count(p), 1);
	sn_process_set_sampling(p, &options, false);
	ck_assert_int_eq(p->kin_ns, 70 * MS);
	ck_assert_uint_eq(p->count.unsampled_processes, 2);
	kin->cpu_ns = 0;			/* hostile */
	sn_process_set_sampling(p, &options, true);
	kin->cpu_ns = UINT64_MAX;
	sn_process_set_sampling(p, &options, false);
	ck_assert_int_eq(p->kin_ns, 70 * MS);
}
END_TEST

static uint32_t
judged(uint64_t cpu_ms, uint64_t switches, int64_t unseen_ms)
{
	sn_process_perf_cost(p, cpu_ms * MS, switches, unseen_ms * (int64_t)MS);
	sn_process_judge_perf(p);
	return p->seg.wishes->drive_why;
}

static void
begin_with_engine(int64_t engine)
{
	sn_process_free(p);
	options.engine = engine;
	options.hz = 10000;
	p = sn_process_new(getpid(), &options, &images);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(sn_process_begin_image(p, &options, 8, NULL), 0);
}

START_TEST(perf_gives_way_when_context_switches_cost_a_percent)
{
	begin_with_engine(SN_ENGINE_AUTO);
	ck_assert_uint_eq(judged(300, 590, 0), SN_WHY_NONE);
	ck_assert_uint_eq(judged(20, 1000, 0), SN_WHY_NONE);	/* too short to tell */
	ck_assert_uint_eq(judged(300, 10, 0), SN_WHY_SWITCHES);
}
END_TEST

START_TEST(perf_gives_way_when_it_misses_kernel_time_again_and_again)
{
	begin_with_engine(SN_ENGINE_AUTO);
	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(judged(250, 0, 6), SN_WHY_NONE);
		ck_assert_uint_eq(judged(250, 0, 6), SN_WHY_NONE);
		ck_assert_uint_eq(judged(250, 0, 4), SN_WHY_NONE);
	}
	ck_assert_uint_eq(judged(250, 0, 6), SN_WHY_NONE);
	ck_assert_uint_eq(judged(250, 0, 6), SN_WHY_NONE);
	ck_assert_uint_eq(judged(250, 0, 6), SN_WHY_KERNEL);
}
END_TEST

START_TEST(perf_stays_where_it_was_asked_for_by_name)
{
	begin_with_engine(SN_ENGINE_PERF);
	ck_assert_uint_eq(judged(1000, 1000000, 900), SN_WHY_NONE);
}
END_TEST

START_TEST(profile_says_why_it_was_the_timer)
{
	char why[200];

	begin_with_engine(SN_ENGINE_AUTO);
	ck_assert_str_eq(sn_process_engine(p, why), "timer");
	ck_assert_ptr_nonnull(strstr(why, "no thread used 20 ms"));
	p->seg.shared->perf_begun = p->seg.shared->perf_refused = UINT32_MAX;
	ck_assert_str_eq(sn_process_engine(p, why), "perf");
	ck_assert_ptr_nonnull(strstr(why, "; 4294967295 threads have timers: no room"));
	*p->seg.shared = (struct sn_segment_shared){ .perf_errno = EACCES, .drive_why = SN_WHY_REFUSED };
	ck_assert_str_eq(sn_process_engine(p, why), "timer");
	ck_assert_ptr_nonnull(strstr(why, strerror(EACCES)));
	p->seg.shared->drive_why = 4711;	/* hostile */
	(void)sn_process_engine(p, why);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("process");
	TCase *tc = tcase_create("process");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, ended_thread_leaves_clock_less_credit_with_its_start_function);
	tcase_add_test(tc, many_threads_through_one_slot_are_each_counted_once);
	tcase_add_test(tc, slot_taken_again_before_the_last_word_was_read_is_not_counted_twice);
	tcase_add_test(tc, thread_killed_without_a_word_keeps_its_last_figures);
	tcase_add_test(tc, refused_thread_shows_as_unsampled_not_as_residual);
	tcase_add_test(tc, refused_threads_of_less_than_a_period_each_show_together);
	tcase_add_test(tc, lost_samples_keep_their_weight);
	tcase_add_test(tc, hostile_clocks_are_left_out_of_the_sums);
	tcase_add_test(tc, torn_slots_and_rings_never_crash_the_collector);
	tcase_add_test(tc, second_image_of_a_process_does_not_count_the_clock_of_the_first);
	tcase_add_test(tc, ring_inside_gives_its_pages_back);
	tcase_add_test(tc, segment_of_the_program_stays_when_we_go);
	tcase_add_test(tc, inside_the_program_is_asked_directly);
	tcase_add_test(tc, cpu_time_of_our_thread_inside_is_not_the_programs);
	tcase_add_test(tc, sums_are_the_same_however_often_a_thread_is_looked_at);
	tcase_add_test(tc, unseen_time_is_the_kernels_while_a_thread_has_an_event_that_does_not_see_it);
	tcase_add_test(tc, children_count_while_their_parent_is_sampled);
	tcase_add_test(tc, perf_gives_way_when_context_switches_cost_a_percent);
	tcase_add_test(tc, perf_gives_way_when_it_misses_kernel_time_again_and_again);
	tcase_add_test(tc, perf_stays_where_it_was_asked_for_by_name);
	tcase_add_test(tc, profile_says_why_it_was_the_timer);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

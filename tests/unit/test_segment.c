/* SPDX-License-Identifier: Apache-2.0
 *
 * test_segment.c - the segment's header and the slots: what is refused, what is given out.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "hot/hot.h"
#include "segment/layout.h"

#define NSLOTS 8u

static void *base;
static uint64_t bytes;
static struct sn_segment seg;

static void
set_up(void)
{
	struct sn_segment_options o = { .period_ns = 10000000, .tick_ns = 4000000, .hz = 100, .way = SN_WAY_COPY };

	bytes = sn_segment_size(NSLOTS, SN_RING_FRAMES);
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(base, MAP_FAILED);
	sn_segment_format(base, NSLOTS, SN_RING_FRAMES, 77, &o);
	ck_assert_int_eq(sn_segment_open(&seg, base, bytes), 0);
	sn_segment_fill_free_list(&seg);
}

static void
tear_down(void)
{
	(void)munmap(base, bytes);
}

START_TEST(open_formatted_segment_gives_its_parts)
{
	ck_assert_uint_eq(seg.nslots, NSLOTS);
	ck_assert_uint_eq(seg.ring_bytes, SN_RING_FRAMES);
	ck_assert_uint_eq(seg.cookie, 77);
	ck_assert(sn_segment_ring(&seg, NSLOTS - 1) + seg.ring_bytes == seg.base + seg.bytes);
	ck_assert((uintptr_t)seg.slots % 64 == 0);
}
END_TEST

START_TEST(open_hostile_header_is_refused)
{
	struct sn_segment_header good, *h = base;
	struct sn_segment s;

	memcpy(&good, h, sizeof(good));
	for (size_t i = 0; i < offsetof(struct sn_segment_header, pid); i++) {
		((uint8_t *)base)[i] ^= 0x41;
		ck_assert_msg(sn_segment_open(&s, base, bytes) == -EPROTO, "byte %zu", i);
		memcpy(h, &good, sizeof(good));
	}
	ck_assert_int_eq(sn_segment_open(&s, base, bytes), 0);
}
END_TEST

START_TEST(open_segment_cut_short_is_refused)
{
	struct sn_segment s;

	ck_assert_int_eq(sn_segment_open(&s, base, seg.rings_off - 1), -EPROTO);
	ck_assert_int_eq(sn_segment_open(&s, base, sizeof(struct sn_segment_header) - 1), -EPROTO);
	ck_assert_int_eq(sn_segment_open(&s, base, 0), -EPROTO);
}
END_TEST

START_TEST(chunks_hold_each_slot_once_and_grow)
{
	struct sn_segment s = { .nslots = SN_SLOTS_MAX - 3, .ring_bytes = SN_RING_FRAMES, .rings_off = SN_PAGE };
	uint64_t at = SN_PAGE, len, before = 0;
	uint32_t n = 0;

	for (uint32_t ready = 0; ready < s.nslots; n++) {
		uint32_t next = sn_segment_ready_after(&s, ready);

		ck_assert_uint_eq(sn_chunk_of(ready), n);
		ck_assert_uint_eq(sn_chunk_of(next - 1), n);
		ck_assert_uint_eq(sn_chunk_first(n), ready);
		ck_assert_uint_eq(sn_segment_chunk(&s, n, &len), at);
		ck_assert_uint_eq(len, (uint64_t)(next - ready) * SN_RING_FRAMES);
		ck_assert(len >= before || next == s.nslots);
		before = len;
		at += len;
		ready = next;
	}
	ck_assert_uint_eq(n, SN_CHUNKS_MAX);
	ck_assert_uint_eq(at, SN_PAGE + (uint64_t)s.nslots * SN_RING_FRAMES);
	ck_assert_uint_eq((sn_segment_chunk(&s, n, &len), len), 0);
}
END_TEST

START_TEST(claim_waits_for_rings_that_are_not_mapped_yet)
{
	struct sn_segment part;

	ck_assert_int_eq(sn_segment_open(&part, base, seg.rings_off), 0);
	ck_assert_ptr_null(part.ring_chunk[0]);
	sn_segment_fill_free_list(&part);
	ck_assert_uint_eq(sn_slot_claim(&part), SN_NO_SLOT);
	ck_assert_uint_eq(part.shared->slots_refused, 0);	/* asked again once they are */
	part.ring_chunk[0] = (uint8_t *)base + part.rings_off;
	SN_STORE_RELEASE(&part.shared->slots_ready, NSLOTS);
	ck_assert_uint_eq(sn_slot_claim(&part), 0);
}
END_TEST

START_TEST(claim_gives_each_slot_once_then_counts_the_refusal)
{
	bool seen[NSLOTS] = { false };

	for (uint32_t i = 0; i < NSLOTS; i++) {
		uint32_t slot = sn_slot_claim(&seg);

		ck_assert_uint_lt(slot, NSLOTS);
		ck_assert(!seen[slot]);
		seen[slot] = true;
	}
	ck_assert_uint_eq(sn_slot_claim(&seg), SN_NO_SLOT);
	ck_assert_uint_eq(seg.shared->slots_refused, 1);
}
END_TEST

START_TEST(release_makes_slot_free_and_keeps_its_accumulator)
{
	uint32_t slot = sn_slot_claim(&seg);

	seg.slots[slot].acc_ns = 1234567;
	seg.slots[slot].credited_ns = 99;
	sn_slot_release(&seg, slot);
	ck_assert_uint_eq(seg.slots[slot].state, SN_SLOT_FREE);
	ck_assert_uint_eq(sn_slot_claim(&seg), slot);
	ck_assert_uint_eq(seg.slots[slot].acc_ns, 1234567);	/* or short threads would be counted with a bias */
	ck_assert_uint_eq(seg.slots[slot].credited_ns, 0);
	ck_assert_uint_eq(seg.slots[slot].uses, 2);
}
END_TEST

START_TEST(claim_first_use_starts_accumulator_below_one_period)
{
	for (uint32_t i = 0; i < NSLOTS; i++)
		ck_assert_uint_lt(seg.slots[sn_slot_claim(&seg)].acc_ns, 10000000);
}
END_TEST

static void *
claim_and_release(void *arg)
{
	uint32_t *owner = arg;

	for (int i = 0; i < 20000; i++) {
		uint32_t slot = sn_slot_claim(&seg), nobody = 0;

		if (slot == SN_NO_SLOT)
			continue;
		/* owner[slot] must be free, or two threads have the same slot */
		if (!SN_CAS_ACQ_REL(&owner[slot], &nobody, 1u))
			return (void *)1;
		SN_STORE_RELEASE(&owner[slot], 0u);
		sn_slot_release(&seg, slot);
	}
	return NULL;
}

START_TEST(claim_by_many_threads_never_gives_a_slot_twice)
{
	static uint32_t owner[NSLOTS];
	pthread_t t[4];

	memset(owner, 0, sizeof(owner));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, claim_and_release, owner), 0);
	for (int i = 0; i < 4; i++) {
		void *clash;

		ck_assert_int_eq(pthread_join(t[i], &clash), 0);
		ck_assert_ptr_null(clash);
	}
}
END_TEST

/* Timers that the process has, as the kernel says; -1 where it does not. */
static int
count_timers(void)
{
	FILE *f = fopen("/proc/self/timers", "r");
	char line[256];
	int n = 0;

	if (f == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL)
		n += strncmp(line, "ID:", 3) == 0;
	(void)fclose(f);
	return n;
}

static struct sn_live_state live;

static void
go_live(bool idle)
{
	struct sn_segment_options o = {
		.period_ns = 10000000, .tick_ns = 4000000, .hz = 100, .signal = SIGPROF, .idle = idle,
	};

	ck_assert_ptr_ne(signal(SIGPROF, SIG_IGN), SIG_ERR);
	memset(base, 0, bytes);
	sn_segment_format(base, NSLOTS, SN_RING_FRAMES, 77, &o);
	ck_assert_int_eq(sn_segment_open(&seg, base, bytes), 0);
	sn_segment_fill_free_list(&seg);
	live = (struct sn_live_state){ .segment = seg, .options = o };
}

static void
want(bool on)
{
	SN_STORE_RELEASE(&seg.wishes->sampling, on ? 1u : 0u);
	(void)__atomic_fetch_add(&seg.wishes->posted, 1, __ATOMIC_RELEASE);
}

START_TEST(idle_slot_has_a_timer_only_while_sampling_is_wanted)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	uint32_t slot;

	go_live(true);
	slot = sn_slot_claim(&seg);
	ck_assert_int_eq(sn_slot_begin(&live, slot, tid), 0);
	ck_assert_uint_eq(seg.slots[slot].state, SN_SLOT_IDLE);
	ck_assert_int_le(count_timers(), 0);
	want(true);
	sn_wishes_obey(&live);
	ck_assert_uint_eq(seg.slots[slot].state, SN_SLOT_ARMED);
	ck_assert_uint_eq(seg.shared->sampling_obeyed, 1);
	ck_assert_int_ne(count_timers(), 0);
	want(false);
	sn_wishes_obey(&live);
	ck_assert_uint_eq(seg.slots[slot].state, SN_SLOT_IDLE);
	ck_assert_int_le(count_timers(), 0);
	sn_slot_leave(&seg, slot);
	ck_assert_uint_eq(seg.slots[slot].state, SN_SLOT_FREE);
}
END_TEST

START_TEST(clock_of_a_slot_stays_when_it_is_armed_again)
{
	uint32_t slot;
	uint64_t was;

	go_live(true);
	slot = sn_slot_claim(&seg);
	ck_assert_int_eq(sn_slot_begin(&live, slot, (pid_t)syscall(SYS_gettid)), 0);
	was = seg.slots[slot].cpu_at_arming_ns;
	ck_assert_uint_gt(was, 0);
	want(true);
	sn_wishes_obey(&live);
	ck_assert_uint_eq(seg.slots[slot].cpu_at_arming_ns, was);	/* the base of a later program's main thread */
	sn_slot_leave(&seg, slot);
	ck_assert_int_le(count_timers(), 0);
}
END_TEST

START_TEST(who_leaves_while_another_thread_is_at_its_timer_leaves_the_rest_to_it)
{
	uint32_t slot;

	go_live(false);
	slot = sn_slot_claim(&seg);
	seg.slots[slot].tid = (int32_t)syscall(SYS_gettid);
	seg.slots[slot].state = SN_SLOT_ARMING;
	sn_slot_leave(&seg, slot);
	ck_assert_uint_eq(seg.slots[slot].state, SN_SLOT_LEFT);
	ck_assert_uint_gt(seg.slots[slot].resv, 0);		/* its last word is said */
	sn_slot_leave(&seg, slot);				/* twice is once */
	ck_assert_uint_eq(seg.slots[slot].state, SN_SLOT_LEFT);
}
END_TEST

static bool stop_toggling;

static void *
toggle(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; !SN_LOAD_ACQUIRE(&stop_toggling); i++) {
		want(i % 2 == 0);
		sn_wishes_obey(&live);
	}
	return NULL;
}

static void *
come_and_go(void *arg)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	(void)arg;
	for (int i = 0; i < 3000; i++) {
		uint32_t slot = sn_slot_claim(&seg);

		if (slot == SN_NO_SLOT)
			continue;
		(void)sn_slot_begin(&live, slot, tid);
		sn_wishes_obey(&live);			/* as a handler on this thread would */
		sn_slot_leave(&seg, slot);
		/* its last words are read, or the ring is full */
		SN_STORE_RELEASE(&seg.slots[slot].head, SN_LOAD_RELAXED(&seg.slots[slot].resv));
	}
	return NULL;
}

START_TEST(threads_that_come_and_go_while_sampling_is_switched_leave_no_timer_and_no_slot)
{
	pthread_t t[3], switcher[2];

	go_live(true);
	stop_toggling = false;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&switcher[i], NULL, toggle, NULL), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, come_and_go, NULL), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	SN_STORE_RELEASE(&stop_toggling, true);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(switcher[i], NULL), 0);
	for (uint32_t i = 0; i < NSLOTS; i++)
		ck_assert_uint_eq(seg.slots[i].state, SN_SLOT_FREE);
	ck_assert_int_le(count_timers(), 0);
	ck_assert_uint_eq(seg.shared->timers_refused, 0);
	/* each can be had again, once */
	for (uint32_t i = 0; i < NSLOTS; i++)
		ck_assert_uint_ne(sn_slot_claim(&seg), SN_NO_SLOT);
	ck_assert_uint_eq(sn_slot_claim(&seg), SN_NO_SLOT);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("segment");
	TCase *tc = tcase_create("segment");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, open_formatted_segment_gives_its_parts);
	tcase_add_test(tc, open_hostile_header_is_refused);
	tcase_add_test(tc, open_segment_cut_short_is_refused);
	tcase_add_test(tc, chunks_hold_each_slot_once_and_grow);
	tcase_add_test(tc, claim_waits_for_rings_that_are_not_mapped_yet);
	tcase_add_test(tc, claim_gives_each_slot_once_then_counts_the_refusal);
	tcase_add_test(tc, release_makes_slot_free_and_keeps_its_accumulator);
	tcase_add_test(tc, claim_first_use_starts_accumulator_below_one_period);
	tcase_add_test(tc, claim_by_many_threads_never_gives_a_slot_twice);
	tcase_add_test(tc, idle_slot_has_a_timer_only_while_sampling_is_wanted);
	tcase_add_test(tc, clock_of_a_slot_stays_when_it_is_armed_again);
	tcase_add_test(tc, who_leaves_while_another_thread_is_at_its_timer_leaves_the_rest_to_it);
	tcase_add_test(tc, threads_that_come_and_go_while_sampling_is_switched_leave_no_timer_and_no_slot);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test_scale.c - thousands of threads and a million stacks: what has nothing to say costs no look, what is held stays
 * within its bound, and nothing is missed.  The segment is made here; no kernel knows its threads.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
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

static void
drain(void)
{
	uint32_t fullest = 0;

	while (sn_process_drain(p, UINT32_MAX, &fullest) > 0)
		;
}

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

static void
push_small(uint32_t slot)
{
	uint64_t word;
	struct sn_rec *r = sn_ring_reserve(&own, slot, sizeof(*r) + sizeof(uint64_t), &word);

	ck_assert_ptr_nonnull(r);
	*r = (struct sn_rec){
		.word = word | SN_REC_BUSY, .kind = SN_REC_FRAMES, .nframes = 1, .weight = 1,
		.tid = own.slots[slot].tid, .time_ns = 1,
	};
	*(uint64_t *)(void *)(r + 1) = 0x1000;
	sn_ring_publish(r, word);
}

START_TEST(small_records_give_back_whole_pages_at_the_bound_of_memory)
{
	uint32_t slot;

	begin_inside();
	p->memory_bound = 0;
	slot = sn_slot_claim(&own);
	own.slots[slot].tid = 900001;
	SN_STORE_RELEASE(&own.slots[slot].state, SN_SLOT_ARMED);
	for (int i = 0; i < 10000; i++) {
		push_small(slot);
		if (i % 7 == 0)
			drain();
	}
	drain();
	ck_assert_uint_eq(p->count.samples, 10000);
	ck_assert_uint_ge(own.slots[slot].resv, 10000 * sizeof(struct sn_rec));
	ck_assert_uint_le(resident(&own, slot), 2 * SN_PAGE);
}
END_TEST

START_TEST(only_slots_with_news_are_looked_at)
{
	begin_inside();
	for (int i = 0; i < 16; i++) {
		uint32_t slot = sn_slot_claim(&own);

		own.slots[slot].tid = 900001 + i;
		SN_STORE_RELEASE(&own.slots[slot].state, SN_SLOT_ARMED);
	}
	push_small(3);
	push_small(11);
	own.slots[5].lost_weight = 9;		/* its owner did not say so */
	drain();
	ck_assert_uint_eq(p->count.samples, 2);
	ck_assert_uint_eq(sn_profile_total(&p->profile), 2);
	ck_assert_uint_eq(own.shared->news[0], 0);
	ck_assert_uint_eq(p->pending[0], 0);
	sn_ring_note(&own, 5);
	drain();
	ck_assert_uint_eq(sn_profile_total(&p->profile), 11);
}
END_TEST

START_TEST(record_that_was_half_written_is_taken_without_another_word)
{
	struct sn_rec *r;
	uint64_t word;
	uint32_t slot;

	begin_inside();
	slot = sn_slot_claim(&own);
	own.slots[slot].tid = 900001;
	SN_STORE_RELEASE(&own.slots[slot].state, SN_SLOT_ARMED);
	r = sn_ring_reserve(&own, slot, sizeof(*r) + sizeof(uint64_t), &word);
	drain();
	ck_assert_uint_eq(p->count.samples, 0);
	*r = (struct sn_rec){
		.word = word | SN_REC_BUSY, .kind = SN_REC_FRAMES, .nframes = 1, .weight = 1, .tid = 900001,
	};
	sn_ring_publish(r, word);
	drain();
	ck_assert_uint_eq(p->count.samples, 1);
}
END_TEST

START_TEST(rings_that_the_program_maps_later_are_read)
{
	uint32_t slot;

	begin_inside();
	for (int i = 0; i < 16; i++)
		ck_assert_uint_lt(sn_slot_claim(&own), 16);
	ck_assert_uint_eq(sn_slot_claim(&own), SN_NO_SLOT);
	drain();
	ck_assert_uint_eq(p->slots_used, 16);
	own.ring_chunk[1] = own.base + own.rings_off + 16ull * SN_RING_COPY;
	SN_STORE_RELEASE(&own.shared->slots_ready, INSIDE_SLOTS);
	slot = sn_slot_claim(&own);
	ck_assert_uint_eq(slot, 16);
	push_small(slot);
	push_small(slot);
	push_small(slot);
	drain();
	ck_assert_uint_eq(p->count.samples, 3);
}
END_TEST

START_TEST(thousands_of_threads_are_looked_at_in_turn)
{
	uint32_t looked = 0;

	ck_assert_int_eq(sn_process_begin_image(p, &options, 2000, NULL), 0);
	ck_assert_int_eq(sn_process_map_rings(p, 1999), 0);
	ck_assert_int_eq(sn_process_map_rings(p, 2000), -ENOSPC);
	p->seg.shared->pid_inside = (uint64_t)getpid();
	sn_segment_fill_free_list(&p->seg);
	ck_assert_uint_eq(p->seg.shared->slots_ready, 2000);
	for (int32_t i = 0; i < 2000; i++)
		(void)begin_thread(900001 + i, 0x1000, 0);
	drain();
	ck_assert_uint_eq(p->slots_used, 2000);
	p->seg.slots[1700].signals++;
	sn_process_scan(p, 27);
	for (uint32_t i = 0; i < 2000; i++)
		looked += p->views[i].looked != 0;
	ck_assert_uint_ge(looked, 1);
	ck_assert_uint_le(looked, 600);			/* at 4 us each */
	ck_assert_uint_ne(p->views[0].uses, 0);		/* all are known */
	ck_assert_uint_ne(p->views[1999].uses, 0);
	for (int i = 0; i < 2000 / 64 + 1; i++)
		sn_process_scan(p, 27);
	for (uint32_t i = 0; i < 2000; i++)
		ck_assert_msg(p->views[i].looked != 0, "slot %u", i);
	p->views[1700].closed = false;			/* the kernel knows none of them */
	p->views[1700].gone = 0;
	p->seg.slots[1700].signals++;
	sn_process_scan(p, 27);
	ck_assert_uint_eq(p->views[1700].looked, p->scans);	/* who took a signal needs not wait */
}
END_TEST

#define MANY 1000000u
START_TEST(million_different_stacks_stay_in_the_bound_and_none_is_lost)
{
	uint32_t group = sn_profile_group(&p->profile, 0x1000, false);

	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t ids[21];

		for (uint32_t f = 0; f < 20; f++)
			ids[f] = sn_profile_frame(&p->profile, 0x1000 + 2 * f + (i >> f & 1), NULL, SN_PSEUDO_NONE);
		ids[20] = sn_profile_frame(&p->profile, 0x900, NULL, SN_PSEUDO_NONE);
		sn_process_count(p, &(struct sn_seen){
			.stack = sn_profile_stack(&p->profile, ids, 21), .label = SN_NO_LABEL, .group = group,
			.weight = 1, .time_ns = UINT64_MAX,
		});
		if (i % 10000 == 0)
			ck_assert_uint_le(p->profile.held_bytes + p->history.held_bytes, p->memory_bound * 3 / 4);
	}
	ck_assert_uint_le(p->profile.held_bytes + p->history.held_bytes, p->memory_bound * 3 / 4);
	ck_assert_uint_eq(sn_profile_total(&p->profile), MANY);
	/* What had room has its stack, the rest is counted; together they are all. */
	ck_assert_uint_gt(p->profile.stack_count, 100000);
	ck_assert_uint_gt(p->profile.stacks_dropped, 0);
	ck_assert_uint_ge(p->profile.stacks_dropped + p->profile.stack_count, MANY);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("scale");
	TCase *tc = tcase_create("scale");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, small_records_give_back_whole_pages_at_the_bound_of_memory);
	tcase_add_test(tc, only_slots_with_news_are_looked_at);
	tcase_add_test(tc, record_that_was_half_written_is_taken_without_another_word);
	tcase_add_test(tc, rings_that_the_program_maps_later_are_read);
	tcase_add_test(tc, thousands_of_threads_are_looked_at_in_turn);
	tcase_add_test(tc, million_different_stacks_stay_in_the_bound_and_none_is_lost);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

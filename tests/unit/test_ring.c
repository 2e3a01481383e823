/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ring.c - records through a ring: order, room, nesting, torn and hostile contents.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "base/atomic.h"
#include "collect/process.h"
#include "hot/hot.h"

static void *base;
static uint64_t bytes;
static struct sn_segment seg;
static uint32_t slot;
static uint64_t pos;			/* taken up to here */

static void
set_up(void)
{
	struct sn_segment_options o = { .period_ns = 10000000, .tick_ns = 4000000, .hz = 100, .way = SN_WAY_FP };

	bytes = sn_segment_size(2, SN_RING_FRAMES);
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(base, MAP_FAILED);
	sn_segment_format(base, 2, SN_RING_FRAMES, 77, &o);
	ck_assert_int_eq(sn_segment_open(&seg, base, bytes), 0);
	sn_segment_fill_free_list(&seg);
	slot = sn_slot_claim(&seg);
}

static void
tear_down(void)
{
	(void)munmap(base, bytes);
}

/* A record of n frames, all equal to value; false when the ring is full. */
static bool
push(uint64_t value, uint16_t n)
{
	uint64_t word, *frame;
	struct sn_rec *r = sn_ring_reserve(&seg, slot, (uint32_t)(sizeof(*r) + n * 8u), &word);

	if (r == NULL)
		return false;
	memset((uint8_t *)r + 8, 0, sizeof(*r) - 8);
	r->kind = SN_REC_FRAMES;
	r->nframes = n;
	r->weight = 1;
	r->time_ns = value;
	frame = (uint64_t *)(r + 1);
	for (uint16_t i = 0; i < n; i++)
		frame[i] = value;
	sn_ring_publish(r, word);
	return true;
}

struct taken {
	uint64_t count, last, torn, out_of_order;
};

static void
take(void *ctx, uint32_t at, const struct sn_record *record)
{
	struct taken *t = ctx;
	uint64_t frame;

	ck_assert_uint_eq(at, slot);
	for (uint16_t i = 0; i < record->rec.nframes; i++) {
		memcpy(&frame, record->payload + i * 8u, sizeof(frame));
		t->torn += frame != record->rec.time_ns;
	}
	t->out_of_order += record->rec.time_ns < t->last;
	t->last = record->rec.time_ns;
	t->count++;
}

static struct sn_drain_result
drain(struct taken *t)
{
	return sn_drain_ring(&seg, slot, UINT32_MAX, -1, false, &pos, take, t);
}

START_TEST(pages_given_back_take_no_record_along)
{
	struct taken t = { 0 };
	uint64_t value = 0;

	/* Full, some taken, full again: the owner writes into the page that was taken last, also where none went. */
	for (uint32_t round = 0; round < 2000; round++) {
		while (push(value + 1, (uint16_t)(1 + value % 97)))
			value++;
		(void)sn_drain_ring(&seg, slot, 1 + round % 13, -1, round / 7 % 2 == 0, &pos, take, &t);
	}
	while (sn_drain_ring(&seg, slot, 100, -1, true, &pos, take, &t).records > 0)
		;
	ck_assert_uint_eq(t.count, value);
	ck_assert_uint_eq(t.torn, 0);
	ck_assert_uint_eq(t.out_of_order, 0);
	ck_assert_uint_lt(pos - seg.slots[slot].head, SN_PAGE);
}
END_TEST

START_TEST(push_then_drain_gives_records_in_order)
{
	struct taken t = { 0 };

	for (uint64_t i = 1; i <= 100; i++)
		ck_assert(push(i, (uint16_t)(1 + i % 30)));
	ck_assert_uint_eq(drain(&t).records, 100);
	ck_assert_uint_eq(t.torn, 0);
	ck_assert_uint_eq(t.out_of_order, 0);
	ck_assert_uint_eq(t.last, 100);
}
END_TEST

START_TEST(push_to_full_ring_is_refused_until_drained)
{
	struct taken t = { 0 };
	uint64_t n = 0;

	while (push(n + 1, 100))
		n++;
	ck_assert_uint_eq(n, SN_RING_FRAMES / (sizeof(struct sn_rec) + 800));
	ck_assert_uint_eq(drain(&t).records, n);
	ck_assert_uint_eq(t.last, n);		/* the newest was lost, not an older one */
	ck_assert(push(n + 2, 100));
}
END_TEST

START_TEST(records_of_odd_sizes_wrap_around_many_times_unharmed)
{
	struct taken t = { 0 };
	uint64_t pushed = 0;

	for (int lap = 0; lap < 200; lap++) {
		for (int i = 0; i < 37; i++)
			pushed += push(pushed + 1, (uint16_t)(1 + (pushed * 7919) % 701));
		ck_assert_uint_eq(drain(&t).bad, 0);
	}
	ck_assert_uint_eq(t.count, pushed);
	ck_assert_uint_eq(t.torn, 0);
	ck_assert_uint_eq(t.out_of_order, 0);
	ck_assert_uint_gt(SN_LOAD_RELAXED(&seg.slots[slot].resv), 10u * SN_RING_FRAMES);
}
END_TEST

START_TEST(drain_wipes_what_it_took)
{
	struct taken t = { 0 };
	const uint8_t *ring = sn_segment_ring(&seg, slot);

	while (push(0x5ec4e75ec4e75ec4ull, 200))
		;
	(void)drain(&t);
	for (uint32_t i = 0; i < seg.slots[slot].head; i++)
		ck_assert_msg(ring[i] == 0, "byte %u of a stack stayed in the ring", i);
}
END_TEST

START_TEST(drain_stops_at_a_record_still_being_written)
{
	struct taken t = { 0 };
	uint64_t word;
	struct sn_rec *r;
	struct sn_drain_result res;

	ck_assert(push(1, 3));
	r = sn_ring_reserve(&seg, slot, sizeof(*r) + 8, &word);
	ck_assert_ptr_nonnull(r);
	ck_assert(push(3, 3));			/* a handler interrupted the writer */
	res = drain(&t);
	ck_assert_uint_eq(res.records, 1);
	ck_assert(res.stuck);
	memset((uint8_t *)r + 8, 0, sizeof(*r));
	r->kind = SN_REC_FRAMES;
	r->nframes = 1;
	r->time_ns = 2;
	((uint64_t *)(r + 1))[0] = 2;
	sn_ring_publish(r, word);
	ck_assert_uint_eq(drain(&t).records, 2);
	ck_assert_uint_eq(t.out_of_order, 0);
}
END_TEST

START_TEST(old_record_at_the_right_place_never_passes)
{
	struct taken t = { 0 };
	uint8_t *ring = sn_segment_ring(&seg, slot);
	uint64_t size = sizeof(struct sn_rec) + 8;

	/* What the place held a lap ago, with a header that was true then. */
	*(uint64_t *)(void *)ring = sn_rec_word(0, size);
	seg.slots[slot].head = seg.slots[slot].resv = SN_RING_FRAMES;
	ck_assert_uint_eq(drain(&t).records, 0);
}
END_TEST

START_TEST(hostile_records_are_counted_and_never_taken)
{
	static const uint64_t sizes[] = { 1, 7, 8, 16, 47, 48, 64, 20000, SN_RING_FRAMES, SN_REC_SIZE_MASK };
	static const uint16_t kinds[] = { 0, SN_REC_STACK, SN_REC_FRAMES, SN_REC_EXIT, 77 };

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			struct sn_rec *r = (struct sn_rec *)(void *)sn_segment_ring(&seg, slot);
			struct taken t = { 0 };
			struct sn_drain_result res;

			memset(r, 0xff, 4096);
			r->word = sn_rec_word(0, sizes[s]);
			r->kind = kinds[k];
			r->nframes = 5000;
			seg.slots[slot].head = pos = 0;
			seg.slots[slot].resv = 4096;
			res = drain(&t);
			ck_assert_uint_eq(res.records, 0);
			ck_assert_uint_eq(t.count, 0);
			ck_assert_uint_ge(res.bad, 1);
		}
	}
}
END_TEST

START_TEST(find_exit_gives_the_name_that_a_thread_left)
{
	struct sn_slot *sl = &seg.slots[slot];
	char comm[16] = "";

	sl->tid = 4711;
	ck_assert(push(1, 5));
	ck_assert(!sn_ring_find_exit(&seg, slot, seg.slots[slot].head, 4711, comm));
	sn_cpu_thread_exit(&seg, slot, true);
	ck_assert(sn_ring_find_exit(&seg, slot, seg.slots[slot].head, 4711, comm));
	ck_assert(!sn_ring_find_exit(&seg, slot, seg.slots[slot].head, 4712, comm));
	ck_assert_str_ne(comm, "");
}
END_TEST

/* Nesting: a signal that pushes interrupts a writer that pushes, while another thread drains. */
static uint32_t stop;
static uint64_t pushed_nested, pushed_below;

static void
on_alarm(int sig)
{
	(void)sig;
	pushed_nested += push(2, 9);
}

static void
take_nested(void *ctx, uint32_t at, const struct sn_record *record)
{
	struct taken *t = ctx;
	uint64_t frame;

	(void)at;
	for (uint16_t i = 0; i < record->rec.nframes; i++) {
		memcpy(&frame, record->payload + i * 8u, sizeof(frame));
		t->torn += frame != record->rec.time_ns;
	}
	t->count++;
}

static void *
drain_until_stopped(void *arg)
{
	while (!SN_LOAD_ACQUIRE(&stop))
		(void)sn_drain_ring(&seg, slot, UINT32_MAX, -1, false, &pos, take_nested, arg);
	return NULL;
}

START_TEST(push_interrupted_by_push_is_never_torn)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval fast = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };
	struct taken t = { 0 };
	sigset_t set, old;
	pthread_t drainer;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	(void)pthread_sigmask(SIG_BLOCK, &set, &old);	/* the drainer never takes it */
	ck_assert_int_eq(pthread_create(&drainer, NULL, drain_until_stopped, &t), 0);
	(void)sigaction(SIGALRM, &sa, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)setitimer(ITIMER_REAL, &fast, NULL);
	for (int i = 0; i < 300000; i++)
		pushed_below += push(1, (uint16_t)(1 + i % 61));
	(void)setitimer(ITIMER_REAL, &off, NULL);
	SN_STORE_RELEASE(&stop, 1u);
	ck_assert_int_eq(pthread_join(drainer, NULL), 0);
	(void)sn_drain_ring(&seg, slot, UINT32_MAX, -1, false, &pos, take_nested, &t);
	ck_assert_uint_eq(t.count, pushed_below + pushed_nested);
	ck_assert_uint_eq(t.torn, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ring");
	TCase *tc = tcase_create("ring");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, push_then_drain_gives_records_in_order);
	tcase_add_test(tc, pages_given_back_take_no_record_along);
	tcase_add_test(tc, push_to_full_ring_is_refused_until_drained);
	tcase_add_test(tc, records_of_odd_sizes_wrap_around_many_times_unharmed);
	tcase_add_test(tc, drain_wipes_what_it_took);
	tcase_add_test(tc, drain_stops_at_a_record_still_being_written);
	tcase_add_test(tc, old_record_at_the_right_place_never_passes);
	tcase_add_test(tc, hostile_records_are_counted_and_never_taken);
	tcase_add_test(tc, find_exit_gives_the_name_that_a_thread_left);
	tcase_add_test(tc, push_interrupted_by_push_is_never_torn);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test_frames.c - blocks that a program registers by __register_frame: how they come to the collector.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "collect/frames.h"
#include "control/control.h"

#define NSLOTS 4u

static struct sn_live_page page;
static struct sn_live_state state;
static struct sn_process process;
static struct sn_frames_view view;
static struct sn_frames_change change;
static bool is_sealed;

bool
sn_control_is_sealed(void)
{
	return is_sealed;
}

static void
new_segment(void)
{
	static const struct sn_segment_options o = { .period_ns = 10000000, .tick_ns = 4000000, .hz = 100 };
	uint64_t bytes = sn_segment_size(NSLOTS, SN_RING_FRAMES);
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(base, MAP_FAILED);
	sn_segment_format(base, NSLOTS, SN_RING_FRAMES, 77, &o);
	ck_assert_int_eq(sn_segment_open(&state.segment, base, bytes), 0);
	process.seg = state.segment;
	process.has_segment = true;
	memset(&view, 0, sizeof(view));
	page.state = &state;
	sn_live_page = &page;
	sn_frames_begin();
}

static void
tear_down(void)
{
	(void)munmap(state.segment.base, state.segment.bytes);
	page.state = NULL;
	is_sealed = false;
}

/* A CIE and FDEs of so many bytes together, and the zero behind them unless that is not wanted. */
static uint8_t *
fill(uint8_t *to, uint32_t bytes, bool ends)
{
	uint32_t at = 0;

	ck_assert(bytes % 32 == 0);
	memset(to, 0x41, bytes);
	for (; at < bytes; at += 32) {
		memcpy(to + at, &(uint32_t){ 28 }, 4);
		memcpy(to + at + 4, &(uint32_t){ at == 0 ? 0 : at + 4 }, 4);
	}
	if (ends)
		memset(to + at, 0, 4);
	return to;
}

static uint8_t *
block(uint32_t bytes)
{
	uint8_t *b = malloc(bytes + 4);

	ck_assert_ptr_nonnull(b);
	return fill(b, bytes, true);
}

static bool
next(void)
{
	return sn_process_frames_next(&process, &view, &change);
}

static uint32_t
refused(void)
{
	return state.segment.frames->refused;
}

START_TEST(registered_block_is_told_of_once_and_when_it_goes)
{
	uint8_t *b = block(96);

	ck_assert(!next());
	sn_control_frames_registered(b, false);
	ck_assert(next());
	ck_assert_uint_eq(change.address, (uintptr_t)b);
	ck_assert_uint_eq(change.bytes, 96);
	ck_assert_mem_eq(change.data, b, 96);
	ck_assert(!next());
	ck_assert(!next());
	ck_assert(sn_control_frames_leave(b));
	ck_assert(next());
	ck_assert_uint_eq(change.bytes, 0);
	ck_assert(!next());
	ck_assert_uint_eq(refused(), 0);
	free(b);
}
END_TEST

START_TEST(block_that_came_and_went_between_two_looks_is_not_told_of)
{
	uint8_t *b = block(96);

	sn_control_frames_registered(b, false);
	(void)sn_control_frames_leave(b);
	ck_assert(!next());
	ck_assert(!next());
	free(b);
}
END_TEST

START_TEST(memory_that_is_registered_again_is_another_block)
{
	uint8_t *b = block(96);

	sn_control_frames_registered(b, false);
	ck_assert(next() && !next());
	fill(b, 64, true);
	sn_control_frames_registered(b, false);
	ck_assert(next());
	ck_assert_uint_eq(change.bytes, 64);
	ck_assert(!next());
	(void)sn_control_frames_leave(b);
	ck_assert(next() && !next());
	free(b);
}
END_TEST

START_TEST(block_longer_than_the_bound_is_cut_at_a_record_and_counted)
{
	uint8_t *b = block(SN_FRAMES_BLOCK_MAX + 32);

	sn_control_frames_registered(b, false);
	ck_assert(next());
	ck_assert_uint_eq(change.bytes, SN_FRAMES_BLOCK_MAX);
	ck_assert_uint_eq(refused(), 1);
	(void)sn_control_frames_leave(b);
	free(b);
}
END_TEST

START_TEST(what_is_no_section_is_refused_and_counted)
{
	uint8_t *b = block(96);

	memcpy(b + 4, &(uint32_t){ 24 }, 4);		/* an FDE comes first */
	sn_control_frames_registered(b, false);
	ck_assert(sn_control_frames_leave(b));
	fill(b, 96, true);
	memcpy(b + 32, &(uint32_t){ UINT32_MAX }, 4);	/* 64-bit */
	sn_control_frames_registered(b, false);
	ck_assert(sn_control_frames_leave(b));
	fill(b, 96, true);
	memcpy(b + 32, &(uint32_t){ 3 }, 4);		/* no room for what it is */
	sn_control_frames_registered(b, false);
	ck_assert(sn_control_frames_leave(b));
	ck_assert(!next());
	ck_assert_uint_eq(refused(), 3);
	memset(b, 0, 4);				/* empty */
	sn_control_frames_registered(b, false);
	sn_control_frames_registered(NULL, false);
	ck_assert(sn_control_frames_leave(b));
	ck_assert(!next());
	ck_assert_uint_eq(refused(), 3);
	free(b);
}
END_TEST

START_TEST(block_without_an_end_that_can_be_read_is_no_fault)
{
	uint8_t *m = mmap(NULL, 2 * SN_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(m, MAP_FAILED);
	ck_assert_int_eq(mprotect(m + SN_PAGE, SN_PAGE, PROT_NONE), 0);
	fill(m + SN_PAGE - 96, 96, false);
	sn_control_frames_registered(m + SN_PAGE - 96, false);
	sn_control_frames_registered(m + SN_PAGE, false);
	memcpy(m + SN_PAGE - 32, &(uint32_t){ 60 }, 4);
	sn_control_frames_registered(m + SN_PAGE - 96, false);
	sn_control_frames_registered((void *)(uintptr_t)0x7ffffffffffff000, false);
	sn_control_frames_registered((void *)UINTPTR_MAX, false);
	ck_assert(!next());
	ck_assert_uint_eq(refused(), 5);
	(void)sn_control_frames_leave(m + SN_PAGE);
	(void)sn_control_frames_leave(m + SN_PAGE - 96);
	(void)sn_control_frames_leave((void *)(uintptr_t)0x7ffffffffffff000);
	(void)sn_control_frames_leave((void *)UINTPTR_MAX);
	(void)munmap(m, 2 * SN_PAGE);
}
END_TEST

START_TEST(full_pool_counts_and_has_room_again_when_a_block_goes)
{
	enum { FIT = SN_FRAMES_POOL / SN_FRAMES_BLOCK_MAX };
	uint8_t *b[FIT + 1];
	int seen = 0;

	for (int i = 0; i <= FIT; i++) {
		b[i] = block(SN_FRAMES_BLOCK_MAX);
		b[i][9] = (uint8_t)i;
		sn_control_frames_registered(b[i], false);
		ck_assert_uint_eq(refused(), i == FIT);
	}
	while (next())
		seen++;
	ck_assert_int_eq(seen, FIT);
	(void)sn_control_frames_leave(b[FIT]);
	(void)sn_control_frames_leave(b[5]);
	sn_control_frames_registered(b[FIT], false);
	ck_assert(next());
	ck_assert_uint_eq(change.address, (uintptr_t)b[FIT]);
	ck_assert_mem_eq(change.data, b[FIT], SN_FRAMES_BLOCK_MAX);
	ck_assert(!next());
	for (int i = 0; i <= FIT; i++) {
		(void)sn_control_frames_leave(b[i]);
		free(b[i]);
	}
}
END_TEST

START_TEST(pool_is_whole_again_after_many_blocks_of_many_sizes)
{
	uint8_t *b[64] = { NULL }, *large = block(SN_FRAMES_BLOCK_MAX);
	unsigned seed = 7;

	for (int i = 0; i < 5000; i++) {
		unsigned n = (unsigned)rand_r(&seed) % 64;

		if (b[n] != NULL) {
			(void)sn_control_frames_leave(b[n]);
			free(b[n]);
			b[n] = NULL;
		} else {
			b[n] = block(32 * (1 + (unsigned)rand_r(&seed) % 400));
			memset(b[n] + 8, (int)n, 24);
			sn_control_frames_registered(b[n], false);
		}
	}
	ck_assert_uint_eq(refused(), 0);
	while (next()) {
		unsigned n = 0;

		while (n < 64 && (uintptr_t)b[n] != change.address)
			n++;
		ck_assert_uint_lt(n, 64);
		ck_assert_mem_eq(change.data, b[n], change.bytes);
	}
	for (int n = 0; n < 64; n++) {
		(void)sn_control_frames_leave(b[n]);
		free(b[n]);
	}
	for (uint32_t i = 0; i < SN_FRAMES_POOL / SN_FRAMES_BLOCK_MAX; i++)
		sn_control_frames_registered(i == 0 ? large : block(SN_FRAMES_BLOCK_MAX), false);
	ck_assert_uint_eq(refused(), 0);
}
END_TEST

START_TEST(more_blocks_than_places_are_counted)
{
	uint8_t *all = malloc((SN_FRAMES_BLOCKS + 3) * 68);
	int seen = 0;

	ck_assert_ptr_nonnull(all);
	for (uint32_t i = 0; i < SN_FRAMES_BLOCKS + 3; i++)
		sn_control_frames_registered(fill(all + i * 68, 64, true), i == SN_FRAMES_BLOCKS + 2);
	ck_assert_uint_eq(refused(), 3);
	while (next())
		seen++;
	ck_assert_int_eq(seen, SN_FRAMES_BLOCKS);
	/* One that was not told to anybody, and is not known: nobody must hear that it goes. */
	ck_assert(!sn_control_frames_leave(all + (SN_FRAMES_BLOCKS + 2) * 68));
	ck_assert(sn_control_frames_leave(all));
	ck_assert(next());
	ck_assert_uint_eq(change.index, 0);
	free(all);
}
END_TEST

START_TEST(real_function_hears_the_end_of_what_it_was_told_of_only)
{
	uint8_t *a = block(64), *b = block(64);

	ck_assert(sn_control_frames_leave(a));		/* not known at all: its own affair */
	sn_control_frames_registered(a, true);
	sn_control_frames_registered(b, false);
	ck_assert(!sn_control_frames_leave(a));
	ck_assert(sn_control_frames_leave(b));
	free(a);
	free(b);
}
END_TEST

START_TEST(blocks_of_before_the_segment_are_in_it)
{
	uint8_t *a = block(64), *b = block(128);
	uint32_t bytes = 0;

	sn_control_frames_registered(a, false);
	page.state = NULL;				/* a forked child, or sampling has ended */
	sn_control_frames_registered(b, false);
	(void)munmap(state.segment.base, state.segment.bytes);
	new_segment();
	while (next()) {
		ck_assert_mem_eq(change.data, (const void *)(uintptr_t)change.address, change.bytes);
		bytes += change.bytes;
	}
	ck_assert_uint_eq(bytes, 192);
	sn_frames_begin();				/* the same segment again: nothing twice, nothing lost */
	while (next())
		bytes += change.bytes;
	ck_assert_uint_eq(bytes, 384);
	page.state = NULL;
	(void)sn_control_frames_leave(a);
	page.state = &state;
	sn_frames_begin();
	bytes = 0;
	while (next())
		bytes += change.bytes;
	ck_assert_uint_eq(bytes, 128);
	free(a);
	free(b);
}
END_TEST

START_TEST(sealed_program_is_not_probed)
{
	uint8_t *b = block(64);

	is_sealed = true;
	sn_control_frames_registered(b, false);
	ck_assert(!next());
	ck_assert_uint_eq(refused(), 1);
	free(b);
}
END_TEST

START_TEST(spoilt_blocks_yield_nothing_beyond_the_pool)
{
	struct sn_segment_frames *f = state.segment.frames;
	uint8_t *b = block(64);

	sn_control_frames_registered(b, false);
	f->block[0].at = SN_FRAMES_POOL - 32;
	f->block[1] = (struct sn_frames_block){ .turn = 2, .bytes = SN_FRAMES_BLOCK_MAX + 1 };
	f->block[2] = (struct sn_frames_block){ .turn = 2, .at = UINT32_MAX, .bytes = 64 };
	f->block[3] = (struct sn_frames_block){ .turn = 3, .at = 0, .bytes = 64 };	/* being written for ever */
	f->block[4] = (struct sn_frames_block){ .turn = 2, .at = 0, .bytes = 40 };	/* a record that goes on */
	ck_assert(next());
	ck_assert_uint_eq(change.index, 4);
	ck_assert_uint_eq(change.bytes, 32);
	ck_assert(!next());
	f->block[3].turn = 4;				/* it is done, and was not forgotten */
	ck_assert(next());
	ck_assert_uint_eq(change.index, 3);
	ck_assert(!next());
	free(b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("frames");
	TCase *c = tcase_create("frames");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, new_segment, tear_down);
	tcase_add_test(c, registered_block_is_told_of_once_and_when_it_goes);
	tcase_add_test(c, block_that_came_and_went_between_two_looks_is_not_told_of);
	tcase_add_test(c, memory_that_is_registered_again_is_another_block);
	tcase_add_test(c, block_longer_than_the_bound_is_cut_at_a_record_and_counted);
	tcase_add_test(c, what_is_no_section_is_refused_and_counted);
	tcase_add_test(c, block_without_an_end_that_can_be_read_is_no_fault);
	tcase_add_test(c, full_pool_counts_and_has_room_again_when_a_block_goes);
	tcase_add_test(c, pool_is_whole_again_after_many_blocks_of_many_sizes);
	tcase_add_test(c, more_blocks_than_places_are_counted);
	tcase_add_test(c, real_function_hears_the_end_of_what_it_was_told_of_only);
	tcase_add_test(c, blocks_of_before_the_segment_are_in_it);
	tcase_add_test(c, sealed_program_is_not_probed);
	tcase_add_test(c, spoilt_blocks_yield_nothing_beyond_the_pool);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

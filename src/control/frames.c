/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.c - what the program registers by __register_frame goes into the segment, so that code of JIT compilers can be
 * unwound as well as a library's.
 *
 * Runs in:  application threads, which allocate and lock in the real function too; sn_frames_begin also in the handler
 *           of a forked child's first tick.
 * Memory:   static.  Blocks are remembered while nothing is sampled too: sampling may begin later, and a forked child
 *           copies all that its parent had registered into the segment of its own.
 * Trust:    a pointer that the real function may not look at for long yet: every page is probed before it is read.
 * When full: the block is not taken, and counted.  In a program with a seccomp filter no page can be probed: same.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"

#define UNITS		(SN_FRAMES_POOL / SN_FRAMES_UNIT)
#define WORD_BITS	64u

/* One registration; its place here is its block's in the segment. */
struct known {
	const uint8_t *begin;		/* NULL: none */
	uint32_t unit, units;		/* of the pool; 0 units: it was not taken */
	bool swallowed;			/* there was no real function to tell */
};

static struct {
	pthread_mutex_t lock;
	struct known known[SN_FRAMES_BLOCKS];
	uint64_t used[UNITS / WORD_BITS];	/* units of the pool, a bit each */
	uint32_t end;			/* no registration at this place or behind */
	uint32_t refused;		/* those that no place was left for */
	uint32_t begun;			/* 1: there is a new segment, which has none of them yet */
	bool swallowed;			/* … one of those that no place was left for */
} frames = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* May these bytes be read?  *probed: a page from which on nothing is known, for calls with rising addresses. */
static bool
is_readable(uint64_t at, uint64_t bytes, uint64_t *probed)
{
	if (at + bytes < at)
		return false;
	for (; *probed < at + bytes; *probed += SN_PAGE)
		if (sn_syscall4(SYS_rt_sigprocmask, -1, *probed, 0, 8) != -EINVAL)
			return false;
	return true;
}

/*
 * How many bytes of records there are, at most SN_FRAMES_BLOCK_MAX, without the zero that ends them.  0: it begins with
 * no CIE (LLVM's libunwind wants single FDEs), has a record of the 64-bit kind, or no end that can be read.
 */
static uint32_t
measure(const uint8_t *begin, bool *is_whole)
{
	uint64_t start = (uint64_t)(uintptr_t)begin, probed = start & ~(uint64_t)(SN_PAGE - 1);
	uint32_t bytes = 0, head[2];

	for (;;) {
		if (!is_readable(start + bytes, 4, &probed))
			return 0;
		memcpy(head, begin + bytes, 4);
		*is_whole = head[0] == 0;
		if (*is_whole || (head[0] < UINT32_MAX && 4ull + head[0] > SN_FRAMES_BLOCK_MAX - bytes))
			return bytes;
		if (head[0] < 4 || head[0] == UINT32_MAX || !is_readable(start + bytes, 4ull + head[0], &probed))
			return 0;
		memcpy(head, begin + bytes, 8);
		if (bytes == 0 && head[1] != 0)
			return 0;
		bytes += 4 + head[0];
	}
}

static bool
is_used(uint32_t unit)
{
	return (frames.used[unit / WORD_BITS] >> unit % WORD_BITS & 1) != 0;
}

static void
set_used(const struct known *k, bool used)
{
	for (uint32_t u = k->unit; u < k->unit + k->units; u++) {
		uint64_t bit = 1ull << u % WORD_BITS, *word = &frames.used[u / WORD_BITS];

		*word = used ? *word | bit : *word & ~bit;
	}
}

/* The first room in the pool that is large enough.  False when there is none. */
static bool
find_room(uint32_t units, uint32_t *unit)
{
	uint32_t run = 0;

	for (uint32_t u = 0; u < UNITS; u++) {
		if (u % WORD_BITS == 0 && frames.used[u / WORD_BITS] == UINT64_MAX) {
			run = 0;
			u += WORD_BITS - 1;
			continue;
		}
		run = is_used(u) ? 0 : run + 1;
		if (run == units) {
			*unit = u + 1 - units;
			return true;
		}
	}
	return false;
}

/* The collector takes no block whose turn is odd, or changes under it. */
static void
write_block(struct sn_segment_frames *f, uint32_t n, uint32_t bytes)
{
	const struct known *k = &frames.known[n];
	struct sn_frames_block *b = &f->block[n];

	SN_STORE_RELAXED(&b->turn, b->turn + 1);
	SN_FENCE();
	b->at = k->unit * SN_FRAMES_UNIT;
	b->address = (uint64_t)(uintptr_t)k->begin;
	if (bytes > 0)
		memcpy(f->pool + b->at, k->begin, bytes);
	b->bytes = bytes;
	SN_STORE_RELEASE(&b->turn, b->turn + 1);
	SN_STORE_RELEASE(&f->changes, f->changes + 1);
}

static void
take_block(struct sn_segment_frames *f, uint32_t n)
{
	struct known *k = &frames.known[n];
	bool is_whole = false;
	uint32_t bytes = sn_control_is_sealed() ? 0 : measure(k->begin, &is_whole);
	uint32_t units = (bytes + SN_FRAMES_UNIT - 1) / SN_FRAMES_UNIT;

	if (bytes == 0 && is_whole)
		return;					/* nothing in it: the real function takes no notice either */
	if (bytes == 0 || !is_whole)
		SN_STORE_RELAXED(&f->refused, f->refused + 1);
	if (bytes == 0)
		return;
	if (!find_room(units, &k->unit)) {
		SN_STORE_RELAXED(&f->refused, f->refused + is_whole);
		return;
	}
	k->units = units;
	set_used(k, true);
	write_block(f, n, bytes);
}

static struct sn_segment_frames *
segment_frames(void)
{
	struct sn_live_state *live = sn_live();

	return live != NULL ? live->segment.frames : NULL;
}

/* Everything anew, into a segment that may have blocks of before. */
static void
take_all(void)
{
	struct sn_segment_frames *f = segment_frames();

	memset(frames.used, 0, sizeof(frames.used));
	if (f != NULL)
		SN_STORE_RELAXED(&f->refused, frames.refused);
	for (uint32_t n = 0; f != NULL && n < SN_FRAMES_BLOCKS && (n < frames.end || f->changes != 0); n++) {
		frames.known[n].units = 0;
		if (f->block[n].bytes != 0)
			write_block(f, n, 0);
		if (frames.known[n].begin != NULL)
			take_block(f, n);
	}
}

/* Whoever has the lock, or had it when the segment came, fills that. */
static void
fill_new_segment(void)
{
	while (SN_LOAD_ACQUIRE(&frames.begun) != 0 && pthread_mutex_trylock(&frames.lock) == 0) {
		if (__atomic_exchange_n(&frames.begun, 0, __ATOMIC_ACQ_REL) != 0)
			take_all();
		(void)pthread_mutex_unlock(&frames.lock);
	}
}

static void
unlock(void)
{
	(void)pthread_mutex_unlock(&frames.lock);
	SN_FENCE();
	fill_new_segment();
}

void
sn_frames_begin(void)
{
	SN_STORE_RELEASE(&frames.begun, 1u);
	SN_FENCE();
	fill_new_segment();
}

/* Another thread of the parent may have had the lock. */
void
sn_frames_forked(void)
{
	(void)pthread_mutex_init(&frames.lock, NULL);
}

static struct known *
find_known(const void *begin)
{
	for (uint32_t n = 0; n < frames.end; n++)
		if (frames.known[n].begin == begin)
			return &frames.known[n];
	return NULL;
}

static void
drop(struct known *k)
{
	struct sn_segment_frames *f = segment_frames();
	uint32_t n = (uint32_t)(k - frames.known);

	if (k->units != 0) {
		if (f != NULL)
			write_block(f, n, 0);
		set_used(k, false);
	}
	*k = (struct known){ .begin = NULL };
	while (frames.end > 0 && frames.known[frames.end - 1].begin == NULL)
		frames.end--;
}

void
sn_control_frames_registered(const void *begin, bool swallowed)
{
	struct sn_segment_frames *f;
	struct known *k;

	if (begin == NULL)
		return;
	(void)pthread_mutex_lock(&frames.lock);
	f = segment_frames();
	k = find_known(begin);
	if (k != NULL)
		drop(k);			/* it went without a word, and its memory has another one now */
	k = find_known(NULL);
	if (k == NULL && frames.end < SN_FRAMES_BLOCKS)
		k = &frames.known[frames.end++];
	if (k != NULL) {
		*k = (struct known){ .begin = begin, .swallowed = swallowed };
		if (f != NULL)
			take_block(f, (uint32_t)(k - frames.known));
	} else {
		frames.refused++;
		frames.swallowed |= swallowed;
		if (f != NULL)
			SN_STORE_RELAXED(&f->refused, f->refused + 1);
	}
	unlock();
}

bool
sn_control_frames_leave(const void *begin)
{
	struct known *k;
	bool swallowed;

	(void)pthread_mutex_lock(&frames.lock);
	k = begin != NULL ? find_known(begin) : NULL;
	swallowed = k != NULL ? k->swallowed : frames.swallowed;
	if (k != NULL)
		drop(k);
	unlock();
	return !swallowed;
}

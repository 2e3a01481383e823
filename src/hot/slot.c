/* SPDX-License-Identifier: Apache-2.0
 *
 * slot.c - who owns which slot, the slot's timer, and the collector's wishes.
 *
 * Runs in:  thread start and exit, and the handler (wishes only: system calls, but not on
 *           the common path).
 * Memory:   slots lie in the segment; one that is released is used again at once.
 * When full: a thread that finds no slot is not sampled, and counted.
 */
#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "hot/hot.h"

#define TAG_ONE (1ull << 32)

/* splitmix64, Steele et al. 2014: spreads a counter over 64 bits. */
static uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* The slots behind one that was never used were never used either: they need no links. */
static uint32_t
next_of(const struct sn_segment *s, uint32_t index)
{
	const struct sn_slot *sl = &s->slots[index];

	if (SN_LOAD_RELAXED(&sl->uses) == 0)
		return index + 1 < s->nslots ? index + 2 : 0;
	return SN_LOAD_RELAXED(&sl->next_free);
}

uint32_t
sn_slot_claim(const struct sn_segment *s)
{
	uint64_t head = SN_LOAD_ACQUIRE(&s->shared->free_slots);
	struct sn_slot *sl;
	uint32_t first;

	do {
		first = (uint32_t)head;
		if (first == 0 || first > s->nslots) {
			(void)SN_ADD_RELAXED(&s->shared->slots_refused, 1);
			return SN_NO_SLOT;
		}
		if (first > SN_LOAD_ACQUIRE(&s->shared->slots_ready))
			return SN_NO_SLOT;	/* its ring is not mapped yet */
		/* the tag makes the CAS fail when the slot was taken and given back meanwhile */
	} while (!SN_CAS_ACQ_REL(&s->shared->free_slots, &head,
		((head & ~(TAG_ONE - 1)) + TAG_ONE) | next_of(s, first - 1)));

	sl = &s->slots[first - 1];
	if (sl->uses == 0)
		sl->acc_ns = mix(((uint64_t)s->cookie << 32 | first) ^ sn_clock_mono_ns()) %
		    s->header->options.period_ns;
	SN_STORE_RELAXED(&sl->uses, sl->uses + 1);
	sl->credited_ns = 0;
	sl->cpu_at_arming_ns = 0;
	sl->start_fn = 0;
	sl->stack_lo = sl->stack_hi = 0;
	sl->is_main = 0;
	sl->tid = 0;
	SN_STORE_RELEASE(&sl->state, SN_SLOT_CLAIMED);
	return first - 1;
}

void
sn_slot_release(const struct sn_segment *s, uint32_t slot)
{
	struct sn_slot *sl = &s->slots[slot];
	uint64_t head = SN_LOAD_RELAXED(&s->shared->free_slots);

	SN_STORE_RELEASE(&sl->state, SN_SLOT_FREE);
	do {
		SN_STORE_RELAXED(&sl->next_free, (uint32_t)head);
	} while (!SN_CAS_ACQ_REL(&s->shared->free_slots, &head,
		((head & ~(TAG_ONE - 1)) + TAG_ONE) | (slot + 1)));
}

int
sn_timer_arm(const struct sn_live_state *live, uint32_t slot, pid_t tid)
{
	const struct sn_segment *s = &live->segment;
	struct sn_slot *sl = &s->slots[slot];
	uint64_t tick = live->options.tick_ns;
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = (int)live->options.signal,
		.sigev_value.sival_ptr = (void *)(uintptr_t)((uint64_t)s->cookie << 32 | slot),
	};
	struct itimerspec when = {
		/* 1 ns: the first tick on which the thread runs already counts, or short threads vanish */
		.it_value.tv_nsec = 1,
		.it_interval = { (time_t)(tick / SN_NS_PER_SEC), (long)(tick % SN_NS_PER_SEC) },
	};
	int id = -1;
	long err;

	ev._sigev_un._tid = tid;
	sl->tid = tid;
	sl->cpu_at_arming_ns = sn_clock_ns(sn_clock_of_thread(tid));
	err = sn_syscall3(SYS_timer_create, sn_clock_of_thread(tid), &ev, &id);
	if (err == 0) {
		sl->timer_id = id;
		SN_STORE_RELEASE(&sl->state, SN_SLOT_ARMED);	/* before the first signal can come */
		err = sn_syscall4(SYS_timer_settime, id, 0, &when, NULL);
		if (err < 0)
			(void)sn_syscall1(SYS_timer_delete, id);
	}
	if (err < 0) {
		SN_STORE_RELEASE(&sl->state, SN_SLOT_UNARMED);
		(void)SN_ADD_RELAXED(&s->shared->timers_refused, 1);
	}
	return (int)err;
}

void
sn_timer_disarm(const struct sn_segment *s, uint32_t slot)
{
	struct sn_slot *sl = &s->slots[slot];

	if (SN_LOAD_RELAXED(&sl->state) == SN_SLOT_ARMED)
		(void)sn_syscall1(SYS_timer_delete, sl->timer_id);
}

/* A thread that has a slot already, or is on its way to one, must not be credited twice. */
static bool
has_slot(const struct sn_segment *s, int32_t tid)
{
	for (uint32_t i = 0; i < s->nslots && SN_LOAD_RELAXED(&s->slots[i].uses) != 0; i++) {
		uint32_t state = SN_LOAD_ACQUIRE(&s->slots[i].state);

		if (state == SN_SLOT_CLAIMED || (state != SN_SLOT_FREE && SN_LOAD_RELAXED(&s->slots[i].tid) == tid))
			return true;		/* the collector asks again */
	}
	return false;
}

static void
obey(const struct sn_live_state *live, uint32_t op, uint32_t arg)
{
	const struct sn_segment *s = &live->segment;
	uint32_t slot;

	if (op == SN_WISH_ARM && !has_slot(s, (int32_t)arg)) {
		slot = sn_slot_claim(s);
		if (slot != SN_NO_SLOT && sn_timer_arm(live, slot, (pid_t)arg) == -EINVAL)
			sn_slot_release(s, slot);	/* not a thread of ours, or no more */
	} else if (op == SN_WISH_DISARM && arg < s->nslots) {
		pid_t tid = s->slots[arg].tid;

		if (sn_syscall3(SYS_tgkill, sn_syscall0(SYS_getpid), tid, 0) == -ESRCH) {
			sn_timer_disarm(s, arg);
			sn_slot_release(s, arg);
		}
	}
}

void
sn_wishes_obey(const struct sn_live_state *live)
{
	struct sn_segment_wishes *w = live->segment.wishes;
	uint32_t posted = SN_LOAD_ACQUIRE(&w->posted);

	for (unsigned i = 0; i < SN_WISHES; i++) {
		uint64_t wish = SN_LOAD_RELAXED(&w->wish[i]);

		if (wish != 0 && SN_CAS_ACQ_REL(&w->wish[i], &wish, 0))
			obey(live, (uint32_t)(wish >> 32), (uint32_t)wish);
	}
	SN_STORE_RELAXED(&live->segment.shared->wishes_done, posted);
}

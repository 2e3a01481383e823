/* SPDX-License-Identifier: Apache-2.0
 *
 * slot.c - who owns which slot, and the slot's timer.
 *
 * Runs in:  thread start and exit, and the handler (for a wish only: system calls, but not on
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
#define WATCH_NS 20000000	/* of a thread's CPU time; a handler that only looks at a word */

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
	if (sl->uses == 0) {
		uint64_t random = mix(((uint64_t)s->cookie << 32 | first) ^ sn_clock_mono_ns());

		sl->acc_ns = random % s->header->options.period_ns;
		sl->periods = mix(random) >> 1;
	}
	SN_STORE_RELAXED(&sl->uses, sl->uses + 1);
	sl->credited_ns = 0;
	sl->cpu_at_arming_ns = 0;
	sl->start_fn = 0;
	sl->stack_lo = sl->stack_hi = 0;
	sl->is_main = 0;
	sl->tid = 0;
	sl->drive = SN_BY_TIMER;
	sl->slow_rounds = 0;
	SN_STORE_RELEASE(&sl->state, SN_SLOT_CLAIMED);
	return first - 1;
}

void
sn_slot_release(const struct sn_segment *s, uint32_t slot)
{
	struct sn_slot *sl = &s->slots[slot];
	uint64_t head = SN_LOAD_RELAXED(&s->shared->free_slots);

	SN_STORE_RELEASE(&sl->reading, 0u);	/* cancelled in the middle of a walk */
	SN_STORE_RELEASE(&sl->state, SN_SLOT_FREE);
	do {
		SN_STORE_RELAXED(&sl->next_free, (uint32_t)head);
	} while (!SN_CAS_ACQ_REL(&s->shared->free_slots, &head,
		((head & ~(TAG_ONE - 1)) + TAG_ONE) | (slot + 1)));
}

static void
drop_timer(struct sn_slot *sl)
{
	if (sl->timer_id >= 0)
		(void)sn_syscall1(SYS_timer_delete, sl->timer_id);
	sl->timer_id = -1;
}

static void
drop_all(const struct sn_segment *s, uint32_t slot)
{
	drop_timer(&s->slots[slot]);
	sn_perf_close(slot);
}

/* Its timer, at this interval from now on; made if there is none.  0 or -errno, and there is none then. */
static long
set_timer(const struct sn_live_state *live, uint32_t slot, uint64_t first_ns, uint64_t interval_ns)
{
	const struct sn_segment *s = &live->segment;
	struct sn_slot *sl = &s->slots[slot];
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = (int)live->options.signal,
		.sigev_value.sival_ptr = (void *)(uintptr_t)((uint64_t)s->cookie << 32 | slot),
	};
	struct itimerspec when = {
		.it_value.tv_nsec = (long)first_ns,
		.it_interval = { (time_t)(interval_ns / SN_NS_PER_SEC), (long)(interval_ns % SN_NS_PER_SEC) },
	};
	int id = sl->timer_id;
	long err = 0;

	ev._sigev_un._tid = sl->tid;
	if (id < 0)
		err = sn_syscall3(SYS_timer_create, sn_clock_of_thread(sl->tid), &ev, &id);
	if (err < 0)
		return err;
	sl->timer_id = id;
	err = sn_syscall4(SYS_timer_settime, id, 0, &when, NULL);
	if (err < 0)
		drop_timer(sl);
	return err;
}

/* The slot is ARMING, and ours: make its timer run.  0 or -errno. */
static int
start_timer(const struct sn_live_state *live, uint32_t slot)
{
	const struct sn_segment *s = &live->segment;
	struct sn_slot *sl = &s->slots[slot];
	uint32_t arming = SN_SLOT_ARMING;
	long err = 0;

	SN_STORE_RELAXED(&sl->more_ticks, 0u);	/* until its first: see sn_slot_keep_pace */
	if (live->options.drive == SN_DRIVE_ITIMER)
		drop_timer(sl);		/* that which only looks at a word; the process has one for all */
	else
		/* 1 ns: the first tick on which the thread runs already counts, or short threads vanish */
		err = set_timer(live, slot, 1, live->options.tick_ns);
	if (!SN_CAS_ACQ_REL(&sl->state, &arming, err < 0 ? SN_SLOT_UNARMED : SN_SLOT_ARMED)) {
		drop_all(s, slot);
		sn_slot_release(s, slot);	/* its thread has left meanwhile */
	} else if (err < 0) {
		(void)SN_ADD_RELAXED(&s->shared->timers_refused, 1);
	}
	return (int)err;
}

/* What is known of the thread in the slot before any timer. */
static void
settle_in(struct sn_slot *sl, pid_t tid)
{
	sl->tid = tid;
	sl->timer_id = -1;
	sl->cpu_at_arming_ns = sn_clock_ns(sn_clock_of_thread(tid));
}

int
sn_timer_arm(const struct sn_live_state *live, uint32_t slot, pid_t tid)
{
	struct sn_slot *sl = &live->segment.slots[slot];

	settle_in(sl, tid);
	SN_STORE_RELEASE(&sl->state, SN_SLOT_ARMING);	/* before the first signal can come */
	return start_timer(live, slot);
}

/*
 * The slot is DISARMING, and ours.  A signal from outside could tell the program to begin again, but one that meets
 * an exec on its way ends the new image; timers the kernel takes away there.
 */
static void
stop_timer(const struct sn_live_state *live, uint32_t slot)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	uint32_t disarming = SN_SLOT_DISARMING;

	sn_perf_close(slot);
	if (SN_LOAD_RELAXED(&sl->drive) != SN_BY_TIMER_ONLY)
		SN_STORE_RELAXED(&sl->drive, SN_BY_TIMER);
	if (live->options.watch && SN_LOAD_ACQUIRE(&sn_seal) < SN_MUTED)
		(void)set_timer(live, slot, WATCH_NS, WATCH_NS);	/* refused: it will not be sampled */
	else
		drop_timer(sl);
	if (!SN_CAS_ACQ_REL(&sl->state, &disarming, SN_SLOT_IDLE)) {
		drop_all(&live->segment, slot);
		sn_slot_release(&live->segment, slot);
	}
}

void
sn_slot_follow(const struct sn_live_state *live, uint32_t slot, bool on)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	uint32_t state = on ? SN_SLOT_IDLE : SN_SLOT_ARMED;

	if ((on && SN_LOAD_ACQUIRE(&sn_seal) >= SN_MUTED) ||
	    !SN_CAS_ACQ_REL(&sl->state, &state, on ? SN_SLOT_ARMING : SN_SLOT_DISARMING))
		return;
	if (on)
		(void)start_timer(live, slot);		/* refused: counted there */
	else
		stop_timer(live, slot);
}

/* Another thread may have switched sampling meanwhile, and have let this slot alone. */
static void
look_again(const struct sn_live_state *live, uint32_t slot, bool on)
{
	SN_FENCE();		/* who obeys the word at this moment sees our state, or we its word */
	if ((SN_LOAD_ACQUIRE(&live->segment.wishes->sampling) != 0 && SN_LOAD_ACQUIRE(&sn_seal) < SN_MUTED) != on)
		sn_slot_follow(live, slot, !on);
}

/* The slot is ARMING, and ours.  The event is there before the timer goes: a process that dies here loses nothing. */
static void
change_to_perf(const struct sn_live_state *live, uint32_t slot)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	struct sn_segment_shared *sh = live->segment.shared;
	int err = sn_perf_open(live, slot);

	if (err == 0) {
		drop_timer(sl);
		return;
	}
	SN_STORE_RELAXED(&sl->drive, SN_BY_TIMER_ONLY);
	if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOSPC) {
		(void)SN_ADD_RELAXED(&sh->perf_refused, 1);	/* this thread only: a limit */
		return;
	}
	SN_STORE_RELEASE(&sn_live_page->perf_open, 0u);
	SN_STORE_RELAXED(&sh->perf_errno, -err);
	SN_STORE_RELEASE(&sh->drive_why, (uint32_t)SN_WHY_REFUSED);
}

static void
restart(const struct sn_live_state *live, uint32_t slot)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	uint32_t armed = SN_SLOT_ARMED;

	if (sl->timer_id >= 0 || !SN_CAS_ACQ_REL(&sl->state, &armed, SN_SLOT_ARMING))
		return;
	sn_perf_close(slot);
	SN_STORE_RELAXED(&sl->drive, live->options.drive == SN_DRIVE_PERF ? SN_BY_TIMER : SN_BY_TIMER_ONLY);
	(void)start_timer(live, slot);		/* refused: counted there */
	look_again(live, slot, true);
}

void
sn_slot_use_perf(const struct sn_live_state *live, uint32_t slot)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	uint32_t armed = SN_SLOT_ARMED, arming = SN_SLOT_ARMING;

	if (sn_own_slot == 0)
		sn_own_slot = slot + 1;
	if (SN_LOAD_ACQUIRE(&sn_live_page->perf_open) == 0 || sn_own_slot != slot + 1 ||
	    SN_LOAD_RELAXED(&sl->drive) != SN_BY_TIMER)
		return;
	if (live->options.drive_is_auto && !sn_perf_suits())
		return;
	if (!SN_CAS_ACQ_REL(&sl->state, &armed, SN_SLOT_ARMING))
		return;
	change_to_perf(live, slot);
	/* Nobody else ends the slot of a thread that runs. */
	(void)SN_CAS_ACQ_REL(&sl->state, &arming, SN_SLOT_ARMED);
	SN_FENCE();		/* who ends all events sees ours, or we its word */
	if (SN_LOAD_ACQUIRE(&sn_live_page->perf_open) == 0)
		restart(live, slot);
	look_again(live, slot, true);
}

/*
 * The timer has just expired: what it stands for up to now is credited.  The next expiry stands for m ticks and comes
 * after 1 to m of them by chance, so that however soon the thread ends, it is credited what it uses, on average.  Half
 * a tick less is asked for: the signal is a moment late, and must not miss its tick for that.
 */
void
sn_slot_keep_pace(const struct sn_live_state *live, uint32_t slot)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	uint32_t ticks = sn_pace_ticks(SN_LOAD_RELAXED(&live->segment.wishes->pace));
	uint32_t armed = SN_SLOT_ARMED, arming = SN_SLOT_ARMING;
	uint64_t tick_ns = live->options.tick_ns;
	long err;

	if (SN_LOAD_RELAXED(&live->options.drive) != SN_DRIVE_TIMER || SN_LOAD_ACQUIRE(&sn_seal) != 0 ||
	    sl->timer_id < 0 || !SN_CAS_ACQ_REL(&sl->state, &armed, SN_SLOT_ARMING))
		return;
	err = set_timer(live, slot, (mix(sl->credited_ns ^ sn_clock_mono_ns()) % ticks) * tick_ns + tick_ns / 2,
		ticks * tick_ns);
	SN_STORE_RELAXED(&sl->more_ticks, ticks - 1);
	if (err < 0)
		(void)SN_ADD_RELAXED(&live->segment.shared->timers_refused, 1);
	/* Nobody else ends the slot of a thread that runs. */
	(void)SN_CAS_ACQ_REL(&sl->state, &arming, err < 0 ? SN_SLOT_UNARMED : SN_SLOT_ARMED);
	look_again(live, slot, true);
}

void
sn_slots_restart(const struct sn_live_state *live)
{
	const struct sn_segment *s = &live->segment;

	for (uint32_t i = 0; i < s->nslots && SN_LOAD_RELAXED(&s->slots[i].uses) != 0; i++)
		restart(live, i);
}

void
sn_slots_use_timers(struct sn_live_state *live, uint32_t why)
{
	uint32_t none = SN_WHY_NONE;

	if (live->options.drive == SN_DRIVE_TIMER)
		return;
	(void)SN_CAS_ACQ_REL(&live->segment.shared->drive_why, &none, why);
	SN_STORE_RELEASE(&sn_live_page->perf_open, 0u);
	SN_STORE_RELEASE(&live->options.drive, (uint32_t)SN_DRIVE_TIMER);
	SN_FENCE();
	sn_slots_restart(live);
}

/* In the middle of being armed or disarmed: who does that looks at the word afterwards. */
static bool
is_busy(const struct sn_slot *sl)
{
	uint32_t state = SN_LOAD_ACQUIRE(&sl->state);

	return state == SN_SLOT_CLAIMED || state == SN_SLOT_ARMING || state == SN_SLOT_DISARMING;
}

void
sn_slots_mute(const struct sn_live_state *live)
{
	const struct sn_segment *s = &live->segment;

	for (uint32_t i = 0; i < s->nslots && SN_LOAD_RELAXED(&s->slots[i].uses) != 0; i++) {
		struct sn_slot *sl = &s->slots[i];
		uint32_t state;

		for (int tries = 0; is_busy(sl) && tries < 1000; tries++)
			(void)sn_syscall0(SYS_sched_yield);
		state = SN_LOAD_ACQUIRE(&sl->state);
		if ((state == SN_SLOT_ARMED || state == SN_SLOT_IDLE) &&
		    SN_CAS_ACQ_REL(&sl->state, &state, SN_SLOT_DISARMING))
			stop_timer(live, i);
	}
}

int
sn_slot_begin(const struct sn_live_state *live, uint32_t slot, pid_t tid)
{
	const struct sn_segment *s = &live->segment;
	bool on = SN_LOAD_ACQUIRE(&s->wishes->sampling) != 0 && SN_LOAD_ACQUIRE(&sn_seal) < SN_MUTED;
	int err = 0;

	if (on) {
		err = sn_timer_arm(live, slot, tid);
	} else {
		settle_in(&s->slots[slot], tid);
		SN_STORE_RELEASE(&s->slots[slot].state, SN_SLOT_DISARMING);
		stop_timer(live, slot);
	}
	look_again(live, slot, on);
	return err;
}

/* A thread that has a slot already, or is on its way to one, must not be credited twice. */
bool
sn_slot_has(const struct sn_segment *s, int32_t tid)
{
	for (uint32_t i = 0; i < s->nslots && SN_LOAD_RELAXED(&s->slots[i].uses) != 0; i++) {
		uint32_t state = SN_LOAD_ACQUIRE(&s->slots[i].state);

		if (state == SN_SLOT_CLAIMED || (state != SN_SLOT_FREE && SN_LOAD_RELAXED(&s->slots[i].tid) == tid))
			return true;		/* the collector asks again */
	}
	return false;
}

int
sn_slot_adopt(const struct sn_live_state *live, pid_t tid)
{
	const struct sn_segment *s = &live->segment;
	uint32_t slot;
	int err;

	if (sn_slot_has(s, tid))
		return -EEXIST;
	slot = sn_slot_claim(s);
	if (slot == SN_NO_SLOT)
		return -ENOSPC;
	err = sn_slot_begin(live, slot, tid);
	if (err == -EINVAL)
		sn_slot_release(s, slot);	/* not a thread of ours, or no more */
	return err;
}

void
sn_slot_leave(const struct sn_segment *s, uint32_t slot)
{
	struct sn_slot *sl = &s->slots[slot];
	uint32_t state = SN_LOAD_ACQUIRE(&sl->state);
	bool told = false, busy;

	/* Each round that fails does so because another thread has finished what it did to the slot. */
	do {
		if (state == SN_SLOT_FREE || state == SN_SLOT_LEFT)
			return;
		busy = state == SN_SLOT_ARMING || state == SN_SLOT_DISARMING;
		if (busy && !told) {
			sn_cpu_thread_exit(s, slot, true);	/* now: after the CAS the slot may be another's */
			told = true;
		}
	} while (!SN_CAS_ACQ_REL(&sl->state, &state, busy ? SN_SLOT_LEFT : SN_SLOT_DISARMING));
	if (busy)
		return;
	if (state == SN_SLOT_ARMED || state == SN_SLOT_IDLE)
		drop_all(s, slot);
	if (!told)
		sn_cpu_thread_exit(s, slot, state != SN_SLOT_UNARMED);
	sn_slot_release(s, slot);
}

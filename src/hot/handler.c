/* SPDX-License-Identifier: Apache-2.0
 *
 * handler.c - what SIGPROF does.
 *
 * Runs in:  the signal handler, on any thread, also on one made by a raw clone() that shares
 *           its creator's TLS: the slot comes from siginfo, and errno is kept.
 */
#include <errno.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "hot/hot.h"

static struct sn_live_page never_live;

struct sn_live_page *sn_live_page = &never_live;
uint32_t sn_newest_cookie;
uint32_t sn_seal;
sn_first_tick_fn *sn_first_tick;
__thread uint32_t sn_own_slot;

/* Wishes are rare: one load on the common path. */
static bool
has_wishes(const struct sn_segment *s)
{
	return SN_LOAD_RELAXED(&s->wishes->posted) != SN_LOAD_RELAXED(&s->shared->wishes_done) &&
	    SN_LOAD_RELAXED(&sn_seal) == 0;
}

enum origin { FOREIGN, NUDGE, TIMER, PERF, ITIMER };

/*
 * Whose signal?  That of a perf event says no more than that; a process that has had one gets no such signal from
 * elsewhere.  One may come late: when its thread has left its slot, or nothing is sampled any more.
 */
static enum origin
origin_of(const siginfo_t *si)
{
	uint64_t value = (uint64_t)(uintptr_t)si->si_value.sival_ptr;

	switch (si->si_code) {
	case SI_USER:
		/*
		 * Where no more signals may be queued (RLIMIT_SIGPENDING), a nudge comes without what it said, as if
		 * nobody had sent it: the default action would end the program.  So do the program's own timers,
		 * which its handler gets.
		 */
		return si->si_pid == 0 && sn_foreign_action()->sa_handler == SIG_DFL ? NUDGE : FOREIGN;
	case SI_QUEUE:
		return (uint32_t)value == SN_NUDGE ? NUDGE : FOREIGN;
	case SI_TIMER:
		return (value >> 32) == sn_newest_cookie && sn_newest_cookie != 0 ? TIMER : FOREIGN;
	case POLL_IN:
		return SN_LOAD_RELAXED(&sn_live_page->had_perf) != 0 ? PERF : FOREIGN;
	case SI_KERNEL:
		return SN_LOAD_RELAXED(&sn_live_page->itimer_on) != 0 ? ITIMER : FOREIGN;
	default:
		return FOREIGN;
	}
}

bool
sn_signal_is_ours(const siginfo_t *si)
{
	return origin_of(si) != FOREIGN;
}

static void
timer_tick(const struct sn_live_state *live, uint32_t slot, int overrun, const ucontext_t *uc)
{
	if (slot >= live->segment.nslots || sn_perf_page(slot) != NULL)
		return;			/* on its way when a perf event took over */
	sn_cpu_tick(live, slot, overrun, uc);
	if (live->options.drive == SN_DRIVE_PERF)
		sn_slot_use_perf(live, slot);
}

/* The slot is that of this very thread: an event is only made where that is so. */
static void
perf_tick(struct sn_live_state *live, const ucontext_t *uc)
{
	uint32_t slot = sn_own_slot - 1;
	uint32_t why = SN_LOAD_RELAXED(&live->segment.wishes->drive_why);

	if (slot >= live->segment.nslots || sn_perf_page(slot) == NULL)
		return;			/* on its way when the event ended */
	if (!sn_cpu_period(live, slot, uc))
		sn_slots_use_timers(live, SN_WHY_SLOW);
	else if (why != SN_WHY_NONE)
		sn_slots_use_timers(live, why);
}

static void
itimer_tick(const struct sn_live_state *live, const ucontext_t *uc)
{
	uint32_t slot = sn_itimer_slot(live);

	if (slot != SN_NO_SLOT)
		sn_cpu_tick(live, slot, 0, uc);
}

void
sn_handler(int sig, siginfo_t *si, void *ucontext)
{
	int saved = errno;
	struct sn_live_state *live = sn_live();
	uint32_t slot = (uint32_t)(uintptr_t)si->si_value.sival_ptr;
	enum origin origin = origin_of(si);
	sn_first_tick_fn *first_tick = SN_LOAD_RELAXED(&sn_first_tick);

	if (origin == FOREIGN) {
		sn_foreign_deliver(sig, si, ucontext);
	} else if (live != NULL) {
		if (origin == TIMER)
			timer_tick(live, slot, si->si_overrun, ucontext);
		else if (origin == PERF)
			perf_tick(live, ucontext);
		else if (origin == ITIMER)
			itimer_tick(live, ucontext);
		if (has_wishes(&live->segment))
			sn_wishes_obey(live);
	} else if (origin == TIMER && slot == SN_NO_SLOT && first_tick != NULL && SN_LOAD_RELAXED(&sn_seal) == 0) {
		first_tick(si->si_overrun, ucontext);
	}
	errno = saved;
}

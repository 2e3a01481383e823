/* SPDX-License-Identifier: Apache-2.0
 *
 * live.h - the live word: is this process being sampled?
 *
 * The word lies in a page of its own with MADV_WIPEONFORK: in every kind of child that has a
 * copy of our memory (fork, _Fork, raw clone) it reads NULL, and every hook forwards.  The
 * segment itself is MADV_DONTFORK there.
 */
#ifndef SN_HOT_LIVE_H
#define SN_HOT_LIVE_H

#include "base/atomic.h"
#include "segment/layout.h"

/* What sampling needs, private to the process: nobody can change it under the handler. */
struct sn_live_state {
	struct sn_segment segment;
	struct sn_segment_options options;	/* drive changes when it gives way to the timer */
};

struct sn_live_page {
	struct sn_live_state *state;	/* NULL: not sampling */
	uint32_t inside;		/* 1: the collector inside was started by this very process */
	uint32_t perf_open;		/* 1: threads may begin perf events */
	uint32_t had_perf;		/* 1: there may have been some; stays */
	uint32_t itimer_on;		/* 1: ITIMER_PROF is ours */
	struct sn_slot_own *own;	/* one for each slot of the segment; NULL: no room, then without perf events */
};

/* What of a slot is the process's alone. */
struct sn_slot_own {
	void *perf_page;		/* mapping that holds the perf event of its thread, or NULL */
	void *(*start)(void *);		/* of a thread on its way, and its argument */
	void *start_arg;
};

/*
 * A seccomp filter is in force that was not made for us.  SEALED: application threads, in the handler too, make no
 * system call of ours.  MUTED: they get no signal of ours either, for the filter kills when a handler returns.
 * STRICT: nor may a clock be read, for on x86 that mode takes the time stamp counter away.
 */
enum { SN_SEALED = 1, SN_MUTED = 2, SN_STRICT = 3 };
extern uint32_t sn_seal;

/* Points to a static page of zeros until sn_control_start() has mapped the real one. */
extern struct sn_live_page *sn_live_page;

/* The mapping that holds the perf event of the slot's thread, or NULL. */
static inline void *
sn_perf_page(uint32_t slot)
{
	struct sn_slot_own *own = SN_LOAD_ACQUIRE(&sn_live_page->own);

	return own != NULL ? SN_LOAD_RELAXED(&own[slot].perf_page) : NULL;
}

static inline struct sn_live_state *
sn_live(void)
{
	return SN_LOAD_ACQUIRE(&sn_live_page->state);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.c - which engine drives the sampling: what can be known before the first tick, and what becomes of perf
 * events and ITIMER_PROF when the program execs, seals itself, or wants the timer for itself (DESIGN §5).
 *
 * Runs in:  application threads: when sampling begins, around exec, in setitimer.  Raw system calls.
 * Memory:   a word: what a child of fork need not find out again.
 */
#include <signal.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "base/trial.h"
#include "source/source.h"

static enum { NOT_READ, NO_FILTER, FILTER } seccomp;

static uint32_t
why_not_perf(const struct sn_live_state *live)
{
	/* A real-time signal of a perf event that finds no room in the queue becomes a SIGIO, and ends the program. */
	if (live->options.signal != SIGPROF)
		return SN_WHY_SIGNAL;
	if (!live->options.drive_is_auto)
		return SN_WHY_NONE;
	if (seccomp == NOT_READ)
		seccomp = sn_trial_is_filtered() ? FILTER : NO_FILTER;
	return seccomp == FILTER ? SN_WHY_SECCOMP : SN_WHY_NONE;
}

void
sn_engine_begin(struct sn_live_state *live)
{
	struct sn_segment_shared *sh = live->segment.shared;
	uint32_t why = SN_WHY_NONE;

	if (live->options.drive == SN_DRIVE_PERF)
		why = why_not_perf(live);
	else if (live->options.drive == SN_DRIVE_ITIMER && live->options.signal != SIGPROF)
		why = SN_WHY_SIGNAL;
	SN_STORE_RELEASE(&live->segment.wishes->drive_why, (uint32_t)SN_WHY_NONE);
	SN_STORE_RELEASE(&sh->drive_why, why);
	if (why != SN_WHY_NONE)
		live->options.drive = SN_DRIVE_TIMER;
	if (live->options.drive == SN_DRIVE_PERF)
		SN_STORE_RELEASE(&sn_live_page->had_perf, 1u);
	SN_STORE_RELEASE(&sn_live_page->perf_open, live->options.drive == SN_DRIVE_PERF ? 1u : 0u);
	if (live->options.drive == SN_DRIVE_ITIMER && !live->options.idle && !sn_itimer_start(live)) {
		sh->drive_why = SN_WHY_OWN_ITIMER;
		live->options.drive = SN_DRIVE_TIMER;
	}
}

bool
sn_engine_takes_itimer(void)
{
	return SN_LOAD_RELAXED(&sn_live_page->itimer_on) != 0;
}

void
sn_engine_give_way(struct sn_live_state *live, uint32_t why)
{
	struct timespec moment = { .tv_nsec = 1000000 };

	if (sn_engine_takes_itimer()) {
		sn_itimer_stop();
		/* Its last signal may be on its way to another thread, and would be taken for the program's. */
		(void)sn_syscall2(SYS_nanosleep, &moment, NULL);
		SN_STORE_RELEASE(&sn_live_page->itimer_on, 0u);
	}
	sn_slots_use_timers(live, why);
}

/* What is pending for this thread and is ours goes; what is the program's is put back. */
static void
drain(int signal)
{
	uint64_t set = 1ull << (signal - 1);
	struct timespec none = { 0 };
	siginfo_t si, theirs;
	bool has_theirs = false;

	while (sn_syscall4(SYS_rt_sigtimedwait, &set, &si, &none, sizeof(set)) == signal) {
		if (!sn_signal_is_ours(&si)) {
			theirs = si;
			has_theirs = true;
		}
	}
	if (has_theirs)
		(void)sn_syscall4(SYS_rt_tgsigqueueinfo, sn_syscall0(SYS_getpid), sn_syscall0(SYS_gettid), signal,
			&theirs);
}

void
sn_engine_before_exec(struct sn_live_state *live, struct sn_engine_pause *pause)
{
	uint64_t set = 1ull << (live->options.signal - 1);

	pause->drive = live->options.drive;
	if (pause->drive == SN_DRIVE_TIMER && SN_LOAD_RELAXED(&sn_live_page->had_perf) == 0)
		return;			/* the kernel takes timers away, and their signals */
	SN_STORE_RELEASE(&sn_live_page->perf_open, 0u);
	SN_FENCE();			/* who opens an event now sees the word, or we see it */
	for (uint32_t i = 0; i < live->segment.nslots && SN_LOAD_RELAXED(&live->segment.slots[i].uses) != 0; i++)
		sn_perf_close(i);
	sn_itimer_stop();
	(void)sn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &set, &pause->mask, sizeof(set));
	drain((int)live->options.signal);
	(void)sn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &pause->mask, NULL, sizeof(set));
}

void
sn_engine_exec_failed(struct sn_live_state *live, const struct sn_engine_pause *pause)
{
	if (SN_LOAD_ACQUIRE(&live->segment.wishes->sampling) == 0)
		return;
	if (pause->drive == SN_DRIVE_ITIMER) {
		(void)sn_itimer_start(live);
		return;
	}
	if (pause->drive == SN_DRIVE_TIMER)
		return;
	SN_STORE_RELEASE(&sn_live_page->perf_open, 1u);
	sn_slots_restart(live);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * lazy.c - a forked child asks for a segment when it first burns CPU, not before: one that execs at once, as
 * most do, costs a timer.
 *
 * Runs in:  child of a fork, the handler (first_tick: raw system calls, at most 100 ms for each answer).
 * When it fails: the child runs unprofiled.
 */
#include <stddef.h>
#include <time.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"

static struct {
	uint32_t waiting;		/* 1: the timer is armed; who swaps in 0 asks */
	int timer;
	int32_t pid;
} lazy;

static bool
take(void)
{
	uint32_t one = 1;

	return lazy.pid == (int32_t)sn_syscall0(SYS_getpid) && SN_CAS_ACQ_REL(&lazy.waiting, &one, 0);
}

static void
first_tick(int overrun, const ucontext_t *uc)
{
	struct sn_live_state *live;
	uint32_t slot;

	if (!take())
		return;
	(void)sn_syscall1(SYS_timer_delete, lazy.timer);
	slot = sn_control_join_parent();
	live = sn_live();
	if (live != NULL && slot < live->segment.nslots && !live->options.idle)
		sn_cpu_tick(live, slot, overrun, uc);
}

int
sn_lazy_begin(const struct sn_segment_options *o)
{
	pid_t tid = (pid_t)sn_syscall0(SYS_gettid);
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = (int)o->signal,
		.sigev_value.sival_ptr = (void *)(uintptr_t)((uint64_t)sn_newest_cookie << 32 | SN_NO_SLOT),
	};
	struct itimerspec when = { .it_value.tv_nsec = 1 };
	int id = -1;
	long err;

	if (o->idle || o->signal == 0)
		return -1;
	ev._sigev_un._tid = tid;
	err = sn_syscall3(SYS_timer_create, sn_clock_of_thread(tid), &ev, &id);
	if (err < 0)
		return (int)err;
	sn_first_tick = first_tick;
	lazy.timer = id;
	lazy.pid = (int32_t)sn_syscall0(SYS_getpid);
	SN_STORE_RELEASE(&lazy.waiting, 1u);
	sn_own_signal_through(o->signal, false);
	err = sn_syscall4(SYS_timer_settime, id, 0, &when, NULL);
	if (err < 0)
		sn_lazy_forget();
	return (int)err;
}

bool
sn_lazy_join(void)
{
	if (SN_LOAD_RELAXED(&lazy.waiting) == 0 || !take())
		return false;
	(void)sn_syscall1(SYS_timer_delete, lazy.timer);
	return sn_control_join_parent() != SN_NO_SLOT;
}

void
sn_lazy_cancel(void)
{
	if (SN_LOAD_RELAXED(&lazy.waiting) != 0 && take())
		(void)sn_syscall1(SYS_timer_delete, lazy.timer);
}

void
sn_lazy_forget(void)
{
	/* A child of a child has a copy of the word, but not the timer. */
	if (SN_LOAD_RELAXED(&lazy.waiting) != 0 && take())
		(void)sn_syscall1(SYS_timer_delete, lazy.timer);
	lazy.waiting = 0;
}

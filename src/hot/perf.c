/* SPDX-License-Identifier: Apache-2.0
 *
 * perf.c - the engine `perf`: a perf event on the CPU clock of a thread, which sends our signal once a period.
 *
 * Runs in:  the handler, on the thread that has just used up a tick: one that lives shorter is the timer's, which
 *           counts it right; any thread to end them.  System calls, once a thread.
 * Memory:   a page of kernel memory a thread.  Its mapping holds the event, so that no descriptor stays: the program
 *           may close all it has, or look for a free one.  Not copied by fork, gone at exec.
 * Refused:  the thread keeps its timer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "hot/hot.h"

#define PAGE_BYTES 4096			/* the kernel rounds up */

/*
 * A descriptor of an event that counts already, or -errno.  User code only: a signal that is sent while the thread is
 * in the kernel, on its way to sleep, would end poll, nanosleep and their like with EINTR.
 */
static long
open_event(const struct sn_live_state *live, pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = live->options.period_ns,
		.wakeup_events = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return sn_syscall5(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Its signals go to this thread; from the mapping on, it lives without the descriptor.  0 or -errno. */
static long
keep_event(const struct sn_live_state *live, uint32_t slot, long fd, pid_t tid)
{
	struct f_owner_ex owner = { F_OWNER_TID, tid };
	long ret = sn_syscall3(SYS_fcntl, fd, F_SETSIG, live->options.signal);

	if (ret >= 0)
		ret = sn_syscall3(SYS_fcntl, fd, F_SETOWN_EX, &owner);
	if (ret >= 0)
		ret = sn_syscall6(SYS_mmap, 0, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (ret < 0 && ret > -PAGE_BYTES)
		return ret;
	SN_STORE_RELEASE(&sn_live_page->own[slot].perf_page, (void *)(uintptr_t)ret);
	ret = sn_syscall3(SYS_fcntl, fd, F_SETFL, O_ASYNC | O_NONBLOCK);
	if (ret < 0)
		sn_perf_close(slot);
	return ret < 0 ? ret : 0;
}

/*
 * Nobody asked for perf by name: a thread that switches context often keeps its timer, which costs nothing there.
 * What it did so far tells; the collector goes on watching those that get an event (collect/engine.c).
 */
bool
sn_perf_suits(void)
{
	uint64_t cpu = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	struct rusage u = { 0 };

	if (cpu < SN_PERF_AFTER_NS || sn_syscall2(SYS_getrusage, RUSAGE_THREAD, &u) < 0)
		return false;
	return (uint64_t)(u.ru_nvcsw + u.ru_nivcsw) <= cpu / SN_PERF_SWITCH_NS;
}

int
sn_perf_open(const struct sn_live_state *live, uint32_t slot)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	long fd = sn_live_page->own != NULL ? open_event(live, sl->tid) : -ENOSPC, err;

	if (fd < 0)
		return (int)fd;
	err = keep_event(live, slot, fd, sl->tid);
	(void)sn_syscall1(SYS_close, fd);
	if (err < 0)
		return -ENOSPC;		/* perf_event_mlock_kb is used up, as a rule */
	SN_STORE_RELAXED(&sl->drive, SN_BY_PERF);
	(void)SN_ADD_RELAXED(&live->segment.shared->perf_begun, 1);
	return 0;
}

void
sn_perf_close(uint32_t slot)
{
	struct sn_slot_own *own = SN_LOAD_ACQUIRE(&sn_live_page->own);
	void *page = own != NULL ? __atomic_exchange_n(&own[slot].perf_page, NULL, __ATOMIC_ACQ_REL) : NULL;

	if (page != NULL)
		(void)sn_syscall2(SYS_munmap, page, PAGE_BYTES);
}

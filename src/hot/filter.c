/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.c - the program's own word on whether a thread is to be sampled: filter_in_thread of gperftools.
 *
 * Runs in:  the handler, on the thread that would be sampled; sn_filter_set in application threads.
 * Memory:   two pointers of the program's; it may free what they point to once sn_filter_set has returned.
 */
#include <stddef.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "hot/hot.h"

#define LEAVE_NS SN_NS_PER_SEC	/* a handler that is held up longer is not waited for */

static struct {
	sn_filter_fn *fn;
	void *arg;
	uint32_t asking;		/* handlers that are at it */
} filter;

bool
sn_filter_admits(void)
{
	sn_filter_fn *fn;
	bool admits = true;

	if (SN_LOAD_RELAXED(&filter.fn) == NULL)
		return true;			/* nearly always */
	(void)SN_ADD_RELAXED(&filter.asking, 1);
	SN_FENCE();				/* who takes the filter away sees us, or we that it is gone */
	fn = SN_LOAD_ACQUIRE(&filter.fn);
	if (fn != NULL)
		admits = fn(SN_LOAD_RELAXED(&filter.arg)) != 0;
	(void)__atomic_fetch_sub(&filter.asking, 1, __ATOMIC_RELEASE);
	return admits;
}

void
sn_filter_set(sn_filter_fn *fn, void *arg)
{
	uint64_t until = sn_clock_mono_ns() + LEAVE_NS;

	SN_STORE_RELEASE(&filter.fn, NULL);
	SN_FENCE();
	while (SN_LOAD_ACQUIRE(&filter.asking) != 0 && sn_clock_mono_ns() < until)
		(void)sn_syscall0(SYS_sched_yield);
	SN_STORE_RELAXED(&filter.arg, arg);
	SN_STORE_RELEASE(&filter.fn, fn);
}

bool
sn_filter_is_set(void)
{
	return SN_LOAD_RELAXED(&filter.fn) != NULL;
}

void
sn_filter_forked(void)
{
	SN_STORE_RELAXED(&filter.asking, 0u);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_timer.c - the engine `timer`: a timer on the CPU clock of each thread (DESIGN §5).
 *
 * Runs in:  application threads, at their start and end.
 */
#include <stddef.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "source/source.h"

void
sn_thread_attach(const struct sn_live_state *live, uint32_t slot, uint64_t start_fn, uint64_t lo, uint64_t hi,
	bool is_main)
{
	struct sn_slot *sl = &live->segment.slots[slot];

	sl->start_fn = start_fn;
	sl->stack_lo = lo;
	sl->stack_hi = hi;
	sl->is_main = is_main;
	sn_own_slot = slot + 1;
	sn_own_signal_through(live->options.signal, false);
	(void)sn_slot_begin(live, slot, (pid_t)sn_syscall0(SYS_gettid));	/* refused: counted there */
}

void
sn_thread_detach(const struct sn_live_state *live, uint32_t slot)
{
	sn_own_slot = 0;		/* first: a signal on its way finds nothing */
	sn_slot_leave(&live->segment, slot);
}

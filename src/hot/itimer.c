/* SPDX-License-Identifier: Apache-2.0
 *
 * itimer.c - the engine `itimer`: ITIMER_PROF of the whole process; the kernel picks the thread.
 *
 * Runs in:  constructor, handler, any thread: one system call.
 * Memory:   none.
 * Manners:  a program that has an ITIMER_PROF of its own keeps it.  It survives exec, where it would end the new
 *           image: control/ takes it away before.
 */
#include <stddef.h>
#include <sys/time.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "hot/hot.h"

bool
sn_itimer_start(const struct sn_live_state *live)
{
	long us = (long)(live->options.tick_ns / 1000);
	struct itimerval every = { { us / 1000000, us % 1000000 }, { 0, 1 } }, was = { 0 };

	(void)sn_syscall2(SYS_getitimer, ITIMER_PROF, &was);
	if (was.it_value.tv_sec != 0 || was.it_value.tv_usec != 0)
		return SN_LOAD_RELAXED(&sn_live_page->itimer_on) != 0;
	SN_STORE_RELEASE(&sn_live_page->itimer_on, 1u);
	if (sn_syscall3(SYS_setitimer, ITIMER_PROF, &every, NULL) == 0)
		return true;
	SN_STORE_RELEASE(&sn_live_page->itimer_on, 0u);
	return false;
}

/* The word stays for a signal that is on its way. */
void
sn_itimer_stop(void)
{
	struct itimerval none = { 0 };

	if (SN_LOAD_RELAXED(&sn_live_page->itimer_on) != 0)
		(void)sn_syscall3(SYS_setitimer, ITIMER_PROF, &none, NULL);
}

uint32_t
sn_itimer_slot(const struct sn_live_state *live)
{
	const struct sn_segment *s = &live->segment;
	int32_t tid = (int32_t)sn_syscall0(SYS_gettid);
	uint32_t own = sn_own_slot - 1;

	if (own < s->nslots && s->slots[own].tid == tid)
		return own;
	for (uint32_t i = 0; i < s->nslots && SN_LOAD_RELAXED(&s->slots[i].uses) != 0; i++)
		if (SN_LOAD_RELAXED(&s->slots[i].tid) == tid && SN_LOAD_ACQUIRE(&s->slots[i].state) != SN_SLOT_FREE)
			return i;
	return SN_NO_SLOT;
}

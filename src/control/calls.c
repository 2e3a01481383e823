/* SPDX-License-Identifier: Apache-2.0
 *
 * calls.c - what the collector inside calls back in the program (struct sn_host).
 *
 * Runs in:  the collector's thread; application threads when the collector is not there.  Raw system calls only.
 */
#include <errno.h>

#include "base/atomic.h"
#include "control/internal.h"
#include "source/source.h"

static void
set_sampling(bool on)
{
	sn_threads_set_sampling(sn_control_state(), on);
}

static int
arm(int32_t tid)
{
	struct sn_live_state *live = sn_live();
	uint32_t slot;
	int err;

	if (live == NULL || tid == sn_inside_tid())
		return -ESRCH;
	if (sn_slot_has(&live->segment, tid))
		return -EALREADY;
	slot = sn_control_claim_slot(live);
	if (slot == SN_NO_SLOT)
		return -ENOSPC;
	err = sn_slot_begin(live, slot, tid);
	if (err == -EINVAL)
		sn_slot_release(&live->segment, slot);	/* not a thread any more */
	return err;
}

/* The bytes first: a handler that sees the address must not go beyond them. */
static void
set_tables(const uint8_t *base, uint32_t bytes)
{
	struct sn_segment *s = &sn_control_state()->segment;

	if (base != NULL)
		SN_STORE_RELAXED(&s->tables_bytes, bytes);
	SN_STORE_RELEASE(&s->tables, base);
}

void
sn_calls_fill(struct sn_host *host)
{
	host->arm = arm;
	host->set_sampling = set_sampling;
	host->recheck = sn_signals_recheck;
	host->set_tables = set_tables;
}

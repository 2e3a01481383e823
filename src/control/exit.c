/* SPDX-License-Identifier: Apache-2.0
 *
 * exit.c - what the segment must know before the process, or a library in it, is gone.
 *
 * Runs in:  any application thread: exit handlers, _exit.  Raw system calls only.
 *           A vfork child shares our memory and may call _exit: it is told apart by its pid.
 */
#include <stddef.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"

/* Of a process that was never sampled its parent's profile tells; once, whoever else shares this memory. */
static void
leave_word(void)
{
	static int32_t said;
	struct sn_segment_kin *kin = sn_control_state()->segment.kin;
	int32_t pid = (int32_t)sn_syscall0(SYS_getpid);

	if (kin == NULL || said == pid)
		return;
	said = pid;
	(void)SN_ADD_RELAXED(&kin->cpu_ns, sn_clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	(void)SN_ADD_RELAXED(&kin->count, 1);
}

void
sn_control_figures(void)
{
	struct sn_live_state *live = sn_live();
	struct sn_segment_shared *sh;
	uint32_t generation;

	if (live == NULL) {
		sn_lazy_cancel();		/* a first tick from here on would take the page away under us */
		live = sn_live();
	}
	if (live == NULL) {
		leave_word();
		return;
	}
	sh = live->segment.shared;
	if (sh->pid_inside != (uint64_t)sn_syscall0(SYS_getpid))
		return;
	generation = SN_LOAD_ACQUIRE(&sh->modules_generation);
	if (generation != SN_LOAD_RELAXED(&sh->maps_exit_generation)) {
		(void)sn_snapshot_maps(&live->segment, true);	/* what was loaded since the collector last looked */
		SN_STORE_RELAXED(&sh->maps_exit_generation, generation);
	}
	SN_STORE_RELAXED(&sh->cpu_at_exit_ns, sn_clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	SN_STORE_RELEASE(&sh->ended, 1);
}

void
sn_control_exit(void)
{
	if (!sn_control_is_sealed())
		sn_control_figures();
	sn_inside_end();
}

void *
sn_control_modules_leave(void)
{
	struct sn_live_state *live = sn_live();
	struct sn_segment_shared *sh;
	uint32_t generation;

	if (live == NULL)
		return NULL;
	sh = live->segment.shared;
	if (sn_control_is_sealed()) {
		(void)SN_ADD_RELAXED(&sh->closing, 1);
		return sh;
	}
	if (sh->pid_inside != (uint64_t)sn_syscall0(SYS_getpid))
		return NULL;
	(void)__atomic_fetch_add(&sh->closing, 1, __ATOMIC_SEQ_CST);
	generation = SN_LOAD_ACQUIRE(&sh->modules_generation);
	/* Most libraries come and go between two samples; else what was there since the newest one must be known. */
	if ((int32_t)(SN_LOAD_RELAXED(&sh->sampled_generation) - SN_LOAD_RELAXED(&sh->left_generation)) >= 0) {
		SN_STORE_RELAXED(&sh->left_generation, generation);
		sn_snapshot_leave(&live->segment, generation);
		/* There is room for so many until the collector looks, ten times a second. */
		if (SN_LOAD_RELAXED(&sh->next_leave) - SN_LOAD_RELAXED(&live->segment.wishes->leaves_seen) ==
		    SN_LEAVES / 2)
			sn_nudge(sn_inside_has_segment() ? sn_inside_socket() : sn_control_collector());
	}
	return sh;
}

void
sn_control_modules_left(void *token)
{
	struct sn_live_state *live = sn_live();
	struct sn_segment_shared *sh = token;
	uint32_t generation, newest;

	if (sh == NULL || live == NULL || live->segment.shared != sh)
		return;			/* it forked in there, or begins anew */
	generation = SN_ADD_RELAXED(&sh->modules_generation, 1) + 1;
	newest = SN_LOAD_RELAXED(&sh->closed_generation);
	while ((int32_t)(generation - newest) > 0 && !SN_CAS_ACQ_REL(&sh->closed_generation, &newest, generation))
		;			/* another dlclose has just ended: once a round */
	(void)__atomic_fetch_sub(&sh->closing, 1, __ATOMIC_RELEASE);
}

void
sn_control_modules_changed(void)
{
	struct sn_live_state *live = sn_live();

	if (live != NULL && (SN_LOAD_RELAXED(&sn_seal) != 0 ||
	    live->segment.shared->pid_inside == (uint64_t)sn_syscall0(SYS_getpid)))
		(void)SN_ADD_RELAXED(&live->segment.shared->modules_generation, 1);
}

/*
 * The last application thread has left by a bare system call: the process ends with this one.  What the last thread
 * says is its status since Linux 5.16, and exit() would run what the program has not asked for.
 */
void
sn_exit_alone(void)
{
	uint64_t status = sn_own_stat(52);

	for (;;)
		(void)sn_syscall1(SYS_exit, (status >> 8) & 0xff);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * source.h - what arms sampling, in application threads.
 */
#ifndef SN_SOURCE_SOURCE_H
#define SN_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hot/hot.h"

/* cpu_timer.c */

/*
 * The calling thread begins to be sampled into its slot (claimed before), at once or when sampling begins.
 * start_fn: where it began; [lo, hi): its stack.  Also lets our signal through, if the thread inherited a
 * mask that blocks it.
 */
void sn_thread_attach(const struct sn_live_state *live, uint32_t slot, uint64_t start_fn, uint64_t lo, uint64_t hi,
	bool is_main);

/* The calling thread ends: its timer goes, its last record is pushed, its slot is free again. */
void sn_thread_detach(const struct sn_live_state *live, uint32_t slot);

/* engine.c */

/* What drives the sampling from here on: perf and itimer give way to the timer where they cannot be. */
void sn_engine_begin(struct sn_live_state *live);
/* Is ITIMER_PROF ours? */
bool sn_engine_takes_itimer(void);
/* Timers again, for this reason (enum sn_drive_why); ITIMER_PROF is free then. */
void sn_engine_give_way(struct sn_live_state *live, uint32_t why);

/*
 * The process is about to exec: no event and no timer of ours may send a signal any more, for it would end the new
 * image.  By the thread that execs, in the process itself.  exec_failed goes back to what was.
 */
struct sn_engine_pause {
	uint32_t drive;
	uint64_t mask;
};
void sn_engine_before_exec(struct sn_live_state *live, struct sn_engine_pause *pause);
void sn_engine_exec_failed(struct sn_live_state *live, const struct sn_engine_pause *pause);

/* threads.c */

/*
 * Arm every thread of this process but the calling one: those that earlier constructors started.
 * From outside such a thread only its CPU clock is known: no start function, no bounds.
 */
void sn_threads_adopt(const struct sn_live_state *live, pid_t self);

/* For the collector inside (struct sn_host); raw system calls, callable from any thread. */

/* Begin to sample a thread that has no slot.  0, -EEXIST: it has one, -ENOSPC, or -errno. */
int sn_threads_arm(const struct sn_live_state *live, pid_t tid);
/* Arm, or disarm, all threads that have a slot; those that attach later follow. */
void sn_threads_set_sampling(struct sn_live_state *live, bool on);

#endif

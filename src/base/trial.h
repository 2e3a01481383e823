/* SPDX-License-Identifier: Apache-2.0
 *
 * trial.h - what a seccomp filter that was there before us leaves.
 *
 * Runs in:  constructor, profiler_start(), the sonde command: raw system calls.
 */
#ifndef SN_BASE_TRIAL_H
#define SN_BASE_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

/* Who will make system calls here. */
enum sn_trial_who {
	SN_TRIAL_GUEST = 1,		/* a program whose collector is another process */
	SN_TRIAL_HOST = 2,		/* a program with the collector inside */
	SN_TRIAL_RUN = 4,		/* the sonde command */
};

/* Is there a filter?  Where nobody says, true. */
bool sn_trial_is_filtered(void);

/*
 * Try the calls of these (enum sn_trial_who, or-ed) in a child, which dies of them instead of us.  0, or -errno and one
 * clause in why: a filter kills for a call, or refuses one that nothing works without.
 */
int sn_trial_run(unsigned who, char *why, size_t size);

#endif

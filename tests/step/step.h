/* SPDX-License-Identifier: Apache-2.0
 *
 * step.h - what the two halves of the stepper know of each other.
 *
 * Runs in:  a test's program.  The preloaded half (preload.c, entry_x86_64.S) needs libc alone and is where the
 *           program's name space must be; all else is a module in a name space, libc and heap of its own, so that
 *           nothing it calls is ever the code that is being stepped.
 * Memory:   struct sn_step_base is the preloaded half's, for ever.
 */
#ifndef SN_STEP_STEP_H
#define SN_STEP_STEP_H

#include <link.h>
#include <stdint.h>
#include <ucontext.h>

#define SN_STEP_SIGNALS	65

struct sn_step_base {
	int (*iterate)(int (*visit)(struct dl_phdr_info *, size_t, void *), void *arg);	/* of the program's modules */
	uint64_t entry;			/* SIGTRAP's handler */
	uint64_t wrapper;		/* stands before each handler of the program's own */
	uint64_t delivered;		/* the instruction in it at which a signal is first seen */
	uint64_t *handlers;		/* SN_STEP_SIGNALS of them: where the wrapper goes */
	uint64_t switches[2];		/* setcontext, swapcontext */
	const char *preload;		/* the program's path of the preloaded half */
};

/* In the module.  0: step on; else say nothing and leave the program alone. */
int sn_step_begin(const struct sn_step_base *base);
void sn_step_trap(ucontext_t *uc);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind.h - unwind a copied stack with libunwind's remote API.
 *
 * Runs in:  collector.  Nothing of the program is touched: registers and stack come from the
 *           ring record, .eh_frame from the files of its modules.
 */
#ifndef SN_COLLECT_UNWIND_H
#define SN_COLLECT_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/module.h"
#include "segment/layout.h"

struct sn_unwinder;	/* one per process: libunwind's cache is keyed by address */

enum sn_unwind_end {
	SN_UNWIND_COMPLETE,	/* the outermost frame was reached */
	SN_UNWIND_TRUNCATED,	/* the limit of frames, or the end of the copied stack */
	SN_UNWIND_FAILED,	/* no or unusable CFI, or a value that cannot be */
};

struct sn_unwound {
	uint32_t count;
	enum sn_unwind_end end;
	/*
	 * Leaf first.  Ready for the profile: the leaf and frames interrupted by a signal are exact
	 * PCs, callers are return addresses minus one.
	 */
	uint64_t pc[SN_FRAMES_MAX];
};

/* NULL when out of memory. */
struct sn_unwinder *sn_unwinder_new(struct sn_modules *modules);
void sn_unwinder_free(struct sn_unwinder *u);

/* The set of modules changed: forget what was cached. */
void sn_unwinder_flush(struct sn_unwinder *u);

/*
 * Unwind at most `depth` frames (<= SN_FRAMES_MAX) from regs; stack_bytes of stack as it was at
 * regs->r[SN_REG_SP] upwards.  stack_is_cut: the thread's stack went on beyond the copy, so
 * running off its end is SN_UNWIND_TRUNCATED, not SN_UNWIND_FAILED.  out->count is at least 1.
 */
void sn_unwind(struct sn_unwinder *u, const struct sn_regs *regs, const uint8_t *stack, uint32_t stack_bytes,
	int stack_is_cut, uint32_t depth, struct sn_unwound *out);

/* What .eh_frame has for one address (unwind_cfi.c); for the unwinder, and to name stripped functions. */
struct sn_cfi {
	uint64_t entry;		/* run-time address of its entry in the search table of .eh_frame_hdr */
	uint64_t start;		/* run-time address at which the function begins, or its separate part */
	bool signal;		/* a signal trampoline: the frame above was interrupted, it did not call */
};

/*
 * Look pc up in a module whose CFI is loaded.  0; -ENOENT when nothing covers it; -EBADMSG when what covers it is
 * damaged, or holds what libunwind must not be given.
 */
int sn_cfi_find(const struct sn_module *module, uint64_t pc, struct sn_cfi *out);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * walk.h - walk a stack in place: by tables, or by frame pointers.
 *
 * Runs in:  the handler and hooks; tests.  No call out, no lock, no system call but for a probe of a page of stack
 *           that is neither the thread's own nor its alternate one.  Each read is bounded: no fault, whatever the
 *           registers and the stack hold.
 */
#ifndef SN_HOT_WALK_H
#define SN_HOT_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "segment/table.h"

enum sn_walk_end {
	SN_WALK_COMPLETE,	/* the outermost frame was reached */
	SN_WALK_TRUNCATED,	/* max frames, and the stack goes on */
	SN_WALK_FAILED,		/* unreadable memory, or a value that cannot be */
	SN_WALK_UNKNOWN,	/* code that the map does not know, or CFI that a rule cannot express */
};

struct sn_walk {
	/* In. */
	const struct sn_text_map *map;
	const uint8_t *tables;		/* the store */
	uint32_t tables_bytes;		/* as far as it is mapped */
	bool only_stays;		/* modules may have gone since the map was made: trust texts that stay */
	uint64_t stack_lo, stack_hi;	/* of the thread; 0, 0 unknown */
	/* Out. */
	enum sn_walk_end end;
	bool guessed;			/* a frame was found without CFI */
};

/*
 * Walk from uc, at most max (>= 1) frames: ready for a profile, the leaf and frames that a signal interrupted as exact
 * PCs, callers as return address minus one.  Returns how many, at least 1.
 */
uint32_t sn_walk_tables(struct sn_walk *w, const ucontext_t *uc, uint64_t *frames, uint32_t max);
/* The same by frame pointers alone; w->map may be NULL. */
uint32_t sn_walk_fp(struct sn_walk *w, const ucontext_t *uc, uint64_t *frames, uint32_t max);
/* The leaf alone: 1. */
uint32_t sn_walk_leaf(const ucontext_t *uc, uint64_t *frames);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.h - the call frame information that a process registered, as the collector sees it come and go.
 *
 * Runs in:  collector.
 */
#ifndef SN_COLLECT_FRAMES_H
#define SN_COLLECT_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "collect/process.h"
#include "segment/frames.h"

/* What was last seen of the blocks of an image: zero it when another image begins. */
struct sn_frames_view {
	uint32_t changes, cursor;
	uint32_t turn[SN_FRAMES_BLOCKS];
	uint64_t had[SN_FRAMES_BLOCKS / 64];	/* a bit each: the block was there */
};

/* A block is new, another one, or gone. */
struct sn_frames_change {
	uint32_t index;			/* its place: below SN_FRAMES_BLOCKS */
	uint32_t turn;
	uint32_t bytes;			/* whole records, without the zero at the end; 0: it is gone */
	uint64_t address;		/* in the program */
	uint8_t data[SN_FRAMES_BLOCK_MAX];
};

/*
 * The next change since the last round; false ends the round.  Costs a load where nothing was registered.  A round
 * must be brought to its end, for the next to begin at the first block.
 */
bool sn_process_frames_next(const struct sn_process *p, struct sn_frames_view *view, struct sn_frames_change *out);

#endif

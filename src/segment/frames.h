/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.h - call frame information that the program registered (__register_frame), copied for the collector.
 *
 * Runs in:  written by application threads (control/frames.c), one at a time; read by the collector (collect/frames.c).
 * Memory:   a part of the segment.  Which bytes of the pool are free only the program's side knows.
 * When full: a block that finds no room is not taken, and counted.
 */
#ifndef SN_SEGMENT_FRAMES_H
#define SN_SEGMENT_FRAMES_H

#include <stdint.h>

#define SN_FRAMES_BLOCKS	1024u
#define SN_FRAMES_POOL		(1u << 20)
#define SN_FRAMES_UNIT		64u		/* the pool is given out in units of so many bytes */
#define SN_FRAMES_BLOCK_MAX	(64u << 10)	/* of a longer block only so much is taken, whole records */

struct sn_frames_block {
	uint32_t turn;			/* odd while it is written; another one each time it changes (release) */
	uint32_t at, bytes;		/* in the pool; 0 bytes: nothing here */
	uint32_t pad;
	uint64_t address;		/* where the program has it: relative pointers refer to that */
};

struct sn_segment_frames {
	uint32_t changes;		/* of any block (release) */
	uint32_t refused;		/* blocks that were not taken, or not whole */
	uint64_t pad[7];
	struct sn_frames_block block[SN_FRAMES_BLOCKS];
	uint8_t pool[SN_FRAMES_POOL];
};
_Static_assert(sizeof(struct sn_segment_frames) % 8 == 0, "registered frames are part of SN_SEGMENT_VERSION");

#endif

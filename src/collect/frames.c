/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.c - which blocks of call frame information the program registered and took back (segment/frames.h).
 *
 * Runs in:  collector.
 * Memory:   a block is copied into the caller's buffer, and checked in the copy: the program may write it meanwhile.
 * Trust:    what is yielded lies in the pool and is made of whole records; what those say is the program's word.
 */
#include <string.h>

#include "base/atomic.h"
#include "collect/frames.h"

/* As many of the bytes as whole records have. */
static uint32_t
whole_records(const uint8_t *data, uint32_t bytes)
{
	uint32_t at = 0, length;

	while (bytes - at >= 8) {
		memcpy(&length, data + at, 4);
		if (length < 4 || length > bytes - at - 4)
			break;
		at += 4 + length;
	}
	return at;
}

/* False when it is being written. */
static bool
copy_block(const struct sn_segment_frames *f, uint32_t index, struct sn_frames_change *out)
{
	const struct sn_frames_block *b = &f->block[index];
	uint32_t turn = SN_LOAD_ACQUIRE(&b->turn), at = SN_LOAD_RELAXED(&b->at), bytes = SN_LOAD_RELAXED(&b->bytes);

	out->index = index;
	out->turn = turn;
	out->address = SN_LOAD_RELAXED(&b->address);
	out->bytes = 0;
	if ((turn & 1) != 0)
		return false;
	if (bytes <= SN_FRAMES_BLOCK_MAX && at <= SN_FRAMES_POOL - bytes) {
		memcpy(out->data, f->pool + at, bytes);
		out->bytes = whole_records(out->data, bytes);
	}
	SN_FENCE();
	return SN_LOAD_RELAXED(&b->turn) == turn;
}

bool
sn_process_frames_next(const struct sn_process *p, struct sn_frames_view *view, struct sn_frames_change *out)
{
	const struct sn_segment_frames *f;
	uint32_t changes;

	if (!p->has_segment)
		return false;
	f = p->seg.frames;
	changes = SN_LOAD_ACQUIRE(&f->changes);
	if (view->cursor == 0) {
		if (changes == view->changes)
			return false;
		view->changes = changes;
	}
	while (view->cursor < SN_FRAMES_BLOCKS) {
		uint32_t n = view->cursor++;
		bool had = view->had[n / 64] >> n % 64 & 1;

		if (SN_LOAD_ACQUIRE(&f->block[n].turn) == view->turn[n])
			continue;
		if (!copy_block(f, n, out)) {
			view->changes = changes - 1;		/* it is looked at again next time */
			continue;
		}
		view->turn[n] = out->turn;
		if (out->bytes != 0)
			view->had[n / 64] |= 1ull << n % 64;
		else
			view->had[n / 64] &= ~(1ull << n % 64);
		if (had || out->bytes != 0)
			return true;
	}
	view->cursor = 0;
	return false;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * ring_read.c - take records out of a ring: the consumer of hot/ring.c.
 *
 * Runs in:  collector.  The producer may be torn or hostile: a record is copied first and
 *           checked in the copy; what does not pass is skipped and counted.
 * Memory:   stack copies hold secrets: the ring is wiped as it is consumed, and the private
 *           copy with it.
 * Ordering: the header is loaded with acquire (pairs with sn_ring_publish); head is stored with
 *           release after the wipe (pairs with the acquire in sn_ring_reserve).
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "collect/process.h"

/* Is this the header of a whole record at pos?  Its size in *size, 0 when that is nonsense.  A wiped word is none. */
static bool
is_published(uint64_t word, uint64_t pos, uint32_t ring_bytes, uint32_t *size)
{
	uint64_t n = word & SN_REC_SIZE_MASK;

	if (word == 0 || (word & SN_REC_BUSY) != 0 ||
	    ((word >> SN_REC_POS_SHIFT) & SN_REC_POS_MASK) != (pos / 8 & SN_REC_POS_MASK))
		return false;
	*size = n < 8 || n % 8 != 0 || n > ring_bytes - (pos & (ring_bytes - 1)) ? 0 : (uint32_t)n;
	return true;
}

/* Copy and check one record of size bytes.  False when it cannot be what it says. */
static bool
copy_record(const uint8_t *from, uint32_t size, struct sn_record *out)
{
	const struct sn_rec *r = &out->rec;
	uint32_t need;

	if (size < sizeof(*r) || size - sizeof(*r) > sizeof(out->payload))
		return false;
	memcpy(&out->rec, from, sizeof(*r));
	out->payload_bytes = size - (uint32_t)sizeof(*r);
	memcpy(out->payload, from + sizeof(*r), out->payload_bytes);
	switch (r->kind) {
	case SN_REC_STACK:
		if (r->stack_bytes > SN_COPY_MAX || r->stack_bytes % 8 != 0)
			return false;
		need = (uint32_t)sizeof(struct sn_regs) + r->stack_bytes;
		break;
	case SN_REC_FRAMES:
		if (r->nframes == 0 || r->nframes > SN_FRAMES_MAX)
			return false;
		need = r->nframes * (uint32_t)sizeof(uint64_t);
		break;
	case SN_REC_EXIT:
		need = sizeof(struct sn_rec_exit);
		break;
	default:
		return false;
	}
	return out->payload_bytes == need && r->weight <= 1000000;
}

/* Whole pages of the ring between two positions of one lap; best effort, for the bytes are wiped already. */
static void
punch_pages(int memfd, const struct sn_segment *s, uint32_t slot, uint64_t from, uint64_t to)
{
	uint32_t chunk = sn_chunk_of(slot);
	uint64_t unused, chunk_at = sn_segment_chunk(s, chunk, &unused);
	uint8_t *at = sn_segment_ring(s, slot) + (from & (s->ring_bytes - 1));

	if (memfd < 0)
		(void)madvise(at, to - from, MADV_REMOVE);
	else
		(void)fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)(chunk_at + (uint64_t)(at - s->ring_chunk[chunk])), (off_t)(to - from));
}

/*
 * What was taken up to pos is the owner's again.  With punch only pages that are done with, which go first: of a page
 * that is half the owner's nobody may take the other half away.
 */
static void
release(const struct sn_segment *s, uint32_t slot, uint64_t pos, int memfd, bool punch)
{
	uint64_t *head = &s->slots[slot].head;
	uint64_t from = SN_LOAD_RELAXED(head), to = pos;

	if (punch) {
		from = (from + SN_PAGE - 1) & ~(uint64_t)(SN_PAGE - 1);
		to = pos & ~(uint64_t)(SN_PAGE - 1);
		if (to < from || to - from > s->ring_bytes)
			return;
		if (to > from)
			punch_pages(memfd, s, slot, from, to);
	}
	SN_STORE_RELEASE(head, to);
}

struct sn_drain_result
sn_drain_ring(const struct sn_segment *s, uint32_t slot, uint32_t max_records, int memfd, bool punch,
	uint64_t *pos_io, sn_record_fn *fn, void *ctx)
{
	struct sn_slot *sl = &s->slots[slot];
	uint8_t *ring = sn_segment_ring(s, slot);
	uint64_t mask = s->ring_bytes - 1;
	uint64_t head = SN_LOAD_RELAXED(&sl->head);
	/* The program may have spoilt it. */
	uint64_t pos = *pos_io - head <= s->ring_bytes ? *pos_io : head;
	struct sn_drain_result res = { 0 };
	struct sn_record record;

	while (res.records < max_records && res.consumed < s->ring_bytes) {
		uint8_t *at = ring + (pos & mask & ~7ull);
		uint64_t word = SN_LOAD_ACQUIRE((uint64_t *)(void *)at);
		uint32_t size;

		if (!is_published(word, pos, s->ring_bytes, &size)) {
			res.stuck = SN_LOAD_RELAXED(&sl->resv) != pos;
			break;
		}
		if (size == 0) {
			res.bad++;
			res.stuck = true;
			break;
		}
		if ((word & SN_REC_PAD) == 0) {
			if (copy_record(at, size, &record)) {
				fn(ctx, slot, &record);
				res.records++;
			} else {
				res.bad++;
			}
		}
		memset(at, 0, size);
		pos += size;
		res.consumed += size;
		*pos_io = pos;
		release(s, slot, pos, memfd, punch);
	}
	*pos_io = pos;
	explicit_bzero(&record, sizeof(record));
	return res;
}

bool
sn_ring_find_exit(const struct sn_segment *s, uint32_t slot, uint64_t pos, int32_t tid, char comm[16])
{
	const uint8_t *ring = sn_segment_ring(s, slot);
	uint64_t end = pos + s->ring_bytes;
	uint32_t size;

	while (pos < end) {
		const uint8_t *at = ring + (pos & (s->ring_bytes - 1) & ~7ull);
		struct { struct sn_rec rec; struct sn_rec_exit last; } r;

		uint64_t word = SN_LOAD_ACQUIRE((const uint64_t *)(const void *)at);

		if (!is_published(word, pos, s->ring_bytes, &size) || size == 0)
			return false;
		if (size == sizeof(r)) {
			memcpy(&r, at, sizeof(r));
			if (r.rec.kind == SN_REC_EXIT && r.rec.tid == tid) {
				memcpy(comm, r.last.comm, sizeof(r.last.comm));
				comm[sizeof(r.last.comm) - 1] = '\0';
				return true;
			}
		}
		pos += size;
	}
	return false;
}

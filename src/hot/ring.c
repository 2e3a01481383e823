/* SPDX-License-Identifier: Apache-2.0
 *
 * ring.c - a slot's records: reserved and published here, consumed by collect/drain.c.
 *
 * Runs in:  reserve, publish - SIGPROF and calls of the program (hot).
 * Memory:   in the segment; the collector wipes what it consumed, so that no byte of an old
 *           record can be taken for a header.
 * Ordering: resv is the owner thread's alone: a relaxed CAS, because only a handler that
 *           interrupts the owner competes with it.  The header is stored with release and
 *           loaded by the consumer with acquire; head the other way round.  The slot's bit of news comes
 *           behind resv, with a fence: the consumer clears it before it reads resv.
 * When full: the newest record is lost and counted, never an older one.
 */
#include <stddef.h>

#include "base/atomic.h"
#include "hot/hot.h"

void
sn_ring_note(const struct sn_segment *s, uint32_t slot)
{
	uint64_t *word = &s->shared->news[slot / 64], bit = 1ull << slot % 64;

	/* The collector takes the bit, then looks: it sees what we wrote, or we see that the bit is gone. */
	SN_FENCE();
	if ((SN_LOAD_RELAXED(word) & bit) == 0)
		(void)__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

void *
sn_ring_reserve(const struct sn_segment *s, uint32_t slot, uint32_t size, uint64_t *word)
{
	struct sn_slot *sl = &s->slots[slot];
	uint8_t *ring = sn_segment_ring(s, slot);
	uint64_t mask = s->ring_bytes - 1;
	uint64_t pos = SN_LOAD_RELAXED(&sl->resv);
	uint64_t pad;

	do {
		uint64_t to_end = s->ring_bytes - (pos & mask);

		pad = size > to_end ? to_end : 0;
		/* acquire: what the consumer wiped before it moved head is really free */
		if (pos + pad + size - SN_LOAD_ACQUIRE(&sl->head) > s->ring_bytes)
			return NULL;
	} while (!SN_CAS_RELAXED(&sl->resv, &pos, pos + pad + size));
	sn_ring_note(s, slot);

	if (pad > 0) {
		SN_STORE_RELEASE((uint64_t *)(void *)(ring + (pos & mask)), sn_rec_word(pos, pad) | SN_REC_PAD);
		pos += pad;
	}
	*word = sn_rec_word(pos, size);
	SN_STORE_RELAXED((uint64_t *)(void *)(ring + (pos & mask)), *word | SN_REC_BUSY);
	return ring + (pos & mask);
}

void
sn_ring_trim(const struct sn_segment *s, uint32_t slot, void *record, uint64_t *word, uint32_t size)
{
	struct sn_slot *sl = &s->slots[slot];
	uint64_t old = *word & SN_REC_SIZE_MASK, end = SN_LOAD_RELAXED(&sl->resv), pos = end - old;

	if (size == old)
		return;
	/* Ours is the newest reservation, unless somebody who interrupted us has taken more behind it. */
	if (sn_rec_word(pos, old) == *word && SN_CAS_RELAXED(&sl->resv, &end, pos + size)) {
		*word = sn_rec_word(pos, size);
		return;
	}
	pos = ((*word >> SN_REC_POS_SHIFT) & SN_REC_POS_MASK) * 8;
	SN_STORE_RELEASE((uint64_t *)(void *)((uint8_t *)record + size),
		sn_rec_word(pos + size, old - size) | SN_REC_PAD);
	*word = sn_rec_word(pos, size);
}

void
sn_ring_publish(void *record, uint64_t word)
{
	SN_STORE_RELEASE((uint64_t *)record, word);	/* pairs with the acquire in ring_read.c */
}

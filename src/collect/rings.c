/* SPDX-License-Identifier: Apache-2.0
 *
 * rings.c - which rings are mapped, and which of them have something.
 *
 * Runs in:  collector.
 * Memory:   outside, rings are mapped in chunks as the program asks for them: its threads get none that we could not
 *           map.  Inside the mappings are the program's.
 * Trust:    bits beyond the slots in use, and bits of slots that have nothing, only cost a look.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "collect/process.h"

static int
map_chunk(struct sn_process *p, uint32_t n)
{
	uint64_t bytes, offset = sn_segment_chunk(&p->seg, n, &bytes);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->memfd, (off_t)offset);

	if (at == MAP_FAILED)
		return -errno;
	p->seg.ring_chunk[n] = at;
	return 0;
}

int
sn_process_map_rings(struct sn_process *p, uint32_t slot)
{
	int err = 0;

	if (slot >= p->seg.nslots)
		return -ENOSPC;
	for (uint32_t n = 0; n <= sn_chunk_of(slot) && err == 0; n++)
		if (p->seg.ring_chunk[n] == NULL)
			err = map_chunk(p, n);
	return err;
}

void
sn_process_unmap(struct sn_process *p)
{
	const struct sn_segment *s = &p->seg;

	for (uint32_t n = 0; n < SN_CHUNKS_MAX; n++) {
		uint64_t bytes;

		(void)sn_segment_chunk(s, n, &bytes);
		if (s->ring_chunk[n] != NULL && (s->ring_chunk[n] < s->base || s->ring_chunk[n] >= s->base + s->bytes))
			(void)munmap(s->ring_chunk[n], bytes);
	}
	(void)munmap(s->base, s->bytes);
}

/* Slots that were claimed by now.  Inside, the program maps more rings as its threads need them. */
static void
find_slots(struct sn_process *p)
{
	uint32_t ready = p->seg.nslots;

	if (p->host != NULL) {
		ready = SN_LOAD_ACQUIRE(&p->seg.shared->slots_ready);
		if (ready > p->seg.nslots)
			ready = p->seg.nslots;
		if (ready > 0)
			memcpy(p->seg.ring_chunk, p->host->segment->ring_chunk,
				(sn_chunk_of(ready - 1) + 1) * sizeof(p->seg.ring_chunk[0]));
	}
	while (p->slots_used < ready && p->seg.ring_chunk[sn_chunk_of(p->slots_used)] != NULL &&
	    SN_LOAD_RELAXED(&p->seg.slots[p->slots_used].uses) != 0)
		p->slots_used++;
	if (p->slots_most < p->slots_used)
		p->slots_most = p->slots_used;
}

void
sn_process_find_news(struct sn_process *p)
{
	uint64_t *news = p->seg.shared->news;

	find_slots(p);
	for (uint32_t w = 0; w * 64 < p->slots_used; w++)
		if (SN_LOAD_RELAXED(&news[w]) != 0)
			p->pending[w] |= __atomic_exchange_n(&news[w], 0, __ATOMIC_ACQ_REL);
	SN_FENCE();		/* before any resv is read: see sn_ring_note */
}

uint32_t
sn_process_next_pending(const struct sn_process *p, uint32_t from)
{
	uint32_t w = from / 64;
	uint64_t word;

	if (from >= p->slots_used)
		return UINT32_MAX;
	word = p->pending[w] & ~0ull << from % 64;
	while (word == 0 && ++w * 64 < p->slots_used)
		word = p->pending[w];
	if (word == 0)
		return UINT32_MAX;
	from = w * 64 + (uint32_t)__builtin_ctzll(word);
	return from < p->slots_used ? from : UINT32_MAX;
}

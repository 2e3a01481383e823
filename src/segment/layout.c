/* SPDX-License-Identifier: Apache-2.0
 *
 * layout.c - format and check the shared segment (see layout.h).
 *
 * Runs in:  collector (format, open), constructor and atfork child (open): no allocation.
 */
#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "segment/layout.h"

#define ROUND_PAGE(n) (((uint64_t)(n) + SN_PAGE - 1) & ~(uint64_t)(SN_PAGE - 1))

struct offsets {
	uint64_t shared, wish, kin, slots, maps, texts, frames, rings, end;
};

static struct offsets
offsets_of(uint32_t nslots, uint32_t ring_bytes)
{
	struct offsets o;

	o.shared = ROUND_PAGE(sizeof(struct sn_segment_header));
	o.wish = o.shared + ROUND_PAGE(sizeof(struct sn_segment_shared));
	o.kin = o.wish + ROUND_PAGE(sizeof(struct sn_segment_wishes));
	o.slots = o.kin + ROUND_PAGE(sizeof(struct sn_segment_kin));
	o.maps = o.slots + ROUND_PAGE((uint64_t)nslots * sizeof(struct sn_slot));
	o.texts = o.maps + 2ull * SN_MAPS_BYTES + (uint64_t)SN_LEAVES * SN_LEAVE_BYTES;
	o.frames = o.texts + ROUND_PAGE(SN_TEXT_MAPS * sizeof(struct sn_text_map));
	o.rings = o.frames + ROUND_PAGE(sizeof(struct sn_segment_frames));
	o.end = o.rings + (uint64_t)nslots * ring_bytes;
	return o;
}

uint64_t
sn_segment_size(uint32_t nslots, uint32_t ring_bytes)
{
	return offsets_of(nslots, ring_bytes).end;
}

/* Perf pays where a rate is asked for that ticks cannot give. */
static uint32_t
choose_drive(const struct sn_options *o)
{
	switch (o->engine) {
	case SN_ENGINE_PERF:
		return SN_DRIVE_PERF;
	case SN_ENGINE_ITIMER:
		return SN_DRIVE_ITIMER;
	case SN_ENGINE_AUTO:
		return (uint64_t)o->hz * sn_clock_tick_ns() > SN_NS_PER_SEC ? SN_DRIVE_PERF : SN_DRIVE_TIMER;
	default:
		return SN_DRIVE_TIMER;
	}
}

static uint32_t
way_of(enum sn_unwind unwind)
{
	switch (unwind) {
	case SN_UNWIND_TABLE:
		return SN_WAY_TABLE_ONLY;
	case SN_UNWIND_FP:
		return SN_WAY_FP;
	case SN_UNWIND_LIBUNWIND:
		return SN_WAY_COPY;
	default:
		return SN_WAY_TABLE;
	}
}

void
sn_segment_options_from(struct sn_segment_options *so, const struct sn_options *o)
{
	*so = (struct sn_segment_options){
		.period_ns = SN_NS_PER_SEC / (uint64_t)o->hz,
		.tick_ns = sn_clock_tick_ns(),
		.hz = (uint32_t)o->hz,
		.signal = (uint32_t)o->signal,
		.depth = (uint32_t)o->depth,
		.way = way_of((enum sn_unwind)o->unwind),
		.idle = o->mode == SN_MODE_IDLE || o->kinds == 0,
		.drive = choose_drive(o),
		.drive_is_auto = o->engine == SN_ENGINE_AUTO,
	};
}

void
sn_segment_format(void *base, uint32_t nslots, uint32_t ring_bytes, uint32_t cookie,
	const struct sn_segment_options *options)
{
	struct offsets o = offsets_of(nslots, ring_bytes);
	struct sn_segment_header *h = base;

	h->version = SN_SEGMENT_VERSION;
	h->header_bytes = sizeof(*h);
	h->total_bytes = o.end;
	h->nslots = nslots;
	h->ring_bytes = ring_bytes;
	h->shared_off = o.shared;
	h->wish_off = o.wish;
	h->kin_off = o.kin;
	h->slots_off = o.slots;
	h->maps_off = o.maps;
	h->frames_off = o.frames;
	h->rings_off = o.rings;
	h->maps_bytes = SN_MAPS_BYTES;
	h->cookie = cookie;
	h->options = *options;
	((struct sn_segment_wishes *)((uint8_t *)base + o.wish))->sampling = !options->idle;
	((struct sn_segment_shared *)((uint8_t *)base + o.shared))->sampling_obeyed = !options->idle;
	SN_STORE_RELEASE(&h->magic, SN_SEGMENT_MAGIC);
}

static bool
sizes_fit(const struct sn_segment_header *h, uint64_t mapped)
{
	struct offsets o;

	if (h->nslots == 0 || h->nslots > SN_SLOTS_MAX || h->ring_bytes < SN_RING_FRAMES ||
	    h->ring_bytes > SN_RING_COPY || (h->ring_bytes & (h->ring_bytes - 1)) != 0)
		return false;
	o = offsets_of(h->nslots, h->ring_bytes);
	return h->total_bytes == o.end && mapped >= o.rings && h->shared_off == o.shared && h->wish_off == o.wish &&
	    h->kin_off == o.kin && h->slots_off == o.slots && h->maps_off == o.maps && h->frames_off == o.frames &&
	    h->rings_off == o.rings && h->maps_bytes == SN_MAPS_BYTES;
}

int
sn_segment_open(struct sn_segment *s, void *base, uint64_t bytes)
{
	struct sn_segment_header h;	/* checked and used from here: the mapping may change under us */
	struct offsets o;

	if (bytes < sizeof(h))
		return -EPROTO;
	memcpy(&h, base, sizeof(h));
	if (h.magic != SN_SEGMENT_MAGIC || h.version != SN_SEGMENT_VERSION || h.header_bytes != sizeof(h) ||
	    !sizes_fit(&h, bytes))
		return -EPROTO;
	o = offsets_of(h.nslots, h.ring_bytes);
	*s = (struct sn_segment){
		.base = base,
		.bytes = bytes < o.end ? bytes : o.end,
		.header = base,
		.shared = (void *)((uint8_t *)base + o.shared),
		.wishes = (void *)((uint8_t *)base + o.wish),
		.kin = (void *)((uint8_t *)base + o.kin),
		.slots = (void *)((uint8_t *)base + o.slots),
		.maps = (uint8_t *)base + o.maps,
		.texts = (void *)((uint8_t *)base + o.texts),
		.frames = (void *)((uint8_t *)base + o.frames),
		.rings_off = o.rings,
		.nslots = h.nslots,
		.ring_bytes = h.ring_bytes,
		.maps_bytes = h.maps_bytes,
		.cookie = h.cookie,
	};
	for (uint32_t n = 0; n < SN_CHUNKS_MAX; n++) {
		uint64_t len, off = sn_segment_chunk(s, n, &len);

		s->ring_chunk[n] = len > 0 && off + len <= bytes ? (uint8_t *)base + off : NULL;
	}
	return 0;
}

uint64_t
sn_segment_chunk(const struct sn_segment *s, uint32_t n, uint64_t *bytes)
{
	uint32_t first = sn_chunk_first(n), end = sn_chunk_first(n + 1);

	if (end > s->nslots)
		end = s->nslots;
	*bytes = first < end ? (uint64_t)(end - first) * s->ring_bytes : 0;
	return s->rings_off + (uint64_t)first * s->ring_bytes;
}

uint32_t
sn_segment_ready_after(const struct sn_segment *s, uint32_t ready)
{
	uint32_t end = sn_chunk_first(sn_chunk_of(ready) + 1);

	return end < s->nslots ? end : s->nslots;
}

void
sn_segment_fill_free_list(struct sn_segment *s)
{
	/*
	 * A slot that was never used is not in a list yet: its next_free is 0 like the rest of
	 * a fresh segment.  Linking thousands of slots would touch every page of them, so the list
	 * starts with slot 0 and each slot that is taken for the first time brings the next.
	 */
	uint32_t ready = 0;

	while (ready < s->nslots && s->ring_chunk[sn_chunk_of(ready)] != NULL)
		ready = sn_segment_ready_after(s, ready);
	SN_STORE_RELEASE(&s->shared->slots_ready, ready);
	SN_STORE_RELEASE(&s->shared->free_slots, 1ull);
}

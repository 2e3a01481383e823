/* SPDX-License-Identifier: Apache-2.0
 *
 * drain.c - go round the rings of a process.
 *
 * Runs in:  collector, ten times a second, oftener when a ring was found a quarter full.
 * Memory:   once the rings of a process hold a quarter of SONDE_MEMORY, or inside once a ring has held
 *           256 KiB, pages are given back as they are consumed, at the price of faults in the handler.
 */
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"

/* A record that stays half written for so long was left by a thread that is gone. */
#define STUCK_NS (5 * SN_NS_PER_SEC)
/*
 * Bytes of a ring inside that are kept when its records have passed through them.  Measured, records of 15 KB:
 * 0.3 us in the handler and 2 MiB a ring without, 6.3 us (page faults) and 0.6 MiB with; small rings need it not.
 */
#define INSIDE_RING_KEPT (256u << 10)

/* The owner left a record half written, or wrote nonsense: go on behind it, at the cost of what lies there. */
static void
skip_ring(struct sn_process *p, uint32_t slot)
{
	struct sn_slot *sl = &p->seg.slots[slot];
	uint64_t resv = SN_LOAD_ACQUIRE(&sl->resv) & ~7ull;

	memset(sn_segment_ring(&p->seg, slot), 0, p->seg.ring_bytes);
	SN_STORE_RELEASE(&sl->head, resv);
	p->views[slot].read_pos = resv;
	p->count.bad_records++;
}

static void
watch_stuck(struct sn_process *p, uint32_t slot, const struct sn_drain_result *res)
{
	struct sn_thread_view *v = &p->views[slot];
	uint64_t head = v->read_pos, now = sn_clock_mono_ns();

	if (!res->stuck) {
		v->stuck_since_ns = 0;
	} else if (v->stuck_since_ns == 0 || v->stuck_pos != head) {
		v->stuck_pos = head;
		v->stuck_since_ns = now;
	} else if (now - v->stuck_since_ns > STUCK_NS) {
		skip_ring(p, slot);
		v->stuck_since_ns = 0;
	}
}

/* Samples that have a weight and no stack. */
static void
add_weight(struct sn_process *p, uint32_t slot, enum sn_pseudo pseudo, uint64_t weight)
{
	const struct sn_slot *sl = &p->seg.slots[slot];
	uint32_t frame = sn_profile_frame(&p->profile, 0, NULL, pseudo);
	uint32_t stack = sn_profile_stack(&p->profile, &frame, 1);
	uint32_t group = sn_profile_group(&p->profile, sl->start_fn, sl->is_main != 0);

	sn_process_count(p, &(struct sn_seen){
		.stack = stack, .label = SN_NO_LABEL, .group = group == UINT32_MAX ? 0 : group,
		.weight = weight, .time_ns = UINT64_MAX,
	});
}

/* Samples that found no room keep their weight, as [lost]. */
static void
take_lost(struct sn_process *p, uint32_t slot)
{
	struct sn_slot *sl = &p->seg.slots[slot];
	struct sn_thread_view *v = &p->views[slot];
	uint64_t weight = SN_LOAD_RELAXED(&sl->lost_weight);
	uint64_t records = SN_LOAD_RELAXED(&sl->lost_records);

	if (weight <= v->lost_weight || weight - v->lost_weight > UINT32_MAX)
		return;
	if (p->sampling) {
		add_weight(p, slot, SN_PSEUDO_LOST, weight - v->lost_weight);
		p->count.lost += records - v->lost_records;
	}
	v->lost_weight = weight;
	v->lost_records = records;
}

/* What the program's filter refused waits as [filtered] until the profile is settled. */
static void
take_filtered(struct sn_process *p, uint32_t slot)
{
	struct sn_thread_view *v = &p->views[slot];
	uint64_t weight = SN_LOAD_RELAXED(&p->seg.slots[slot].filtered_weight);

	if (weight <= v->filtered_weight || weight - v->filtered_weight > UINT32_MAX)
		return;
	if (p->sampling)
		add_weight(p, slot, SN_PSEUDO_FILTERED, weight - v->filtered_weight);
	v->filtered_weight = weight;
}

/*
 * Pages of a ring are given back as they are consumed?  When all rings hold too much; inside each large ring
 * may keep only what it touches first: the program's memory is counted with ours there.
 */
static bool
gives_back(const struct sn_process *p, uint32_t slot)
{
	return p->ring_touched > p->memory_bound / 4 || (p->host != NULL && p->seg.ring_bytes > 2 * INSIDE_RING_KEPT &&
	    SN_LOAD_RELAXED(&p->seg.slots[slot].head) >= INSIDE_RING_KEPT);
}

/* Where we go on in the slot's ring. */
static uint64_t
read_from(struct sn_process *p, uint32_t slot)
{
	uint64_t head = SN_LOAD_RELAXED(&p->seg.slots[slot].head);
	struct sn_thread_view *v = &p->views[slot];

	if (v->read_pos - head > p->seg.ring_bytes)
		v->read_pos = head;
	return v->read_pos;
}

static uint64_t
pages_up_to(uint64_t pos)
{
	return (pos + SN_PAGE - 1) & ~(uint64_t)(SN_PAGE - 1);
}

/* What one slot has, at most max_records.  How many that was. */
static uint32_t
drain_slot(struct sn_process *p, uint32_t slot, uint32_t max_records, uint32_t *fullest)
{
	uint64_t fill = SN_LOAD_RELAXED(&p->seg.slots[slot].resv) - read_from(p, slot), *pos = &p->views[slot].read_pos;
	bool punch = gives_back(p, slot);
	struct sn_drain_result res;
	uint64_t before;
	uint32_t level;

	take_lost(p, slot);
	take_filtered(p, slot);
	if (fill == 0)
		return 0;
	level = fill >= p->seg.ring_bytes ? 256 : (uint32_t)(fill * 256 / p->seg.ring_bytes);
	if (level > *fullest)
		*fullest = level;
	before = *pos;
	res = sn_drain_ring(&p->seg, slot, max_records, p->memfd, punch, pos, sn_process_take, p);
	p->count.bad_records += res.bad;
	if (!punch && *pos <= p->seg.ring_bytes)	/* the first lap touches pages, later ones find them */
		p->ring_touched += pages_up_to(*pos) - pages_up_to(before);
	watch_stuck(p, slot, &res);
	return res.records;
}

static uint32_t
drain_from(struct sn_process *p, uint32_t first, uint32_t end, uint32_t max_records, uint32_t *fullest)
{
	uint32_t taken = 0;

	for (uint32_t i = sn_process_next_pending(p, first); i < end && taken < max_records;
	    i = sn_process_next_pending(p, i + 1)) {
		taken += drain_slot(p, i, max_records - taken, fullest);
		/* What is not taken yet, or half written, is looked at again without another word of its owner. */
		if (SN_LOAD_RELAXED(&p->seg.slots[i].resv) == read_from(p, i))
			p->pending[i / 64] &= ~(1ull << i % 64);
	}
	return taken;
}

uint32_t
sn_process_drain(struct sn_process *p, uint32_t max_records, uint32_t *fullest)
{
	uint32_t first, taken;

	sn_process_find_news(p);
	first = p->drain_first;			/* each has its turn to be first */
	taken = drain_from(p, first, p->slots_used, max_records, fullest);
	if (taken < max_records)
		taken += drain_from(p, 0, first, max_records - taken, fullest);
	p->drain_first = p->slots_used > 0 ? (first + 1) % p->slots_used : 0;
	return taken;
}

void
sn_process_drain_last(struct sn_process *p)
{
	uint32_t fullest = 0;

	/* Who died in the middle of a record may not have said so. */
	memset(p->pending, 0xff, sizeof(p->pending));
	/* Once round takes a whole ring of each: somebody who still writes there cannot keep us. */
	(void)sn_process_drain(p, UINT32_MAX, &fullest);
	for (uint32_t i = 0; i < p->slots_used; i++) {
		uint64_t pushed = SN_LOAD_RELAXED(&p->seg.slots[i].pushed_weight);
		uint64_t taken = p->views[i].taken_weight;

		if (p->sampling && pushed > taken && pushed - taken < UINT32_MAX) {
			add_weight(p, i, SN_PSEUDO_LOST, pushed - taken);		/* torn, or skipped */
			p->count.lost++;
		}
	}
}

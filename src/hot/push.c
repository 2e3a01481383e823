/* SPDX-License-Identifier: Apache-2.0
 *
 * push.c - one sample: walk the stack straight into the ring, or copy it there.
 *
 * Runs in:  the handler, on the thread that is sampled.
 * Memory:   the record is built in the ring, nothing on the stack.
 * When full: the sample is counted as lost with its weight, and shown as [lost].
 * Why in one: each function that calls another one takes some 50 bytes of a stack that may be small.
 */
#include <stddef.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "hot/hot.h"
#include "hot/walk.h"

/* A handler that took longer did not run all the while: its thread lost the CPU, which is no cost of ours. */
#define HANDLER_MAX_NS 50000

static void
fill(struct sn_rec *r, const struct sn_live_state *live, const struct sn_slot *sl, uint16_t kind, uint32_t weight,
	uint64_t now)
{
	r->kind = kind;
	r->nframes = 0;
	r->flags = sl->is_main ? SN_REC_IS_MAIN : 0;
	r->tid = sl->tid;
	r->weight = weight;
	r->time_ns = now;
	r->start_fn = sl->start_fn;
	r->generation = SN_LOAD_ACQUIRE(&live->segment.shared->modules_generation);
	r->stack_bytes = 0;
	if (SN_LOAD_RELAXED(&live->segment.shared->sampled_generation) != r->generation)
		SN_STORE_RELAXED(&live->segment.shared->sampled_generation, r->generation);
}

static __attribute__((noinline)) bool
push_copy(const struct sn_live_state *live, uint32_t slot, uint32_t weight, uint64_t now, const ucontext_t *uc)
{
	const struct sn_slot *sl = &live->segment.slots[slot];
	uint32_t flags = 0, bytes;
	struct sn_regs *regs;
	struct sn_rec *r;
	uint64_t word, sp;

#if defined(__x86_64__)
	sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
#else
	sp = uc->uc_mcontext.sp;
#endif
	bytes = sn_stack_extent(sl, sp, uc, &flags);
	r = sn_ring_reserve(&live->segment, slot, (uint32_t)(sizeof(*r) + sizeof(*regs)) + bytes, &word);
	if (r == NULL)
		return false;
	fill(r, live, sl, SN_REC_STACK, weight, now);
	r->flags |= flags;
	regs = (struct sn_regs *)(r + 1);
	sn_regs_from_ucontext(regs, uc);
	r->stack_bytes = bytes;
	sn_stack_copy(regs + 1, sp, bytes, sl);
	sn_ring_publish(r, word);
	return true;
}

/*
 * The map of texts in force, or NULL.  From reading = epoch + 1 on the collector leaves alone what was in force then;
 * whoever interrupts a reader finds that so, and leaves it.
 */
static const struct sn_text_map *
begin_reading(const struct sn_segment *s, struct sn_slot *sl, uint32_t *before)
{
	uint32_t at;

	*before = SN_LOAD_RELAXED(&sl->reading);
	if (*before == 0) {
		SN_STORE_RELAXED(&sl->reading, SN_LOAD_RELAXED(&s->shared->text_epoch) + 1);
		SN_FENCE();		/* pairs with collect/tables.c: it sees us, or we the newest map */
	}
	at = SN_LOAD_ACQUIRE(&s->shared->text_map);
	return at == 0 || at > SN_TEXT_MAPS || SN_LOAD_ACQUIRE(&s->tables) == NULL ? NULL : &s->texts[at - 1];
}

static void
end_reading(struct sn_slot *sl, uint32_t before)
{
	SN_STORE_RELEASE(&sl->reading, before);
}

/* Is a module perhaps gone since the map was made, and another one in its place? */
static bool
may_have_changed(const struct sn_segment *s, const struct sn_text_map *map)
{
	return SN_LOAD_ACQUIRE(&s->shared->closing) != 0 ||
	    (int32_t)(SN_LOAD_ACQUIRE(&s->shared->closed_generation) - map->generation) > 0;
}

static inline __attribute__((always_inline)) uint32_t
walk(const struct sn_live_state *live, struct sn_slot *sl, struct sn_walk *w, const ucontext_t *uc, uint64_t *frames,
	uint32_t max)
{
	const struct sn_segment *s = &live->segment;
	uint32_t before, n = 0;

	w->stack_lo = sl->stack_lo;
	w->stack_hi = sl->stack_hi;
	if (live->options.way == SN_WAY_FP) {
		w->map = NULL;
		return sn_walk_fp(w, uc, frames, max);
	}
	w->end = SN_WALK_UNKNOWN;
	w->guessed = false;
	w->map = begin_reading(s, sl, &before);
	if (w->map != NULL) {
		w->tables = s->tables;
		w->tables_bytes = s->tables_bytes;
		w->only_stays = may_have_changed(s, w->map);
		n = sn_walk_tables(w, uc, frames, max);
	}
	end_reading(sl, before);
	return n;
}

uint32_t
sn_walk_thread(const struct sn_live_state *live, struct sn_slot *sl, struct sn_walk *w, const ucontext_t *uc,
	uint64_t *frames, uint32_t max)
{
	return walk(live, sl, w, uc, frames, max);
}

static inline __attribute__((always_inline)) bool
push(const struct sn_live_state *live, uint32_t slot, uint32_t weight, uint64_t now, const ucontext_t *uc)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	struct sn_walk w;
	struct sn_rec *r;
	uint64_t word;
	uint32_t n;

	if (live->options.way == SN_WAY_COPY)
		return push_copy(live, slot, weight, now, uc);
	r = sn_ring_reserve(&live->segment, slot,
		(uint32_t)(sizeof(*r) + live->options.depth * sizeof(uint64_t)), &word);
	if (r == NULL)
		return false;
	n = walk(live, sl, &w, uc, (uint64_t *)(r + 1), live->options.depth);
	if (n == 0 || (w.end == SN_WALK_UNKNOWN && live->options.way == SN_WAY_TABLE)) {
		/* In a sealed program nothing can be probed, and a copy would take gaps for stack. */
		if (SN_LOAD_RELAXED(&sn_seal) == 0) {
			sn_ring_trim(&live->segment, slot, r, &word, 0);
			return push_copy(live, slot, weight, now, uc);
		}
		if (n == 0)
			n = sn_walk_leaf(uc, (uint64_t *)(r + 1));
	}
	fill(r, live, sl, SN_REC_FRAMES, weight, now);
	r->nframes = (uint16_t)n;
	r->flags |= (w.end == SN_WALK_TRUNCATED ? SN_REC_TRUNCATED : w.end == SN_WALK_COMPLETE ? 0 : SN_REC_FAILED) |
	    (w.guessed ? SN_REC_GUESSED : 0);
	sn_ring_trim(&live->segment, slot, r, &word, (uint32_t)(sizeof(*r) + n * sizeof(uint64_t)));
	sn_ring_publish(r, word);
	return true;
}

uint64_t
sn_push_sample(const struct sn_live_state *live, uint32_t slot, uint32_t weight, const ucontext_t *uc)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	uint64_t began = sn_clock_mono_ns(), took;

	if (push(live, slot, weight, began, uc)) {
		SN_BUMP(&sl->pushed_weight, weight);
	} else {
		SN_BUMP(&sl->lost_records, 1);
		SN_BUMP(&sl->lost_weight, weight);
		sn_ring_note(&live->segment, slot);
	}
	took = sn_clock_mono_ns() - began;
	SN_BUMP(&sl->handler_ns, took < HANDLER_MAX_NS ? took : HANDLER_MAX_NS);
	return took;
}

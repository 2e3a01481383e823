/* SPDX-License-Identifier: Apache-2.0
 *
 * sample.c - a record becomes a stack in the profile.
 *
 * Runs in:  collector, for each record of a drain.
 * When memory is at its bound: the sample keeps its weight, as [stack dropped].
 */
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"

/* So often are the maps read again because of an address that nobody knows; seldom where that does not help. */
#define UNKNOWN_REFRESH_NS (SN_NS_PER_SEC / 1000)
#define UNKNOWN_REFRESH_MAX_NS (SN_NS_PER_SEC / 10)
/* A function that threads start in is shorter than this. */
#define START_FN_MAX (64u << 10)

static bool
is_ours(const struct sn_module *m)
{
	const char *base = m != NULL && m->path != NULL ? strrchr(m->path, '/') : NULL;

	return base != NULL && strncmp(base + 1, "libsonde.so", 11) == 0;
}

static void
walk(struct sn_process *p, const struct sn_record *r, struct sn_unwound *out)
{
	if (r->rec.kind == SN_REC_STACK) {
		struct sn_regs regs;

		memcpy(&regs, r->payload, sizeof(regs));
		if (r->rec.flags & SN_REC_NO_STACK) {
			out->count = 1;
			out->pc[0] = regs.r[SN_REG_PC];
			out->end = SN_UNWIND_FAILED;
		} else {
			sn_unwind(p->unwinder, &regs, r->payload + sizeof(regs), r->rec.stack_bytes,
				(r->rec.flags & SN_REC_TRUNCATED) != 0, p->depth, out);
		}
		return;
	}
	out->count = r->rec.nframes;
	memcpy(out->pc, r->payload, r->rec.nframes * sizeof(uint64_t));
	out->end = r->rec.flags & SN_REC_TRUNCATED ? SN_UNWIND_TRUNCATED
		 : r->rec.flags & (SN_REC_NO_STACK | SN_REC_FAILED) ? SN_UNWIND_FAILED : SN_UNWIND_COMPLETE;
}

static bool
knows_all(const struct sn_process *p, const struct sn_unwound *u)
{
	for (uint32_t i = 0; i < u->count; i++)
		if (sn_modules_find(p->modules, u->pc[i]) == NULL)
			return false;
	return true;
}

/* The stack's place in the set of modules: newer records may need newer maps. */
static void
unwind(struct sn_process *p, const struct sn_record *r, struct sn_unwound *u)
{
	sn_process_modules_of(p, r->rec.generation);
	walk(p, r, u);
	if (p->modules_left || r->rec.generation != p->generation)
		return;
	if ((u->end == SN_UNWIND_COMPLETE && knows_all(p, u)) ||
	    sn_clock_mono_ns() - p->modules_read_ns < p->unknown_wait_ns)
		return;
	if (u->end == SN_UNWIND_TRUNCATED && knows_all(p, u))
		return;
	(void)sn_process_refresh_modules(p);
	walk(p, r, u);
	if (u->end == SN_UNWIND_COMPLETE && knows_all(p, u))
		p->unknown_wait_ns = UNKNOWN_REFRESH_NS;
	else if (p->unknown_wait_ns < UNKNOWN_REFRESH_MAX_NS)
		p->unknown_wait_ns = p->unknown_wait_ns * 2 + UNKNOWN_REFRESH_NS;
}

/*
 * Remember how threads of this group begin: the frames from their start function to the root.  The
 * start function is the one among the last frames that lies closest behind start_fn.
 */
static void
learn_root(struct sn_process *p, uint32_t group, const uint32_t *ids, uint32_t n, uint64_t start_fn)
{
	struct sn_group *g = &p->profile.groups[group];
	const struct sn_module *home = sn_modules_find(p->modules, start_fn);
	uint64_t best = START_FN_MAX;
	uint32_t at = n;

	for (uint32_t i = n > 4 ? n - 4 : 0; i < n; i++) {
		const struct sn_frame *f = &p->profile.frames[ids[i]];

		if (f->module == home && home != NULL && f->addr >= start_fn && f->addr - start_fn < best) {
			best = f->addr - start_fn;
			at = i;
		}
	}
	if (at < n)
		g->root_stack = sn_profile_stack(&p->profile, ids + at, n - at);
}

static uint32_t
intern(struct sn_process *p, const struct sn_unwound *u, uint32_t group, uint64_t start_fn)
{
	uint32_t ids[SN_FRAMES_MAX + 1];
	uint32_t n = 0;

	for (uint32_t i = 0; i < u->count; i++) {
		struct sn_module *m = sn_modules_find(p->modules, u->pc[i]);

		if (is_ours(m))
			continue;
		ids[n] = sn_profile_frame(&p->profile, u->pc[i], m, SN_PSEUDO_NONE);
		if (ids[n] == UINT32_MAX)
			return UINT32_MAX;
		n++;
	}
	if (u->end == SN_UNWIND_COMPLETE && p->profile.groups[group].root_stack == SN_NO_STACK)
		learn_root(p, group, ids, n, start_fn);
	if (u->end != SN_UNWIND_COMPLETE) {
		bool cut = u->end == SN_UNWIND_TRUNCATED;

		ids[n] = sn_profile_frame(&p->profile, 0, NULL, cut ? SN_PSEUDO_TRUNCATED : SN_PSEUDO_UNWIND_FAILED);
		if (ids[n] == UINT32_MAX)
			return UINT32_MAX;
		n++;
		*(cut ? &p->count.truncated : &p->count.unwind_failed) += 1;
	}
	return sn_profile_stack(&p->profile, ids, n);
}

static uint32_t
label_of(struct sn_process *p, uint32_t slot, int32_t tid)
{
	bool overflow = false;
	uint32_t label;

	if ((p->labels & SN_LABEL_THREAD) == 0)
		return SN_NO_LABEL;
	label = sn_profile_label(&p->profile, sn_process_comm(p, slot, tid), &overflow);
	p->count.label_overflow += overflow;
	return label;
}

static void
take_sample(struct sn_process *p, uint32_t slot, const struct sn_record *r)
{
	struct sn_unwound u;
	uint32_t group = sn_profile_group(&p->profile, r->rec.start_fn, (r->rec.flags & SN_REC_IS_MAIN) != 0);
	uint32_t stack;

	p->views[slot].taken_weight += r->rec.weight;
	if (!p->sampling)
		return;			/* it came when nobody wanted it any more */
	p->count.samples++;
	p->count.copied += r->rec.kind == SN_REC_STACK;
	p->count.guessed += (r->rec.flags & SN_REC_GUESSED) != 0;
	p->weights += r->rec.weight;
	p->weight_squares += (uint64_t)r->rec.weight * r->rec.weight;
	unwind(p, r, &u);
	stack = group == UINT32_MAX ? UINT32_MAX : intern(p, &u, group, r->rec.start_fn);
	if (stack == UINT32_MAX) {
		uint32_t frame = sn_profile_frame(&p->profile, 0, NULL, SN_PSEUDO_STACK_DROPPED);

		stack = sn_profile_stack(&p->profile, &frame, 1);	/* the profile counts what goes there */
	}
	sn_process_count(p, &(struct sn_seen){
		.stack = stack,
		.label = label_of(p, slot, r->rec.tid),
		.tid = p->labels & SN_LABEL_THREAD_ID ? r->rec.tid : 0,
		.group = group == UINT32_MAX ? 0 : group,
		.weight = r->rec.weight,
		.time_ns = r->rec.time_ns,
	});
}

static void
take_exit(struct sn_process *p, uint32_t slot, const struct sn_record *r)
{
	struct sn_thread_view *v = &p->views[slot];
	struct sn_rec_exit last;

	memcpy(&last, r->payload, sizeof(last));
	if (v->tid != r->rec.tid || v->closed) {
		/* The slot was taken again before this thread was ever scanned, or the scan gave it up too early. */
		bool again = v->tid == r->rec.tid && last.cpu_ns >= v->cpu_ns && last.credited_ns >= v->credited_ns;
		struct sn_thread_view passing = {
			.tid = r->rec.tid, .start_fn = r->rec.start_fn, .base_ns = again ? 0 : last.cpu_at_arming_ns,
			.is_main = (r->rec.flags & SN_REC_IS_MAIN) != 0,
			.refused = (r->rec.flags & SN_REC_NO_TIMER) != 0,
		};

		sn_process_close_thread(p, &passing, last.cpu_ns - (again ? v->cpu_ns : 0),
			last.credited_ns - (again ? v->credited_ns : 0));
		return;
	}
	v->base_ns = last.cpu_at_arming_ns;
	v->refused |= (r->rec.flags & SN_REC_NO_TIMER) != 0;
	sn_process_close_thread(p, v, last.cpu_ns, last.credited_ns);
}

void
sn_process_take(void *ctx, uint32_t slot, const struct sn_record *record)
{
	struct sn_process *p = ctx;

	if (record->rec.kind == SN_REC_EXIT)
		take_exit(p, slot, record);
	else
		take_sample(p, slot, record);
}

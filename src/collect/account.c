/* SPDX-License-Identifier: Apache-2.0
 *
 * account.c - what each thread's CPU clock says beyond its samples, taken scan by scan.
 *
 * Runs in:  collector, at each scan, thread's end and image's end.
 * Exact:    of each thread the view remembers what was taken already; only the change is added, so however
 *           often it is looked at, the sum is what one look at its end would have given.
 */
#include "base/atomic.h"
#include "collect/process.h"

/* Where thread ids differ, their clocks cannot be read: nor can what they used without sampling be told. */
static bool
clock_is_known(const struct sn_process *p)
{
	return !p->was_off || SN_LOAD_RELAXED(&p->seg.shared->pid_inside) == (uint64_t)p->pid;
}

/* The first image's main thread answers for the loader; a later one's began with an old clock. */
static int64_t
old_clock(const struct sn_process *p, const struct sn_thread_view *v)
{
	return v->is_main && p->images > 1 ? (int64_t)v->base_ns : 0;
}

/* CPU time up to this clock that is to be accounted for. */
static int64_t
own_cpu(const struct sn_process *p, const struct sn_thread_view *v, uint64_t cpu_ns, uint64_t credited_ns)
{
	if (!clock_is_known(p))
		return sn_difference((int64_t)credited_ns, v->off_credited_ns);
	return sn_difference(sn_difference((int64_t)cpu_ns, old_clock(p, v)), v->off_cpu_ns);
}

/* The thread's residual is this now: its group gets the change. */
static void
add_residual(struct sn_group *g, struct sn_thread_view *v, int64_t residual, int64_t blocked, int64_t kernel)
{
	g->kernel_ns = sn_sum(g->kernel_ns, sn_difference(kernel, v->kernel_ns));
	v->kernel_ns = kernel;
	g->residual_ns = sn_sum(g->residual_ns, sn_difference(residual, v->residual_ns));
	g->blocked_ns = sn_sum(g->blocked_ns, sn_difference(blocked, v->blocked_ns));
	v->residual_ns = residual;
	v->blocked_ns = blocked;
}

/*
 * A thread without a timer: what it used is [unsampled thread].  Whole periods of what all such threads of the group
 * used are rows, and no residual any more; many of them may use less than a period each.
 */
static void
name_refused(struct sn_process *p, struct sn_thread_view *v, uint32_t group, int64_t residual)
{
	struct sn_group *g = &p->profile.groups[group];
	int64_t named;
	uint32_t frame;

	g->refused_ns = sn_sum(g->refused_ns, sn_difference(residual, v->refused_ns));
	v->refused_ns = residual;
	named = sn_difference(g->refused_ns, g->refused_named_ns);
	named -= named % (int64_t)p->profile.period_ns;
	if (named <= 0)
		return;
	g->refused_named_ns = sn_sum(g->refused_named_ns, named);
	g->residual_ns = sn_difference(g->residual_ns, named);
	frame = sn_profile_frame(&p->profile, 0, NULL, SN_PSEUDO_UNSAMPLED_THREAD);
	sn_process_count(p, &(struct sn_seen){
		.stack = sn_profile_stack(&p->profile, &frame, 1), .label = SN_NO_LABEL, .group = group,
		.weight = (uint64_t)named / p->profile.period_ns, .time_ns = UINT64_MAX,
	});
}

/* What the residual grew by while the signal was blocked stays named so when it is let in again. */
static int64_t
blocked_of(const struct sn_thread_view *v, int64_t residual)
{
	int64_t grown = sn_difference(residual, v->residual_ns);
	int64_t blocked = v->blocks_signal && grown > 0 ? sn_sum(v->blocked_ns, grown) : v->blocked_ns;

	if (blocked > residual)
		blocked = residual;
	return blocked > 0 ? blocked : 0;
}

void
sn_process_account(struct sn_process *p, struct sn_thread_view *v, uint64_t cpu_ns, uint64_t credited_ns)
{
	int64_t cpu, credited, residual, blocked, kernel;
	uint32_t g;

	if (!p->sampling)
		return;
	g = sn_profile_group(&p->profile, v->start_fn, v->is_main);
	if (g == UINT32_MAX || cpu_ns > INT64_MAX / 2 || credited_ns > INT64_MAX / 2)
		return;			/* stays in what no thread accounts for */
	cpu = own_cpu(p, v, cpu_ns, credited_ns);
	credited = sn_difference((int64_t)credited_ns, v->off_credited_ns);
	residual = sn_difference(cpu, credited);
	blocked = v->refused ? v->blocked_ns : blocked_of(v, residual);
	kernel = v->kernel_ns;
	if (v->drive == SN_BY_PERF && !v->blocks_signal)
		kernel = sn_sum(kernel, sn_difference(residual, v->residual_ns));
	add_residual(&p->profile.groups[g], v, residual, blocked, kernel);
	p->accounted_ns += (uint64_t)cpu - (uint64_t)v->accounted_ns;
	v->accounted_ns = cpu;
	if (v->refused)
		name_refused(p, v, g, residual);
}

void
sn_process_skip(const struct sn_process *p, struct sn_thread_view *v, uint64_t cpu_ns, uint64_t credited_ns)
{
	if (cpu_ns > INT64_MAX / 2 || credited_ns > INT64_MAX / 2)
		return;
	v->off_credited_ns = sn_difference((int64_t)credited_ns, sn_difference(v->accounted_ns, v->residual_ns));
	v->off_cpu_ns = sn_difference(sn_difference((int64_t)cpu_ns, old_clock(p, v)), v->accounted_ns);
	v->cpu_ns = cpu_ns;
	v->credited_ns = credited_ns;
}

void
sn_process_close_thread(struct sn_process *p, struct sn_thread_view *v, uint64_t cpu_ns, uint64_t credited_ns)
{
	v->closed = true;
	sn_process_account(p, v, cpu_ns, credited_ns);
}

struct sn_thread_view *
sn_process_view(struct sn_process *p, uint32_t slot)
{
	const struct sn_slot *sl = &p->seg.slots[slot];
	struct sn_thread_view *v = &p->views[slot];
	uint32_t uses = SN_LOAD_RELAXED(&sl->uses);
	uint32_t state = SN_LOAD_ACQUIRE(&sl->state);

	/* The thread before may still have its last word in the ring: that closes it, not we. */
	if (v->uses == uses || (v->uses != 0 && !v->closed && v->gone < 2))
		return v;
	if (v->uses != 0 && !v->closed)
		sn_process_close_thread(p, v, v->cpu_ns, v->credited_ns);
	if (state != SN_SLOT_ARMED && state != SN_SLOT_UNARMED && state != SN_SLOT_IDLE)
		return v;
	*v = (struct sn_thread_view){
		.uses = uses,
		.tid = SN_LOAD_RELAXED(&sl->tid),
		.start_fn = SN_LOAD_RELAXED(&sl->start_fn),
		.is_main = SN_LOAD_RELAXED(&sl->is_main) != 0,
		.base_ns = SN_LOAD_RELAXED(&sl->cpu_at_arming_ns),
		.refused = state == SN_SLOT_UNARMED,
		.drive = SN_LOAD_RELAXED(&sl->drive),
		.lost_weight = v->lost_weight,
		.lost_records = v->lost_records,
		.filtered_weight = v->filtered_weight,
		.taken_weight = v->taken_weight,
		.read_pos = v->read_pos,
		.signals = SN_LOAD_RELAXED(&sl->signals),
	};
	return v;
}

void
sn_process_close_all(struct sn_process *p)
{
	for (uint32_t i = 0; i < p->slots_used; i++) {
		const struct sn_slot *sl = &p->seg.slots[i];
		struct sn_thread_view *v;
		uint64_t credited = SN_LOAD_RELAXED(&sl->credited_ns);

		p->views[i].gone = 2;	/* all rings are drained: no last word is left */
		v = sn_process_view(p, i);
		if (v->uses == 0 || v->uses != SN_LOAD_RELAXED(&sl->uses) || v->closed)
			continue;
		/* What it was credited since the last scan is the best guess of what it used since. */
		if (credited < v->credited_ns)
			credited = v->credited_ns;
		/* A zombie still has the clock of its first thread. */
		if (v->is_main && p->ended && sn_process_last_clock(p, v)) {
			sn_process_close_thread(p, v, v->cpu_ns, credited);
			continue;
		}
		/* Never scanned: its clock began where it was armed. */
		if (v->cpu_ns == 0 && !v->refused && v->is_main)
			v->cpu_ns = v->base_ns;
		sn_process_close_thread(p, v, v->cpu_ns + (credited - v->credited_ns), credited);
	}
}

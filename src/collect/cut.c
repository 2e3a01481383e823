/* SPDX-License-Identifier: Apache-2.0
 *
 * cut.c - moments at which all sums of a process are known: where spans of the past begin and end.
 *
 * Runs in:  collector: once a second or so, and when a client asks.
 * Exact:    a row's time lies behind the cut before it and not behind the one after it, whatever the program's
 *           clock said, so that spans which meet at a cut share nothing and miss nothing.
 * Memory:   216 bytes a cut, at most CUTS_MAX; a process that does nothing has one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"

#define CUTS_MAX	2048u
#define CUTS_KEPT	512u		/* … in SONDE_KEEP */
#define RECORDS_A_TICK	2000		/* then others have their turn */

uint64_t
sn_process_sampled_cpu(const struct sn_process *p)
{
	uint64_t off = p->off_ns + (p->sampling || p->cpu_ns < p->off_since_ns ? 0 : p->cpu_ns - p->off_since_ns);

	return p->cpu_ns > off ? p->cpu_ns - off : 0;
}

/* Behind the last cut, and not in the future: the program's clock may be any. */
static uint64_t
fit_time(struct sn_process *p, uint64_t ns)
{
	uint64_t now = sn_clock_mono_ns();
	uint64_t least = p->cut_count > 0 ? p->cuts[p->cut_count - 1].until_ns + 1 : 0;

	if (ns > now)
		ns = now;
	if (ns < least)
		ns = least;
	if (ns > p->newest_row_ns)
		p->newest_row_ns = ns;
	return ns;
}

static void
add_row(struct sn_process *p, struct sn_history_row *row, uint64_t time_ns)
{
	row->time_ns = fit_time(p, time_ns);
	p->rows_since_cut = true;
	sn_history_add(&p->history, row);
}

void
sn_process_count(struct sn_process *p, const struct sn_seen *seen)
{
	struct sn_history_row row = {
		.stack = seen->stack, .tid = seen->tid, .kind = SN_HISTORY_CPU,
		.group = seen->group < UINT16_MAX ? (uint16_t)seen->group : UINT16_MAX,
		.label = seen->label < UINT8_MAX ? (uint8_t)seen->label : UINT8_MAX,
	};
	uint64_t left = seen->weight;

	(void)sn_profile_add(&p->profile, seen->stack, seen->label, seen->tid, seen->group, seen->weight);
	while (left > 0) {
		row.weight = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
		left -= row.weight;
		add_row(p, &row, seen->time_ns);
	}
}

static void
tell(struct sn_process *p, enum sn_history_kind kind, uint32_t group, int64_t ns)
{
	struct sn_history_row row = {
		.residual_ns = ns, .kind = (uint8_t)kind, .label = UINT8_MAX,
		.group = group < UINT16_MAX ? (uint16_t)group : UINT16_MAX,
	};

	if (ns != 0)
		add_row(p, &row, UINT64_MAX);
}

static bool
told_room(struct sn_process *p)
{
	struct sn_told *grown;

	if (p->told_count >= p->profile.group_count)
		return true;
	grown = realloc(p->told, p->profile.group_cap * sizeof(*grown));
	if (grown == NULL)
		return false;			/* told at the next cut */
	memset(grown + p->told_count, 0, (p->profile.group_cap - p->told_count) * sizeof(*grown));
	p->told = grown;
	p->told_count = p->profile.group_cap;
	return true;
}

/* The change of all residuals since the last cut. */
static void
tell_residuals(struct sn_process *p)
{
	int64_t rest = sn_difference((int64_t)sn_process_sampled_cpu(p), (int64_t)p->accounted_ns);

	if (!told_room(p))
		return;
	for (uint32_t g = 0; g < p->profile.group_count; g++) {
		const struct sn_group *now = &p->profile.groups[g];
		struct sn_told *told = &p->told[g];
		int64_t blocked = sn_difference(now->blocked_ns, told->blocked_ns);
		int64_t kernel = sn_difference(now->kernel_ns, told->kernel_ns);

		tell(p, SN_HISTORY_BLOCKED, g, blocked);
		tell(p, SN_HISTORY_KERNEL, g, kernel);
		tell(p, SN_HISTORY_RESIDUAL, g,
			sn_difference(sn_difference(now->residual_ns, told->residual_ns), sn_sum(blocked, kernel)));
		told->residual_ns = now->residual_ns;
		told->blocked_ns = now->blocked_ns;
		told->kernel_ns = now->kernel_ns;
	}
	tell(p, SN_HISTORY_PROCESS, UINT32_MAX, sn_difference(rest, p->told_rest_ns));
	p->told_rest_ns = rest;
}

static bool
same_figures(const struct sn_cut *a, const struct sn_cut *b)
{
	return a->cpu_ns == b->cpu_ns && memcmp(&a->count, &b->count, sizeof(a->count)) == 0;
}

/* Every second one goes, but for the newest and the one at which the oldest client began. */
static void
thin_out(struct sn_process *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->cut_count; i++) {
		const struct sn_cut *c = &p->cuts[i];
		bool pinned = p->history.pinned_ns >= c->time_ns && p->history.pinned_ns <= c->until_ns;

		if (i % 2 == 0 || pinned || i == p->cut_count - 1)
			p->cuts[n++] = *c;
	}
	p->cut_count = n;
}

static void
append(struct sn_process *p, const struct sn_cut *cut)
{
	if (p->cut_count >= CUTS_MAX)
		thin_out(p);
	if (p->cut_count == p->cut_cap) {
		uint32_t cap = p->cut_cap > 0 ? p->cut_cap * 2 : 8;
		struct sn_cut *grown = realloc(p->cuts, cap * sizeof(*grown));

		if (grown == NULL) {
			if (p->cut_count > 0)
				p->cuts[p->cut_count - 1] = *cut;	/* spans reach further back then */
			return;
		}
		p->cuts = grown;
		p->cut_cap = cap;
	}
	p->cuts[p->cut_count++] = *cut;
}

/* Cuts that no span can begin at any more; one at or before the oldest row stays. */
static void
forget_old(struct sn_process *p, uint64_t now)
{
	uint64_t horizon = now > p->history.keep_ns ? now - p->history.keep_ns : 0;
	uint32_t n = 0;

	if (p->history.pinned_ns != 0 && p->history.pinned_ns < horizon)
		horizon = p->history.pinned_ns;
	while (n + 1 < p->cut_count && p->cuts[n + 1].time_ns <= horizon)
		n++;
	if (n > 0)
		memmove(p->cuts, p->cuts + n, (p->cut_count - n) * sizeof(*p->cuts));
	p->cut_count -= n;
}

void
sn_process_first_cut(struct sn_process *p)
{
	append(p, &(struct sn_cut){ .time_ns = p->began_mono_ns, .until_ns = p->began_mono_ns });
}

uint64_t
sn_process_cut(struct sn_process *p)
{
	struct sn_figures f;
	struct sn_cut cut;

	tell_residuals(p);
	sn_process_figures(p, &f);
	(void)fit_time(p, UINT64_MAX);
	cut.time_ns = cut.until_ns = p->newest_row_ns;		/* now */
	cut.cpu_ns = sn_process_sampled_cpu(p);
	cut.weights = f.weights;
	cut.weight_squares = f.weight_squares;
	cut.count = f.count;
	memcpy(cut.in_force_ns, f.in_force_ns, sizeof(cut.in_force_ns));
	cut.pace = p->governor.pace;
	if (!p->rows_since_cut && p->cut_count > 0 && same_figures(&cut, &p->cuts[p->cut_count - 1]))
		p->cuts[p->cut_count - 1].until_ns = cut.until_ns;
	else
		append(p, &cut);
	p->rows_since_cut = false;
	return cut.time_ns;
}

void
sn_process_tick(struct sn_process *p)
{
	uint64_t now = sn_clock_mono_ns();
	uint64_t every = p->history.keep_ns / CUTS_KEPT;
	uint32_t fullest = 0;

	sn_history_expire(&p->history, now);
	forget_old(p, now);
	if (every < SN_NS_PER_SEC)
		every = SN_NS_PER_SEC;
	if (p->cut_count > 0 && now - p->cuts[p->cut_count - 1].until_ns < every)
		return;
	if (p->history.keep_ns == 0 && p->history.pinned_ns == 0)
		return;			/* nobody will ask */
	if (p->has_segment)		/* what is left comes behind the cut */
		(void)sn_process_drain(p, RECORDS_A_TICK, &fullest);
	(void)sn_process_read_cpu(p);
	(void)sn_process_cut(p);
}

uint64_t
sn_process_mark(struct sn_process *p, const struct sn_options *o)
{
	uint32_t fullest = 0;

	if (p->ended)
		return p->ended_mono_ns;
	if (p->has_segment) {
		(void)sn_process_drain(p, UINT32_MAX, &fullest);
		sn_process_scan(p, (uint32_t)o->signal);
		(void)sn_process_drain(p, UINT32_MAX, &fullest);
	}
	(void)sn_process_read_cpu(p);
	return sn_process_cut(p);
}

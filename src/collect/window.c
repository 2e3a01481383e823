/* SPDX-License-Identifier: Apache-2.0
 *
 * window.c - a profile of any span that is still in the history, or of all since the start.
 *
 * Runs in:  collector, for a client.
 * Memory:   the profile that is handed out, bounded by an eighth of SONDE_MEMORY (its stacks beyond that are
 *           [stack dropped], counted); two numbers a stack and group while it is built.
 * Exact:    a span begins and ends at cuts: samples, residuals and what no thread accounts for add up to the
 *           change of the kernel's figure, to a period.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "collect/process.h"

struct span {
	const struct sn_cut *first, *last;
	uint64_t from_ns, to_ns;
};

struct building {
	const struct sn_profile *all;
	struct sn_profile *to;
	uint32_t *stacks;		/* index in all -> index in to, plus one */
	int64_t rest_ns;
	__int128 total_ns;		/* of all rows */
	int err;
};

/* The cuts at which the span begins and ends.  False when there are none. */
static bool
find_span(const struct sn_process *p, uint64_t from_ns, uint64_t to_ns, struct span *s)
{
	uint32_t i = 0, j, n = p->cut_count;

	if (n == 0)
		return false;
	while (i + 1 < n && p->cuts[i + 1].time_ns <= from_ns)
		i++;
	while (i + 1 < n && p->cuts[i].until_ns < p->history.from_ns)
		i++;			/* rows right behind it are gone */
	s->first = &p->cuts[i];
	s->from_ns = from_ns > s->first->until_ns ? s->first->until_ns : from_ns;
	if (s->from_ns < s->first->time_ns)
		s->from_ns = s->first->time_ns;
	if (s->from_ns < p->history.from_ns && p->history.from_ns <= s->first->until_ns)
		s->from_ns = p->history.from_ns;
	for (j = i; j + 1 < n && p->cuts[j].until_ns < to_ns; j++)
		;
	s->last = &p->cuts[j];
	s->to_ns = to_ns < s->last->time_ns ? s->last->time_ns : to_ns > s->last->until_ns ? s->last->until_ns : to_ns;
	if (s->to_ns < s->from_ns)
		s->to_ns = s->from_ns;
	return true;
}

static uint32_t
copy_stack(struct building *b, uint32_t index)
{
	const struct sn_stack *s;
	uint32_t *ids, stack;

	if (index >= b->all->stack_count)
		return UINT32_MAX;
	if (b->stacks[index] != 0)
		return b->stacks[index] - 1;
	s = &b->all->stacks[index];
	ids = malloc(s->count * sizeof(*ids));
	if (ids == NULL)
		return UINT32_MAX;	/* [stack dropped], counted */
	for (uint32_t i = 0; i < s->count; i++) {
		const struct sn_frame *f = &b->all->frames[b->all->frame_ids[s->first + i]];

		ids[i] = sn_profile_frame(b->to, f->addr, f->module, (enum sn_pseudo)f->pseudo);
	}
	stack = sn_profile_stack(b->to, ids, s->count);		/* refuses a frame that was refused */
	free(ids);
	if (stack != UINT32_MAX)
		b->stacks[index] = stack + 1;
	return stack;
}

/* Groups keep their numbers: all of them are there from the start. */
static int
copy_groups(struct building *b)
{
	for (uint32_t g = 0; g < b->all->group_count; g++)
		if (sn_profile_group(b->to, b->all->groups[g].start_fn, b->all->groups[g].is_main) != g)
			return -ENOMEM;
	return 0;
}

/* A group that has something in the window must show how its threads begin. */
static void
give_root(struct building *b, uint32_t g)
{
	struct sn_group *to = &b->to->groups[g];

	if (to->root_stack == SN_NO_STACK && b->all->groups[g].root_stack != SN_NO_STACK)
		to->root_stack = copy_stack(b, b->all->groups[g].root_stack);
}

static void
add_sample(struct building *b, const struct sn_history_row *row)
{
	uint32_t label = SN_NO_LABEL;
	int err;

	if (row->label < b->all->label_count)
		label = sn_profile_label(b->to, b->all->labels[row->label], NULL);
	err = sn_profile_add(b->to, copy_stack(b, row->stack), label, row->tid, row->group, row->weight);
	b->total_ns += (__int128)row->weight * b->to->period_ns;
	if (b->err == 0)
		b->err = err;
}

static void
add_row(void *ctx, const struct sn_history_row *row)
{
	struct building *b = ctx;
	bool has_group = row->group < b->to->group_count;
	struct sn_group *g;

	if (row->kind == SN_HISTORY_CPU) {
		add_sample(b, row);
		return;
	}
	b->total_ns += row->residual_ns;
	if (row->kind == SN_HISTORY_PROCESS || !has_group) {
		b->rest_ns = sn_sum(b->rest_ns, row->residual_ns);
		return;
	}
	g = &b->to->groups[row->group];
	g->residual_ns = sn_sum(g->residual_ns, row->residual_ns);
	if (row->kind == SN_HISTORY_KERNEL)
		g->kernel_ns = sn_sum(g->kernel_ns, row->residual_ns);
	if (row->kind == SN_HISTORY_BLOCKED)
		g->blocked_ns = sn_sum(g->blocked_ns, row->residual_ns);
}

static int
build(const struct sn_process *p, const struct span *s, struct sn_profile *to)
{
	struct building b = { .all = &p->profile, .to = to };
	int err;

	b.stacks = calloc(p->profile.stack_count + 1, sizeof(*b.stacks));
	if (b.stacks == NULL)
		return -ENOMEM;
	err = copy_groups(&b);
	if (err == 0) {
		sn_history_each(&p->history, s->from_ns, s->to_ns, add_row, &b);
		err = b.err;
	}
	for (uint32_t g = 0; g < to->group_count && err == 0; g++)
		if (to->groups[g].residual_ns != 0)
			give_root(&b, g);
	free(b.stacks);
	if (err < 0)
		return err;
	/* What is credited and not yet a sample at one end or the other: the clock has the last word here too. */
	return sn_profile_settle(to, sn_sum(b.rest_ns, (int64_t)((__int128)to->cpu_ns - b.total_ns)));
}

/* How long a rate had been in force at a moment of the cut: a change of rate makes a new one. */
static uint64_t
in_force_at(const struct sn_cut *c, uint32_t pace, uint64_t at_ns)
{
	return c->in_force_ns[pace] + (pace == c->pace && at_ns > c->time_ns ? at_ns - c->time_ns : 0);
}

static void
span_figures(const struct span *s, const struct sn_profile *prof, uint64_t own_cpu_ns, struct sn_figures *f)
{
	uint64_t unsampled = s->last->count.unsampled_threads, unreadable = s->last->count.modules_unreadable;

	*f = (struct sn_figures){
		.weights = s->last->weights - s->first->weights,
		.weight_squares = s->last->weight_squares - s->first->weight_squares,
		.own_cpu_ns = own_cpu_ns,
		.is_span = true,
	};
#define SN_COUNTER(field, name, what) \
	f->count.field = s->last->count.field > s->first->count.field ? \
		s->last->count.field - s->first->count.field : 0;
#include "base/counters.def"
	for (uint32_t i = 0; i < SN_PACES; i++) {
		uint64_t from = in_force_at(s->first, i, s->from_ns), to = in_force_at(s->last, i, s->to_ns);

		f->in_force_ns[i] = to > from ? to - from : 0;
	}
	f->count.unsampled_threads = unsampled;
	f->count.modules_unreadable = unreadable;
	f->count.stacks_dropped = prof->stacks_dropped;
}

/* CLOCK_REALTIME of a moment, as the two clocks stand now. */
static uint64_t
real_time(uint64_t mono_ns)
{
	uint64_t real = sn_clock_ns(CLOCK_REALTIME), now = sn_clock_mono_ns();

	return now > mono_ns && real > now - mono_ns ? real - (now - mono_ns) : real;
}

int
sn_process_window(struct sn_process *p, const struct sn_options *o, uint64_t from_ns, uint64_t to_ns,
	uint64_t own_cpu_ns, struct sn_window *out)
{
	struct sn_profile *prof = &out->profile;
	struct sn_figures f;
	struct span s;
	int err;

	*out = (struct sn_window){ 0 };
	if (from_ns > to_ns || !find_span(p, from_ns, to_ns, &s))
		return -EINVAL;
	sn_profile_init(prof, p->profile.period_ns, p->memory_bound / 8);
	out->from_ns = s.from_ns;
	out->to_ns = s.to_ns;
	out->is_cut = s.from_ns > from_ns && s.from_ns > p->began_mono_ns;
	prof->time_ns = real_time(s.from_ns);
	prof->duration_ns = s.to_ns - s.from_ns;
	prof->cpu_ns = s.last->cpu_ns > s.first->cpu_ns ? s.last->cpu_ns - s.first->cpu_ns : 0;
	err = build(p, &s, prof);
	if (err == 0) {
		span_figures(&s, prof, own_cpu_ns, &f);
		err = sn_process_describe(p, o, &f, prof);
	}
	if (err < 0)
		sn_profile_free(prof);
	return err;
}

int
sn_process_so_far(struct sn_process *p, const struct sn_options *o, uint64_t own_cpu_ns, struct sn_window *out)
{
	struct sn_profile *prof = &out->profile;
	struct sn_figures f;
	int err;

	*out = (struct sn_window){ .from_ns = p->began_mono_ns };
	out->to_ns = sn_process_mark(p, o);
	err = sn_profile_copy(prof, &p->profile);
	if (err < 0 || p->is_settled)
		return err;
	prof->cpu_ns = sn_process_sampled_cpu(p);
	prof->time_ns = p->began_real_ns;
	prof->duration_ns = out->to_ns - out->from_ns;
	err = sn_profile_settle(prof, sn_process_rest(p, prof));
	if (err == 0)
		err = sn_process_add_kin(p, prof);
	if (err == 0) {
		sn_process_figures(p, &f);
		f.own_cpu_ns = own_cpu_ns;
		f.count.stacks_dropped = p->count.stacks_dropped + prof->stacks_dropped;
		err = sn_process_describe(p, o, &f, prof);
	}
	if (err < 0)
		sn_profile_free(prof);
	return err;
}

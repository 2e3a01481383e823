/* SPDX-License-Identifier: Apache-2.0
 *
 * settle.c - the CPU clock has the last word: rows are made to add up to the kernel's figure.
 *
 * Runs in:  collector, once for each window, when it closes.
 * Memory:   two numbers a group while it runs; at most two rows more for each group.
 * When full: the rows that it adds may pass the budget: they are few, and the total must agree.
 *
 * What is less than a period is carried: from each group to the process, where it ends.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/profile.h"

/* One set of rows that is scaled from total to target, in the order of the rows. */
struct scale {
	uint64_t total, target;
	uint64_t seen;			/* of total, before the row at hand */
};

/*
 * The share of the next row.  Each row gets what the rounded running sum gains by it, so the error
 * is carried on: every share is within 1 of the exact one, and together they are the target.
 */
static uint64_t
next_share(struct scale *s, uint64_t count)
{
	uint64_t before, after;

	if (s->target == s->total || s->total == 0)
		return count;
	before = (uint64_t)((unsigned __int128)s->seen * s->target / s->total);
	s->seen += count;
	after = (uint64_t)((unsigned __int128)s->seen * s->target / s->total);
	return after - before;
}

/* Periods that can be taken from total for a deficit; the rest of it goes to *carry, as a negative. */
static uint64_t
less_deficit(uint64_t total, uint64_t deficit_ns, uint64_t period_ns, __int128 *carry)
{
	uint64_t taken = deficit_ns / period_ns;

	if (taken > total)
		taken = total;
	*carry -= (__int128)deficit_ns - (__int128)taken * period_ns;
	return total - taken;
}

static void
sum_groups(const struct sn_profile *p, struct scale *scales)
{
	for (uint32_t i = 0; i < p->row_count; i++)
		if (p->rows[i].group < p->group_count)
			scales[p->rows[i].group].total += p->rows[i].count;
}

static int
scale_groups(struct sn_profile *p, __int128 *carry)
{
	struct scale *scales = calloc(p->group_count > 0 ? p->group_count : 1, sizeof(*scales));

	if (scales == NULL)
		return -ENOMEM;
	sum_groups(p, scales);
	for (uint32_t g = 0; g < p->group_count; g++) {
		int64_t residual = p->groups[g].residual_ns;

		scales[g].target = residual >= 0 ? scales[g].total :
			less_deficit(scales[g].total, -(uint64_t)residual, p->period_ns, carry);
	}
	for (uint32_t i = 0; i < p->row_count; i++)
		if (p->rows[i].group < p->group_count)
			p->rows[i].count = next_share(&scales[p->rows[i].group], p->rows[i].count);
	free(scales);
	return 0;
}

static void
scale_all(struct sn_profile *p, uint64_t deficit_ns)
{
	struct scale s = { .total = sn_profile_total(p) };
	__int128 rest = 0;

	s.target = less_deficit(s.total, deficit_ns, p->period_ns, &rest);
	for (uint32_t i = 0; i < p->row_count; i++)
		p->rows[i].count = next_share(&s, p->rows[i].count);
}

/* A module that is mapped at the address, of those that samples fell into. */
static struct sn_module *
module_at(const struct sn_profile *p, uint64_t addr)
{
	for (uint32_t i = 0; i < p->frame_count; i++) {
		struct sn_module *m = p->frames[i].module;

		if (m != NULL && addr >= m->start && addr < m->limit)
			return m;
	}
	return NULL;
}

/* The frames above the pseudo frame: how the group's threads begin.  Their number; ids has room. */
static uint32_t
root_frames(struct sn_profile *p, const struct sn_group *g, uint32_t *ids)
{
	if (g->root_stack < p->stack_count) {
		const struct sn_stack *root = &p->stacks[g->root_stack];

		memcpy(ids, &p->frame_ids[root->first], root->count * sizeof(*ids));
		return root->count;
	}
	if (g->start_fn != 0) {
		struct sn_module *m = module_at(p, g->start_fn);

		if (m != NULL) {
			ids[0] = sn_profile_frame(p, g->start_fn, m, SN_PSEUDO_NONE);
			return ids[0] == UINT32_MAX ? 0 : 1;
		}
	}
	return 0;
}

/* Add count periods under the pseudo frame, below the group's start function. */
static int
add_unseen(struct sn_profile *p, uint32_t group, enum sn_pseudo pseudo, uint64_t count)
{
	const struct sn_group *g = &p->groups[group];
	uint32_t depth = g->root_stack < p->stack_count ? p->stacks[g->root_stack].count : 1;
	uint32_t *ids, stack = UINT32_MAX;

	if (count == 0)
		return 0;
	ids = malloc((depth + 1) * sizeof(*ids));
	if (ids == NULL)
		return -ENOMEM;
	ids[0] = sn_profile_frame(p, 0, NULL, pseudo);
	if (ids[0] != UINT32_MAX)
		stack = sn_profile_stack(p, ids, 1 + root_frames(p, g, ids + 1));
	free(ids);
	return stack == UINT32_MAX ? -ENOMEM : sn_profile_add(p, stack, SN_NO_LABEL, 0, group, count);
}

/* Whole periods, at most so many. */
static uint64_t
periods_of(int64_t ns, uint64_t period_ns, uint64_t most)
{
	uint64_t periods = ns > 0 ? (uint64_t)ns / period_ns : 0;

	return periods < most ? periods : most;
}

static uint32_t
filtered_stack(struct sn_profile *p)
{
	uint32_t frame = sn_profile_frame(p, 0, NULL, SN_PSEUDO_FILTERED);

	return sn_profile_stack(p, &frame, 1);
}

/* What filtered samples, where there are any, leave of a group's residual: the rest goes with them. */
static uint64_t
less_filtered(const struct sn_profile *p, uint32_t group, uint32_t filtered, uint64_t ns)
{
	uint64_t total = 0, hidden = 0;

	for (uint32_t i = 0; i < p->row_count; i++) {
		if (p->rows[i].group != group)
			continue;
		total += p->rows[i].count;
		if (p->rows[i].stack == filtered)
			hidden += p->rows[i].count;
	}
	return hidden == 0 ? ns : (uint64_t)((unsigned __int128)ns * (total - hidden) / total);
}

static int64_t
admitted(const struct sn_profile *p, uint32_t group, uint32_t filtered, int64_t ns)
{
	return ns > 0 ? (int64_t)less_filtered(p, group, filtered, (uint64_t)ns) : 0;
}

static int
add_group_residual(struct sn_profile *p, uint32_t group, __int128 *carry)
{
	const struct sn_group g = p->groups[group];
	uint32_t filtered = filtered_stack(p);
	uint64_t periods, blocked, kernel, ns;
	int err;

	if (g.residual_ns <= 0)
		return 0;
	ns = less_filtered(p, group, filtered, (uint64_t)g.residual_ns);
	p->filtered_ns += (uint64_t)g.residual_ns - ns;
	periods = ns / p->period_ns;
	blocked = periods_of(admitted(p, group, filtered, g.blocked_ns), p->period_ns, periods);
	kernel = periods_of(admitted(p, group, filtered, g.kernel_ns), p->period_ns, periods - blocked);
	*carry += ns % p->period_ns;
	err = add_unseen(p, group, SN_PSEUDO_SIGNAL_BLOCKED, blocked);
	if (err == 0)
		err = add_unseen(p, group, SN_PSEUDO_KERNEL, kernel);
	return err < 0 ? err : add_unseen(p, group, SN_PSEUDO_NOT_SAMPLED, periods - blocked - kernel);
}

/* What no group accounts for: whole periods of it become [not sampled], or are taken from all rows. */
static int
settle_process(struct sn_profile *p, __int128 rest_ns)
{
	uint32_t frame = sn_profile_frame(p, 0, NULL, SN_PSEUDO_NOT_SAMPLED);
	uint32_t stack = sn_profile_stack(p, &frame, 1);

	if (rest_ns < 0) {
		scale_all(p, -rest_ns > UINT64_MAX ? UINT64_MAX : (uint64_t)-rest_ns);
		return 0;
	}
	if (stack == UINT32_MAX)
		return -ENOMEM;
	return sn_profile_add(p, stack, SN_NO_LABEL, 0, UINT32_MAX, (uint64_t)(rest_ns / p->period_ns));
}

/* They have had their share of everything; in the file they are a number. */
static void
take_filtered_out(struct sn_profile *p)
{
	uint32_t filtered = filtered_stack(p);

	for (uint32_t i = 0; i < p->row_count; i++) {
		if (p->rows[i].stack != filtered)
			continue;
		p->filtered_ns += p->rows[i].count * p->period_ns;
		p->rows[i].count = 0;
	}
}

int
sn_profile_settle(struct sn_profile *p, int64_t process_residual_ns)
{
	size_t budget = p->budget_bytes;
	__int128 carry = process_residual_ns;
	int err;

	if (p->period_ns == 0)
		return -EINVAL;
	err = scale_groups(p, &carry);
	p->budget_bytes = 0;
	for (uint32_t g = 0; g < p->group_count && err == 0; g++)
		err = add_group_residual(p, g, &carry);
	if (err == 0)
		err = settle_process(p, carry);
	take_filtered_out(p);
	p->budget_bytes = budget;
	return err;
}

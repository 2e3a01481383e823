/* SPDX-License-Identifier: Apache-2.0
 *
 * kin.c - children that were never sampled, and what whole periods leave over: a row of the process they came from.
 *
 * Runs in:  collector.
 * Whose:    a forked child that ends before its first tick, and one that was made behind libc's back, leave word in the
 *           page that they inherited; a program that was started by exec and ends without a sample is known to the
 *           collector, and goes to the oldest process of the tree, for it gets no file of its own.
 * Exact:    a process that lives for less than a period has none or a whole one in its profile; the difference goes
 *           the same way, so that the profiles of a tree add up to what the tree used, however short its processes are.
 *           `sonde run` is told by the kernel what the whole tree has used, as far as it was waited for: what is in
 *           no profile by then (programs left out or not to be preloaded, the kernel's work at an exit) goes there too.
 * Trust:    the page is the program's to write: a sum that no machine can reach is not taken.
 */
#include "base/atomic.h"
#include "collect/process.h"

#define KIN_NS_MAX	(INT64_MAX / 4)

/* What the newest image's children left since it began, sampled or not. */
static struct sn_segment_kin
all_left(const struct sn_process *p)
{
	struct sn_segment_kin k = { 0 };

	if (!p->has_segment || p->seg.kin == NULL)
		return k;
	k.cpu_ns = SN_LOAD_RELAXED(&p->seg.kin->cpu_ns);
	k.count = SN_LOAD_RELAXED(&p->seg.kin->count);
	return k;
}

/* … while sampling was wanted, as far as it is not taken yet. */
static struct sn_segment_kin
left(const struct sn_process *p)
{
	struct sn_segment_kin k = { 0 };

	if (!p->sampling)
		return k;
	k = all_left(p);
	k.cpu_ns = k.cpu_ns > p->kin_before.cpu_ns ? k.cpu_ns - p->kin_before.cpu_ns : 0;
	k.count = k.count > p->kin_before.count ? k.count - p->kin_before.count : 0;
	if (k.cpu_ns > KIN_NS_MAX)
		k.cpu_ns = 0;
	return k;
}

static void
add(struct sn_process *p, int64_t ns, uint64_t count)
{
	int64_t sum = sn_sum(p->kin_ns, ns);

	if (sum <= KIN_NS_MAX && sum >= -KIN_NS_MAX)
		p->kin_ns = sum;
	p->count.unsampled_processes += count;
}

void
sn_process_take_kin(struct sn_process *p)
{
	struct sn_segment_kin k = left(p);

	add(p, (int64_t)k.cpu_ns, k.count);
	p->left_ns += k.cpu_ns;
	p->kin_before = all_left(p);
}

void
sn_process_skip_kin(struct sn_process *p)
{
	p->kin_before = all_left(p);
}

uint64_t
sn_process_with_kin(const struct sn_process *p)
{
	return p->cpu_ns + p->left_ns + left(p).cpu_ns;
}

void
sn_process_take_tree(struct sn_process *p, uint64_t tree_ns, uint64_t others_ns)
{
	uint64_t known = sn_process_with_kin(p) + others_ns;

	if (p->sampling && tree_ns > known && tree_ns - known <= KIN_NS_MAX)
		add(p, (int64_t)(tree_ns - known), 0);
}

void
sn_process_take_unsampled(struct sn_process *p, const struct sn_process *child)
{
	if (p->sampling)
		add(p, sn_sum((int64_t)child->profile.cpu_ns, child->kin_ns), 1 + child->count.unsampled_processes);
}

void
sn_process_take_rest(struct sn_process *p, const struct sn_process *child)
{
	uint64_t told = sn_profile_total(&child->profile) * child->profile.period_ns;

	if (p->sampling && told <= KIN_NS_MAX)
		add(p, sn_difference(sn_sum((int64_t)child->profile.cpu_ns, child->kin_ns), (int64_t)told), 0);
}

uint64_t
sn_process_kin_count(const struct sn_process *p)
{
	return left(p).count;
}

int
sn_process_add_kin(const struct sn_process *p, struct sn_profile *prof)
{
	int64_t ns = sn_sum(p->kin_ns, (int64_t)left(p).cpu_ns);
	uint32_t frame, stack;
	int err;

	if (ns < (int64_t)prof->period_ns)
		return 0;
	err = sn_profile_comment(prof, "# [unsampled processes]: %.6f s of children that no profile of theirs has, "
		"beside the kernel's figure of this process", (double)ns / 1e9);
	if (err < 0)
		return err;
	frame = sn_profile_frame(prof, 0, NULL, SN_PSEUDO_UNSAMPLED_PROCESSES);
	stack = sn_profile_stack(prof, &frame, 1);
	return sn_profile_add(prof, stack, SN_NO_LABEL, 0, UINT32_MAX, (uint64_t)ns / prof->period_ns);
}

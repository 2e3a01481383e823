/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.c - which engine samples a process, why, and whether perf events are still worth their price.
 *
 * Runs in:  collector, at each scan and for each profile.
 * Rule:     nobody asked for perf by name: it goes when what it does not see, or what it costs at context switches,
 *           passes a limit (DESIGN §5).  It does not come back: what drove it away is how the program works.
 */
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "collect/process.h"

#define JUDGED_NS	200000000ull	/* of CPU time: long enough for a figure, short enough to do no harm */
#define UNSEEN_ROUNDS	3		/* one figure may be unsharp: clock and samples are not read at one moment */
#define SWITCH_NS	5000		/* what a context switch costs with a perf event; reference: measured on VMs */
#define SWITCH_PERCENT	1
#define UNSEEN_PERCENT	2

void
sn_process_perf_cost(struct sn_process *p, uint64_t cpu_ns, uint64_t switches, int64_t unseen_ns)
{
	p->perf_cost.cpu_ns += cpu_ns;
	p->perf_cost.switches += switches;
	p->perf_cost.unseen_ns = sn_sum(p->perf_cost.unseen_ns, unseen_ns);
}

static enum sn_drive_why
judge(struct sn_perf_cost *c)
{
	if (c->switches > c->cpu_ns / 100 * SWITCH_PERCENT / SWITCH_NS)
		return SN_WHY_SWITCHES;
	if (c->unseen_ns > (int64_t)(c->cpu_ns / 100 * UNSEEN_PERCENT))
		c->rounds++;
	else
		c->rounds = 0;
	return c->rounds >= UNSEEN_ROUNDS ? SN_WHY_KERNEL : SN_WHY_NONE;
}

void
sn_process_judge_perf(struct sn_process *p)
{
	struct sn_segment_wishes *w = p->seg.wishes;
	enum sn_drive_why why;

	if (p->perf_cost.cpu_ns < JUDGED_NS)
		return;
	why = judge(&p->perf_cost);
	p->perf_cost = (struct sn_perf_cost){ .rounds = p->perf_cost.rounds };
	if (why != SN_WHY_NONE && p->seg.header->options.drive_is_auto)
		SN_STORE_RELEASE(&w->drive_why, (uint32_t)why);
}

bool
sn_process_uses_perf(const struct sn_process *p)
{
	return p->has_segment && p->seg.header->options.drive == SN_DRIVE_PERF && p->sampling &&
	    SN_LOAD_RELAXED(&p->seg.shared->drive_why) == SN_WHY_NONE;
}

static bool
has_perf(const struct sn_process *p, uint32_t drive)
{
	for (uint32_t i = 0; i < p->slots_used; i++)
		if (SN_LOAD_RELAXED(&p->seg.slots[i].drive) == drive)
			return true;
	return false;
}

static void
explain(const struct sn_process *p, enum sn_drive_why why, char text[200])
{
	int err = SN_LOAD_RELAXED(&p->seg.shared->perf_errno);

	switch (why) {
	case SN_WHY_REFUSED:
		(void)snprintf(text, 200, "timer, because the kernel refuses perf events: %s (perf_event_paranoid, or a container)",
			strerror(err));
		return;
	case SN_WHY_SECCOMP:
		(void)snprintf(text, 200, "timer, because a seccomp filter might end the program for trying perf; --engine perf tries");
		return;
	case SN_WHY_SIGNAL:
		(void)snprintf(text, 200, "timer, because the other engines need SIGPROF");
		return;
	case SN_WHY_SEALED:
		(void)snprintf(text, 200, "timer, since the program installed a seccomp filter");
		return;
	case SN_WHY_SWITCHES:
		(void)snprintf(text, 200, "timer, since perf would cost more than %d %% at the program's context switches; "
			"--engine perf keeps it", SWITCH_PERCENT);
		return;
	case SN_WHY_KERNEL:
		(void)snprintf(text, 200, "timer, since perf did not see %d %% of the CPU time, in the kernel; --engine perf keeps it",
			UNSEEN_PERCENT);
		return;
	case SN_WHY_SLOW:
		(void)snprintf(text, 200, "timer, since a sample took half of the period that was asked for");
		return;
	case SN_WHY_OWN_ITIMER:
		(void)snprintf(text, 200, "timer, because the program uses ITIMER_PROF");
		return;
	default:
		text[0] = '\0';
	}
}

const char *
sn_process_engine(const struct sn_process *p, char why[200])
{
	const struct sn_segment_options *o;

	why[0] = '\0';
	if (!p->has_segment) {
		(void)snprintf(why, 200, "%s", p->engine_why);
		return p->engine != NULL ? p->engine : "timer";
	}
	o = &p->seg.header->options;
	explain(p, SN_LOAD_RELAXED(&p->seg.shared->drive_why), why);
	if (o->drive == SN_DRIVE_TIMER || *why != '\0')
		return "timer";
	if (o->drive == SN_DRIVE_ITIMER)
		return "itimer";
	(void)snprintf(why, 200, "perf events on each thread's CPU clock, once it has used up a tick%s",
		has_perf(p, SN_BY_PERF_USER) ? "; user time only, the rest is [kernel]" : "");
	return "perf";
}

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
#define SWITCHES_NS	50000000ull	/* … and for switches, of which there are many */
#define UNSEEN_PERCENT	2

void
sn_process_perf_cost(struct sn_process *p, uint64_t cpu_ns, uint64_t switches, int64_t unseen_ns)
{
	p->perf_cost.cpu_ns += cpu_ns;
	p->perf_cost.switches += switches;
	p->perf_cost.unseen_ns = sn_sum(p->perf_cost.unseen_ns, unseen_ns);
}

static bool
switches_too_often(const struct sn_perf_cost *c)
{
	return c->cpu_ns >= SWITCHES_NS && c->switches > c->cpu_ns / SN_PERF_SWITCH_NS;
}

static enum sn_drive_why
judge(struct sn_perf_cost *c)
{
	if (c->cpu_ns < JUDGED_NS)
		return SN_WHY_NONE;
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
	enum sn_drive_why why = switches_too_often(&p->perf_cost) ? SN_WHY_SWITCHES : judge(&p->perf_cost);

	if (why != SN_WHY_NONE || p->perf_cost.cpu_ns >= JUDGED_NS)
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
has_perf(const struct sn_process *p)
{
	for (uint32_t i = 0; i < p->slots_used; i++)
		if (SN_LOAD_RELAXED(&p->seg.slots[i].drive) == SN_BY_PERF)
			return true;
	return false;
}

static const char *const reasons[] = {
	[SN_WHY_REFUSED] = "because the kernel refuses perf events (perf_event_paranoid, or a container)",
	[SN_WHY_SECCOMP] = "because a seccomp filter might end the program for trying perf; --engine perf tries",
	[SN_WHY_SIGNAL] = "because the other engines need SIGPROF",
	[SN_WHY_SEALED] = "since the program installed a seccomp filter",
	[SN_WHY_SWITCHES] = "since perf would cost more than 1 % at context switches; --engine perf keeps it",
	[SN_WHY_KERNEL] = "since perf did not see 2 % of the CPU time, in the kernel; --engine perf keeps it",
	[SN_WHY_SLOW] = "since a sample took half of the period that was asked for",
	[SN_WHY_BUDGET] = "since perf cost more than the budget allows",
	[SN_WHY_OWN_ITIMER] = "because the program uses ITIMER_PROF",
};

static void
explain(const struct sn_process *p, char text[200])
{
	uint32_t why = SN_LOAD_RELAXED(&p->seg.shared->drive_why);
	int err = SN_LOAD_RELAXED(&p->seg.shared->perf_errno);

	text[0] = '\0';
	if (why != SN_WHY_NONE && why < sizeof(reasons) / sizeof(reasons[0]))
		(void)snprintf(text, 200, "timer, %s%s%s", reasons[why], why == SN_WHY_REFUSED ? ": " : "",
			why == SN_WHY_REFUSED ? strerror(err) : "");
}

const char *
sn_process_engine(const struct sn_process *p, char why[200])
{
	const struct sn_segment_options *o;
	uint32_t refused;
	size_t len;

	why[0] = '\0';
	if (!p->has_segment) {
		(void)snprintf(why, 200, "%s", p->engine_why);
		return p->engine != NULL ? p->engine : "timer";
	}
	o = &p->seg.header->options;
	explain(p, why);
	if (o->drive == SN_DRIVE_TIMER || *why != '\0')
		return "timer";
	if (o->drive == SN_DRIVE_ITIMER)
		return "itimer";
	if (SN_LOAD_RELAXED(&p->seg.shared->perf_begun) == 0) {
		(void)snprintf(why, 200, "timer, since no thread used %u ms with less than a context switch in %u us; "
			"--engine perf asks for less", SN_PERF_AFTER_NS / 1000000, SN_PERF_SWITCH_NS / 1000);
		return "timer";
	}
	(void)snprintf(why, 200, "perf events on each thread's CPU clock, once it has used %s%s",
		o->drive_is_auto ? "20 ms and seldom switches context" : "up a tick",
		has_perf(p) ? "; user time only, the rest is [kernel]" : "");
	refused = SN_LOAD_RELAXED(&p->seg.shared->perf_refused);
	len = strlen(why);
	if (refused > 0)
		(void)snprintf(why + len, 200 - len, "; %u threads have timers: no room", refused);
	return "perf";
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * comments.c - what a profile says of itself: rates, counters, cost.
 *
 * Runs in:  collector, for each profile that is handed out.
 */
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"

static uint64_t
count_unreadable(const struct sn_process *p)
{
	uint64_t n = 0;

	for (uint32_t i = 0; p->modules != NULL && i < p->modules->count; i++)
		n += p->modules->all[i]->image != NULL && p->modules->all[i]->image->err < 0;
	return n;
}

/* These two tell of the process's state, not of a span. */
static bool
is_since_start(const char *name)
{
	return strcmp(name, "unsampled_threads") == 0 || strcmp(name, "modules_unreadable") == 0;
}

/* Of the image that runs now: what its slots have counted and nobody has taken over yet. */
static void
add_slots(const struct sn_process *p, struct sn_counters *c)
{
	for (uint32_t i = 0; i < p->slots_used; i++) {
		c->signals += SN_LOAD_RELAXED(&p->seg.slots[i].signals);
		c->handler_ns += SN_LOAD_RELAXED(&p->seg.slots[i].handler_ns);
	}
	c->unsampled_processes += sn_process_kin_count(p);
	c->unsampled_threads += SN_LOAD_RELAXED(&p->seg.shared->slots_refused) +
	    SN_LOAD_RELAXED(&p->seg.shared->timers_refused);
	c->frames_refused += SN_LOAD_RELAXED(&p->seg.frames->refused);
}

void
sn_process_figures(const struct sn_process *p, struct sn_figures *out)
{
	*out = (struct sn_figures){
		.count = p->count, .weights = p->weights, .weight_squares = p->weight_squares,
	};
	out->count.stacks_dropped += p->profile.stacks_dropped;
	out->count.modules_unreadable = count_unreadable(p);
	if (p->has_segment)
		add_slots(p, &out->count);
	out->count.delivery_ns = sn_process_delivery(p, out->count.signals);
	sn_process_paces(p, out->in_force_ns);
}

/* The rates of the span, how long each was in force, what was allowed, and what it cost in all. */
static int
add_rates(const struct sn_options *o, const struct sn_figures *f, double cpu, struct sn_profile *prof)
{
	double cost = (double)f->count.handler_ns + (double)f->count.delivery_ns + (double)f->own_cpu_ns;
	char rates[SN_PACES * 32] = "", budget[48] = "off";
	size_t len = 0;

	for (uint32_t i = 0; i < SN_PACES; i++) {
		if (f->in_force_ns[i] == 0 && (len > 0 || i + 1 < SN_PACES))
			continue;
		len += (size_t)snprintf(rates + len, sizeof(rates) - len, "%s%.4gHz %.1fs", len > 0 ? ", " : "",
			(double)o->hz / sn_paces[i], (double)f->in_force_ns[i] / 1e9);
	}
	if (sn_governor_is_bound(o))
		(void)snprintf(budget, sizeof(budget), "%g%%", (double)o->budget / 10000);
	else if (o->budget != 0)
		(void)snprintf(budget, sizeof(budget), "none, the rate was named");
	return sn_profile_comment(prof, "# rate: %s (budget %s, cost %.3f%%)", rates, budget, 100.0 * cost / cpu);
}

static const char *
unwind_name(const struct sn_options *o)
{
	static const char *const names[] = { "auto", "table", "fp", "libunwind" };

	return o->unwind >= 0 && (size_t)o->unwind < sizeof(names) / sizeof(names[0]) ? names[o->unwind] : "";
}

/* One line for every legend, the rest behind '#' for `pprof -comments`. */
static int
add_comments(const struct sn_options *o, const struct sn_figures *f, const char *why, struct sn_profile *prof)
{
	const struct sn_counters *c = &f->count;
	double cpu = prof->cpu_ns > 0 ? (double)prof->cpu_ns : 1;
	int err;

	err = sn_profile_comment(prof, "sonde: engine=%s asked=%lldHz effective=%.1fHz signals=%llu lost=%llu "
		"truncated=%llu unwind_failed=%llu handler=%.3f%% delivery=%.3f%% "
		"collector=%.2f%%", prof->engine, (long long)o->hz,
		prof->hz_effective, (unsigned long long)c->samples, (unsigned long long)c->lost,
		(unsigned long long)c->truncated, (unsigned long long)c->unwind_failed,
		100.0 * (double)c->handler_ns / cpu, 100.0 * (double)c->delivery_ns / cpu,
		100.0 * (double)f->own_cpu_ns / cpu);
	if (err == 0 && *why != '\0')
		err = sn_profile_comment(prof, "# engine: %s", why);
	if (err == 0)
		err = add_rates(o, f, cpu, prof);
	if (err == 0)
		err = sn_profile_comment(prof, "# tick=%lluns unwind=%s", (unsigned long long)sn_clock_tick_ns(),
			unwind_name(o));
	/* Kish 1965: unequal weights are worth fewer equal ones.  Ticks come unequal where threads share a CPU. */
	if (err == 0 && f->weight_squares > 0)
		err = sn_profile_comment(prof, "# independent=%.0f: equal samples that these are worth, for error bars",
			(double)f->weights * (double)f->weights / (double)f->weight_squares);
	if (err == 0)
		err = sn_profile_comment(prof, "# kernel's CPU time of the process: %.6f s",
			(double)prof->cpu_ns / 1e9);
	if (err == 0 && prof->filtered_ns > 0)
		err = sn_profile_comment(prof, "# filtered=%.6f s: the part of it that the program's filter kept out",
			(double)prof->filtered_ns / 1e9);
#define SN_COUNTER(field, name, what) \
	if (err == 0) \
		err = sn_profile_comment(prof, "# %s=%llu: %s%s", name, (unsigned long long)c->field, what, \
			f->is_span && is_since_start(name) ? " (since the start)" : "");
#include "base/counters.def"
	return err;
}

int
sn_process_describe(const struct sn_process *p, const struct sn_options *o, const struct sn_figures *f,
	struct sn_profile *prof)
{
	char why[200];

	prof->engine = sn_process_engine(p, why);
	prof->hz_asked = (uint32_t)o->hz;
	prof->hz_effective = prof->cpu_ns > prof->filtered_ns ?
		(double)f->count.samples * 1e9 / (double)(prof->cpu_ns - prof->filtered_ns) : 0;
	prof->main_module = p->modules != NULL ? sn_modules_main(p->modules) : NULL;
	return add_comments(o, f, why, prof);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest_truth.c - how true profiles of the workload are, and what they cost it: sonde's, and those of the other
 * profilers that are installed.
 *
 * Runs in:  the sonde command.
 * Noise:    errors stand beside what chance alone allows; an overhead that is smaller than what runs of the same work
 *           differ by is not given as a number.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "tools/selftest.h"

static const unsigned rates[SN_SELFTEST_RATES] = { 100, 1000, 4000 };

/* ---- truth ---- */

#define ROUNDS_SLOW	600u		/* of both threads at 100 Hz: 1.8 s of CPU time */
#define ROUNDS_FAST	600u
#define TOTAL_OFF_MAX	5.0		/* percent; beyond it something is broken, not just busy */
#define SHARE_OFF_MAX	3.0		/* points, beside four times what chance allows */

struct errors {
	double share, chance;		/* the worst function, in points, and the standard error there */
	double thread;			/* the worst thread, in points */
	double total;			/* percent of getrusage */
};

static uint64_t
sum(const uint64_t *v, size_t n)
{
	uint64_t s = 0;

	for (size_t i = 0; i < n; i++)
		s += v[i];
	return s;
}

static void
compare(const struct sn_result *r, struct errors *e)
{
	uint64_t spent = sum(r->truth.spent_ns, SN_WORK_FUNCTIONS), seen = sum(r->seen.function_ns, SN_WORK_FUNCTIONS);
	uint64_t threads = 0, labelled = sum(r->seen.thread_ns, SN_WORK_THREADS);

	*e = (struct errors){ 0 };
	for (unsigned i = 0; i < SN_WORK_THREADS; i++)
		threads += r->truth.thread[i].cpu_ns;
	for (unsigned f = 0; f < SN_WORK_FUNCTIONS && seen > 0 && spent > 0; f++) {
		double true_part = (double)r->truth.spent_ns[f] / (double)spent;
		double off = 100.0 * ((double)r->seen.function_ns[f] / (double)seen - true_part);

		if (fabs(off) >= fabs(e->share)) {
			e->share = off;
			e->chance = r->seen.independent > 0 ?
			    100.0 * sqrt(true_part * (1 - true_part) / r->seen.independent) : 100;
		}
	}
	/* Of what has a thread: time that was not sampled is known by the thread's first function only. */
	for (unsigned i = 0; i < SN_WORK_THREADS && labelled > 0 && threads > 0; i++) {
		double off = 100.0 * ((double)r->seen.thread_ns[i] / (double)labelled -
		    (double)r->truth.thread[i].cpu_ns / (double)threads);

		if (fabs(off) >= fabs(e->thread))
			e->thread = off;
	}
	if (r->truth.rusage_ns > 0)
		e->total = 100.0 * ((double)r->seen.total_ns / (double)r->truth.rusage_ns - 1);
}

static void
judge(struct sn_selftest *st, unsigned hz, const struct sn_result *r, const struct errors *e)
{
	if (r->seen.samples == 0)
		sn_selftest_broken(st, "%u Hz: no samples", hz);
	else if (sum(r->seen.function_ns, SN_WORK_FUNCTIONS) == 0)
		sn_selftest_broken(st, "%u Hz: samples, but none in the functions that used the time", hz);
	else if (fabs(e->share) > SHARE_OFF_MAX + 4 * e->chance)
		sn_selftest_broken(st, "%u Hz: a function's share is off by %.1f points", hz, e->share);
	if (fabs(e->total) > TOTAL_OFF_MAX)
		sn_selftest_broken(st, "%u Hz: the total is off by %.1f %%", hz, e->total);
	if (sum(r->seen.thread_ns, SN_WORK_THREADS) == 0)
		sn_selftest_broken(st, "%u Hz: no sample tells its thread", hz);
	else if (fabs(e->thread) > TOTAL_OFF_MAX)
		sn_selftest_broken(st, "%u Hz: a thread's part is off by %.1f points", hz, e->thread);
}

static void
print_number(double value, int width, const char *fmt, bool is_known)
{
	char text[32] = "-";

	if (is_known)
		(void)snprintf(text, sizeof(text), fmt, value);
	(void)printf(" %*s", width, text);
}

static void
truth_row(struct sn_selftest *st, enum sn_tool tool, unsigned hz)
{
	struct sn_under way = { tool, hz, NULL };
	unsigned rounds = sn_selftest_rounds(st, hz < 250 ? ROUNDS_SLOW : ROUNDS_FAST);
	/* Unequal threads: what is skewed between them shows. */
	struct sn_work_size size = { st->turns_per_us, { rounds / 4, rounds - rounds / 4 }, hz };
	struct sn_result r;
	struct errors e;
	double got;
	bool has_functions;

	sn_work_run(st, &way, &size, true, &r);
	if (sn_selftest_stopped())
		return;
	if (!r.seen.is_read) {
		(void)printf("  %-15s %6u  %s\n", sn_tool_name(tool), hz, r.seen.why);
		if (tool == SN_TOOL_SONDE && !sn_selftest_stopped())
			sn_selftest_broken(st, "%u Hz: no profile: %s", hz, r.seen.why);
		return;
	}
	compare(&r, &e);
	has_functions = sum(r.seen.function_ns, SN_WORK_FUNCTIONS) > 0;
	got = (double)r.seen.samples * 1e9 / (double)(r.truth.rusage_ns > 0 ? r.truth.rusage_ns : 1);
	(void)printf("  %-15s %6u %8.1f %7.2f", sn_tool_name(tool), hz, got, got / hz);
	print_number((double)r.seen.samples, 8, "%.0f", true);
	print_number(r.seen.lost, 6, "%.0f", r.seen.lost >= 0);
	print_number(e.share, 9, "%+.2f", has_functions);
	print_number(e.chance, 7, "%.2f", has_functions);
	print_number(e.thread, 10, "%+.2f", r.seen.has_threads);
	print_number(e.total, 9, "%+.2f", true);
	print_number(r.seen.handler, 10, "%.3f", r.seen.handler >= 0);
	(void)printf("%s%s\n", r.seen.engine[0] != '\0' ? "  engine " : "", r.seen.engine);
	if (tool == SN_TOOL_SONDE)
		judge(st, hz, &r, &e);
}

void
sn_section_truth(struct sn_selftest *st)
{
	char why[64];

	(void)printf("\ntruth: two threads of 1:3 and six functions of known shares; errors in percentage points\n");
	(void)printf("  %-15s %6s %8s %7s %8s %6s %9s %7s %10s %9s %10s\n", "profiler", "Hz", "got Hz", "of it",
		"samples", "lost", "share", "chance", "thread", "total %", "handler %");
	for (enum sn_tool tool = SN_TOOL_SONDE; tool < SN_TOOLS; tool++) {
		if (!sn_tool_find(tool, why, sizeof(why))) {
			(void)printf("  %-15s %s\n", sn_tool_name(tool), why);
			continue;
		}
		for (unsigned i = 0; i < SN_SELFTEST_RATES && !sn_selftest_stopped(); i++)
			if (tool == SN_TOOL_SONDE || sn_selftest_has_time(st))
				truth_row(st, tool, rates[i]);
			else
				(void)printf("  %-15s %6u  no time left\n", sn_tool_name(tool), rates[i]);
	}
	(void)printf("  share: the worst function's, chance: its standard error for so many samples; total: less "
		"getrusage;\n  handler: percent of the program's CPU time, as sonde measures it in each run\n");
}

/* ---- overhead ---- */

#define OVERHEAD_MAX	9		/* rounds */
#define OVERHEAD_MIN	3
#define OVERHEAD_ROUNDS	50u		/* of each thread: 150 ms */
#define WAYS_MAX	(1 + 4 * SN_SELFTEST_RATES)

struct cost {
	struct sn_under way;
	double ratio[OVERHEAD_MAX];	/* CPU time to that of the bare run beside it */
	double beside_ms[OVERHEAD_MAX];	/* CPU time of other processes */
	unsigned count;
	bool is_out;			/* it failed, or is not here */
};

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(const double *v, unsigned n)
{
	double s[OVERHEAD_MAX];

	if (n == 0)
		return 0;
	memcpy(s, v, n * sizeof(*v));
	qsort(s, n, sizeof(*s), by_value);
	return n % 2 != 0 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

/* The standard deviation of one way's runs, made of the median one: a run that was disturbed is no matter. */
static double
spread_of(const struct cost *c)
{
	double m = median(c->ratio, c->count), d[OVERHEAD_MAX];

	for (unsigned i = 0; i < c->count; i++)
		d[i] = fabs(c->ratio[i] - m);
	return c->count < 2 ? 0 : 1.4826 * median(d, c->count) * sqrt(c->count / (c->count - 1.0));
}

/* The middle one of all ways: what this machine does to any run.  Few runs of one way may agree by chance. */
static double
spread_of_all(const struct cost *all, unsigned n)
{
	double s[WAYS_MAX];
	unsigned count = 0;

	for (unsigned i = 1; i < n; i++)
		if (all[i].count >= 2)
			s[count++] = spread_of(&all[i]);
	qsort(s, count, sizeof(*s), by_value);
	return count == 0 ? 1 : s[count / 2];
}

static unsigned
list_ways(struct cost *all)
{
	unsigned n = 0;
	char why[64];

	all[n++].way.tool = SN_TOOL_BARE;
	for (enum sn_tool tool = SN_TOOL_SONDE; tool < SN_TOOLS; tool++)
		for (unsigned i = 0; i < SN_SELFTEST_RATES && sn_tool_find(tool, why, sizeof(why)); i++)
			all[n++].way = (struct sn_under){ tool, rates[i], NULL };
	return n;
}

/* CPU time of the threads alone: what starting costs is not what sampling does. */
static double
run_one(const struct sn_selftest *st, struct cost *c, double *beside_ms)
{
	unsigned rounds = sn_selftest_rounds(st, OVERHEAD_ROUNDS);
	struct sn_work_size size = { st->turns_per_us, { rounds, rounds }, 1 };
	struct sn_result r;
	double ns = 0;

	sn_work_run(st, &c->way, &size, false, &r);
	for (unsigned i = 0; i < SN_WORK_THREADS; i++)
		ns += (double)r.truth.thread[i].cpu_ns;
	*beside_ms = r.ran.cpu_ns > r.truth.rusage_ns ? (double)(r.ran.cpu_ns - r.truth.rusage_ns) / 1e6 : 0;
	c->is_out = r.ran.status != 0 || !r.is_true || ns <= 0;
	return ns;
}

static void
one_turn(const struct sn_selftest *st, struct cost *all, unsigned n, unsigned turn)
{
	double beside, bare = run_one(st, &all[0], &beside);

	for (unsigned k = 1; k < n && !all[0].is_out && !sn_selftest_stopped(); k++) {
		/* In another order each time. */
		struct cost *c = &all[1 + (k - 1 + turn * 5) % (n - 1)];
		double ns;

		if (c->is_out || (c->way.tool != SN_TOOL_SONDE && !sn_selftest_has_time(st)))
			continue;
		ns = run_one(st, c, &beside);
		if (c->is_out)
			continue;
		c->ratio[c->count] = ns / bare;
		c->beside_ms[c->count++] = beside;
	}
	all[0].ratio[turn] = bare;
	all[0].count = turn + 1;
}

static void
print_cost(const struct cost *c, double usual_spread)
{
	double over = 100 * (median(c->ratio, c->count) - 1), spread = spread_of(c), noise;
	char text[48];

	if (c->count == 0) {
		(void)printf("  %-15s %6u  %s\n", sn_tool_name(c->way.tool), c->way.hz,
			c->is_out ? "it failed" : "no time left");
		return;
	}
	/* Twice the standard error of a median. */
	noise = 100 * 2 * 1.2533 * (spread > usual_spread ? spread : usual_spread) / sqrt(c->count);
	if (fabs(over) <= noise)
		(void)snprintf(text, sizeof(text), "< noise %.1f %%", noise);
	else
		(void)snprintf(text, sizeof(text), "%+.1f %% +- %.1f", over, noise);
	(void)printf("  %-15s %6u  %-18s %10.0f %6u\n", sn_tool_name(c->way.tool), c->way.hz, text,
		median(c->beside_ms, c->count), c->count);
}

void
sn_section_overhead(struct sn_selftest *st)
{
	struct cost all[WAYS_MAX] = { 0 };
	unsigned n = list_ways(all), turn = 0;
	char why[64];

	(void)printf("\noverhead: CPU time of the same work, to that of the bare program run beside it, medians\n");
	(void)printf("  %-15s %6s  %-18s %10s %6s\n", "profiler", "Hz", "program", "beside ms", "runs");
	for (; turn < OVERHEAD_MAX && !sn_selftest_stopped(); turn++)
		if (turn < OVERHEAD_MIN || sn_selftest_has_time(st))
			one_turn(st, all, n, turn);
	for (unsigned i = 1; i < n; i++)
		print_cost(&all[i], spread_of_all(all, n));
	for (enum sn_tool tool = SN_TOOL_SONDE; tool < SN_TOOLS; tool++)
		if (!sn_tool_find(tool, why, sizeof(why)))
			(void)printf("  %-15s %s\n", sn_tool_name(tool), why);
	(void)printf("  beside: CPU time of other processes for %u ms of the program: starting, collecting, naming, "
		"writing\n", SN_WORK_THREADS * sn_selftest_rounds(st, OVERHEAD_ROUNDS) * SN_WORK_ROUND_US / 1000);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest_machine.c - where `sonde selftest` runs, and which engines and unwinders work there.
 *
 * Runs in:  the sonde command.  Engines and unwinders are not concluded from versions: each profiles the workload.
 */
#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "config.h"
#include "tools/selftest.h"

#define TRY_HZ		1000u
#define TRY_ROUNDS	60u		/* of each thread: 180 ms */
#define PACE_MIN	0.35

/* What follows a word at the head of a line of a file, "?" if it is not there. */
static void
line_of(const char *path, const char *head, char *out, size_t size)
{
	struct sn_buf b = { 0 };
	const char *at = NULL;

	(void)snprintf(out, size, "?");
	if (sn_buf_read_path(&b, path, 1 << 20) == 0) {
		sn_buf_put(&b, "", 1);
		at = b.err == 0 ? strstr((char *)b.data, head) : NULL;
	}
	if (at != NULL) {
		at += strlen(head);
		at += strspn(at, "\t :");
		(void)snprintf(out, size, "%.*s", (int)strcspn(at, "\n"), at);
	}
	sn_buf_free(&b);
}

static int
usable_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
}

/* How much of the CPU time that it asks for a program gets here, two threads on two processors or one. */
static void
see_how_busy(struct sn_selftest *st)
{
	struct sn_under bare = { SN_TOOL_BARE, 0, NULL };
	struct sn_work_size size = { st->turns_per_us, { TRY_ROUNDS / 2, TRY_ROUNDS / 2 }, 1 };
	struct sn_result r;
	double got;

	sn_work_run(st, &bare, &size, false, &r);
	if (!r.is_true || r.ran.wall_ns == 0)
		return;
	got = (double)r.truth.rusage_ns / (double)r.ran.wall_ns / (usable_cpus() > 1 ? SN_WORK_THREADS : 1);
	(void)printf("  %-22s a program got %.0f %% of the CPU time that it asked for%s\n", "load now",
		100 * (got < 1 ? got : 1), got < 0.5 ? ": busy, the figures are worth less" : "");
	st->pace = got > 0.5 ? 1 : 2 * got > PACE_MIN ? 2 * got : PACE_MIN;
}

void
sn_section_machine(struct sn_selftest *st)
{
	uint64_t tick = sn_clock_tick_ns();
	struct utsname u = { 0 };
	char model[128], paranoid[32], seccomp[32], load[64];

	(void)uname(&u);
	line_of("/proc/cpuinfo", "model name", model, sizeof(model));
	line_of("/proc/sys/kernel/perf_event_paranoid", "", paranoid, sizeof(paranoid));
	line_of("/proc/self/status", "\nSeccomp:", seccomp, sizeof(seccomp));
	line_of("/proc/loadavg", "", load, sizeof(load));
	(void)printf("machine\n");
	(void)printf("  %-22s sonde " PACKAGE_VERSION ", %s\n", "version", st->exe);
	(void)printf("  %-22s Linux %s, %s, glibc %s\n", "kernel", u.release, u.machine, gnu_get_libc_version());
	(void)printf("  %-22s %.3g ms (CONFIG_HZ=%.0f): timers give no more signals than that\n", "tick",
		(double)tick / 1e6, 1e9 / (double)tick);
	(void)printf("  %-22s %ld, %d usable, %s; load %.*s\n", "cpus", sysconf(_SC_NPROCESSORS_ONLN), usable_cpus(),
		model, (int)strcspn(load, " "), load);
	(void)printf("  %-22s %s\n", "perf_event_paranoid", paranoid);
	(void)printf("  %-22s %s\n", "seccomp", strcmp(seccomp, "0") == 0 ? "no filter" :
		seccomp[0] == '?' ? "not known" : "a filter is in force");
	see_how_busy(st);
}

/* One try: a small workload under `sonde run` with one more option. */
static void
try(struct sn_selftest *st, const char *option, struct sn_result *r)
{
	struct sn_under way = { SN_TOOL_SONDE, TRY_HZ, option };
	unsigned rounds = sn_selftest_rounds(st, TRY_ROUNDS);
	struct sn_work_size size = { st->turns_per_us, { rounds, rounds }, 1 };

	sn_work_run(st, &way, &size, true, r);
}

static double
cpu_seconds(const struct sn_result *r)
{
	return r->truth.rusage_ns > 0 ? (double)r->truth.rusage_ns / 1e9 : 1;
}

/* False: it does not sample here. */
static bool
try_engine(struct sn_selftest *st, const char *name)
{
	struct sn_result r;
	char option[32];
	bool works, is_it;

	(void)snprintf(option, sizeof(option), "--engine=%s", name);
	try(st, option, &r);
	if (sn_selftest_stopped())
		return true;
	works = r.seen.is_read && r.seen.samples > 0;
	is_it = works && (strcmp(r.seen.engine, name) == 0 || strcmp(name, "auto") == 0);
	if (is_it)
		(void)printf("  %-10s %-4s %.0f samples a CPU second of %u asked%s%s\n", name, "ok",
			(double)r.seen.samples / cpu_seconds(&r), TRY_HZ, strcmp(name, "auto") == 0 ? "; took " : "",
			strcmp(name, "auto") == 0 ? r.seen.engine : "");
	else
		(void)printf("  %-10s %-4s %s\n", name, "no", r.seen.why[0] != '\0' ? r.seen.why : "no sample came");
	return works;
}

static bool
try_unwinder(struct sn_selftest *st, const char *name)
{
	struct sn_result r;
	uint64_t in_functions = 0;
	char option[32];
	bool works;

	(void)snprintf(option, sizeof(option), "--unwind=%s", name);
	try(st, option, &r);
	if (sn_selftest_stopped())
		return true;
	works = r.seen.is_read && r.seen.samples > 0;
	for (unsigned f = 0; f < SN_WORK_FUNCTIONS; f++)
		in_functions += r.seen.function_ns[f];
	if (works)
		(void)printf("  %-10s %-4s %.2f %% of the stacks reach the thread's first function%s\n", name, "ok",
			in_functions > 0 ? 100.0 * (double)r.seen.rooted_ns / (double)in_functions : 0.0,
			strcmp(name, "fp") == 0 ? " (few, unless sonde itself was built with frame pointers)" : "");
	else
		(void)printf("  %-10s %-4s %s\n", name, "no", r.seen.why[0] != '\0' ? r.seen.why : "no sample came");
	return works;
}

void
sn_section_engines(struct sn_selftest *st)
{
	static const char *const engines[] = { "timer", "perf", "itimer", "auto" };
	static const char *const unwinders[] = { "table", "fp", "libunwind", "auto" };

	(void)printf("\nengines\n");
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]) && !sn_selftest_stopped(); i++)
		if (!try_engine(st, engines[i]) && strcmp(engines[i], "auto") == 0)
			sn_selftest_broken(st, "sonde run took no sample");
	(void)printf("\nunwinders\n");
	for (size_t i = 0; i < sizeof(unwinders) / sizeof(unwinders[0]) && !sn_selftest_stopped(); i++)
		if (!try_unwinder(st, unwinders[i]) && strcmp(unwinders[i], "auto") == 0)
			sn_selftest_broken(st, "no stack could be had");
}

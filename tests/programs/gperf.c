/* SPDX-License-Identifier: Apache-2.0
 *
 * gperf.c - a program written to gperftools' <gperftools/profiler.h>, linked with libsonde (gperf) or with the
 * real libprofiler (gperf_theirs).
 *
 * Usage:    gperf calls FILE | region FILE | filter FILE | forks FILE | exits FILE | own-child FILE | burn [MS] |
 *           children | toggle SIGNAL | stack
 * Tells:    what the functions returned, a line each; `cpu WHO NANOSECONDS` for what was used.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<gperftools/profiler.h>)
#include <gperftools/profiler.h>
#else
#include "control/gperf.h"
#endif

#include "burn.h"

#define MS 1000000u

static uint64_t before_hot(uint64_t n), region_hot(uint64_t n), child_hot(uint64_t n), wanted_hot(uint64_t n),
	unwanted_hot(uint64_t n);

#define HOT(name, k) static NOINLINE uint64_t name(uint64_t n) { BURN(n); return n + (k); }
HOT(before_hot, 1)
HOT(region_hot, 2)
HOT(child_hot, 3)
HOT(wanted_hot, 4)
HOT(unwanted_hot, 5)

static void
burn(uint64_t (*fn)(uint64_t), uint64_t ms)
{
	uint64_t end = thread_cpu_ns() + ms * MS;

	while (thread_cpu_ns() < end)
		(void)fn(100000);
}

static void
tell(const char *what)
{
	struct ProfilerState s;

	ProfilerGetCurrentState(&s);
	(void)printf("%s: enabled=%d name=%s started=%d samples=%d all=%d\n", what, s.enabled, s.profile_name,
		s.start_time > 1000000000, s.samples_gathered > 0, ProfilingIsEnabledForAllThreads());
	(void)fflush(stdout);
}

static int
calls(const char *file)
{
	char missing[4200];
	int ok;

	(void)snprintf(missing, sizeof(missing), "%s.missing/x", file);
	tell("before");
	ProfilerStop();
	ProfilerFlush();
	(void)printf("no name %d, no folder %d, a folder %d, a device %d\n", ProfilerStart(NULL),
		ProfilerStart(missing), ProfilerStart("/"), ProfilerStart("/dev/null"));
	ok = ProfilerStart(file);
	(void)printf("start %d, again %d\n", ok != 0, ProfilerStart("other"));
	ProfilerRegisterThread();
	ProfilerDisable();
	burn(region_hot, 300);
	ProfilerEnable();
	tell("running");
	(void)printf("file before flush %d\n", access(file, F_OK) == 0);
	ProfilerFlush();
	(void)printf("file after flush %d\n", access(file, F_OK) == 0);
	burn(region_hot, 300);
	ProfilerStop();
	tell("after");
	return 0;
}

static int
region(const char *file)
{
	uint64_t cpu;
	int ok;

	burn(before_hot, 500);
	ok = ProfilerStart(file);
	cpu = process_cpu_ns();
	burn(region_hot, 400);
	cpu = process_cpu_ns() - cpu;
	ProfilerStop();
	(void)printf("start %d\ncpu region %llu\n", ok != 0, (unsigned long long)cpu);
	burn(before_hot, 200);
	return 0;
}

static __thread int wanted;

static int
is_wanted(void *arg)
{
	(*(volatile int *)arg)++;
	return wanted;
}

static void *
wanted_thread(void *arg)
{
	wanted = 1;
	burn(wanted_hot, 500);
	*(uint64_t *)arg = thread_cpu_ns();
	return NULL;
}

static void *
unwanted_thread(void *arg)
{
	burn(unwanted_hot, 500);
	*(uint64_t *)arg = thread_cpu_ns();
	return NULL;
}

static int
filter(const char *file)
{
	static int asked;
	struct ProfilerOptions o = { .filter_in_thread = is_wanted, .filter_in_thread_arg = &asked };
	uint64_t used[2];
	pthread_t t[2];
	int ok = ProfilerStartWithOptions(file, &o), before;

	(void)pthread_create(&t[0], NULL, wanted_thread, &used[0]);
	(void)pthread_create(&t[1], NULL, unwanted_thread, &used[1]);
	for (int i = 0; i < 2; i++)
		(void)pthread_join(t[i], NULL);
	ProfilerStop();
	before = asked;
	burn(unwanted_hot, 100);
	(void)printf("start %d\nasked %d\nasked after stop %d\ncpu wanted %llu\ncpu unwanted %llu\n", ok != 0,
		before > 0, asked - before, (unsigned long long)used[0], (unsigned long long)used[1]);
	return 0;
}

/* Four children, forked and without exec. */
static int
children(void)
{
	int bad = 0, status;

	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		burn(child_hot, 300);
		(void)printf("cpu %d %llu\n", (int)getpid(), (unsigned long long)process_cpu_ns());
		(void)fflush(stdout);
		exit(0);
	}
	burn(region_hot, 300);
	while (wait(&status) > 0)
		bad |= status;
	return bad;
}

static int
forks(const char *file, int stops)
{
	uint64_t cpu;
	int ok = ProfilerStart(file), bad;

	(void)printf("start %d\n", ok != 0);
	(void)fflush(stdout);
	cpu = process_cpu_ns();
	bad = children();
	(void)printf("cpu parent %llu\n", (unsigned long long)(process_cpu_ns() - cpu));
	(void)fflush(stdout);
	if (stops)
		ProfilerStop();
	return bad != 0;
}

/* As servers do: what the child got from its parent ends, then it has one of its own. */
static int
own_child(const char *file)
{
	char own[4200];
	int status, ok = ProfilerStart(file);

	(void)snprintf(own, sizeof(own), "%s.child", file);
	(void)fflush(stdout);
	if (fork() == 0) {
		burn(child_hot, 200);
		ProfilerStop();
		burn(before_hot, 200);
		(void)printf("start %d, again %d", ok != 0, ProfilerStart(own) != 0);
		burn(wanted_hot, 300);
		ProfilerStop();
		(void)printf("\n");
		(void)fflush(stdout);
		_exit(0);
	}
	(void)wait(&status);
	burn(region_hot, 300);
	ProfilerStop();
	return status != 0;
}

static int
toggle(int sig)
{
	burn(before_hot, 200);
	(void)raise(sig);
	burn(region_hot, 300);
	(void)raise(sig);
	burn(before_hot, 200);
	(void)raise(sig);
	burn(child_hot, 300);
	return 0;
}

static volatile int depth;
static void *frames[64];

static void
on_prof(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)si;
	depth = ProfilerGetStackTrace(frames, 64, 0, uc);
}

static int
stack(void)
{
	struct sigaction sa = { .sa_sigaction = on_prof, .sa_flags = SA_SIGINFO };

	(void)sigaction(SIGUSR1, &sa, NULL);
	(void)raise(SIGUSR1);
	(void)printf("frames %d, no more than asked %d\n", depth > 0 && frames[0] != NULL,
		ProfilerGetStackTrace(frames, 1, 0, NULL) == 1 && ProfilerGetStackTrace(frames, 0, 0, NULL) == 0);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : "400";

	if (strcmp(what, "calls") == 0)
		return calls(arg);
	if (strcmp(what, "region") == 0)
		return region(arg);
	if (strcmp(what, "filter") == 0)
		return filter(arg);
	if (strcmp(what, "forks") == 0 || strcmp(what, "exits") == 0)
		return forks(arg, *what == 'f');
	if (strcmp(what, "own-child") == 0)
		return own_child(arg);
	if (strcmp(what, "children") == 0)
		return children() != 0;
	if (strcmp(what, "toggle") == 0)
		return toggle(atoi(arg));
	if (strcmp(what, "stack") == 0)
		return stack();
	if (strcmp(what, "burn") != 0)
		return 2;
	burn(region_hot, (uint64_t)atoi(arg));
	(void)printf("cpu burn %llu\n", (unsigned long long)process_cpu_ns());
	return 0;
}

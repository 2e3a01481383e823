/* SPDX-License-Identifier: Apache-2.0
 *
 * manythreads.c - very many threads, of which a few are busy and the others wait.
 *
 * Usage:    manythreads [-n THREADS] [-k BUSY] [-m MILLISECONDS] [-w]
 *           -m: CPU time that each busy thread burns.  -w: before they begin, wait for a line on stdin, so that
 *           somebody can look at the memory of all threads at rest.
 * Tells:    `threads N`, `start NS` (the wall time until all of them ran), `rest KIB` (resident then), `busy NS` (sum
 *           of the busy threads' CPU clocks), `burn NS` (wall time until they were done), `rusage NS`.
 * Memory:   stacks of 64 KiB, of which a waiting thread touches a page or two.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "burn.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go_on = PTHREAD_COND_INITIALIZER, changed = PTHREAD_COND_INITIALIZER;
static unsigned running, done;
static bool may_burn, may_end;
static uint64_t busy_ns, each_ns = 200000000;

static NOINLINE uint64_t
busy_work(void)
{
	uint64_t rounds = 0;

	while (thread_cpu_ns() < each_ns) {
		BURN(20000);
		rounds++;
	}
	return rounds;
}

static void
await(const bool *word)
{
	(void)pthread_mutex_lock(&lock);
	running++;
	(void)pthread_cond_signal(&changed);
	while (!*word)
		(void)pthread_cond_wait(&go_on, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static NOINLINE void *
idle_thread(void *arg)
{
	await(&may_end);
	return arg;
}

static NOINLINE void *
busy_thread(void *arg)
{
	await(&may_burn);
	(void)busy_work();
	__atomic_add_fetch(&busy_ns, thread_cpu_ns(), __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&lock);
	done++;
	(void)pthread_cond_signal(&changed);
	(void)pthread_mutex_unlock(&lock);
	return arg;
}

static void
until(const unsigned *count, unsigned wanted)
{
	(void)pthread_mutex_lock(&lock);
	while (*count < wanted)
		(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static void
let(bool *word)
{
	(void)pthread_mutex_lock(&lock);
	*word = true;
	(void)pthread_cond_broadcast(&go_on);
	(void)pthread_mutex_unlock(&lock);
}

static long
resident_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (f != NULL)
		(void)fclose(f);
	return kib;
}

static int
run(unsigned threads, unsigned busy, bool waits)
{
	pthread_t *t = calloc(threads, sizeof(*t));
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	pthread_attr_t attr;
	struct rusage r;

	if (t == NULL || pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, 64 << 10) != 0)
		return 3;
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&t[i], &attr, i < busy ? busy_thread : idle_thread, NULL) != 0)
			return 3;
	until(&running, threads);
	(void)printf("threads %u\nstart %llu\nrest %ld\n", threads,
		(unsigned long long)(clock_ns(CLOCK_MONOTONIC) - began), resident_kib());
	(void)fflush(stdout);
	if (waits && getchar() == EOF)
		return 4;
	began = clock_ns(CLOCK_MONOTONIC);
	let(&may_burn);
	until(&done, busy);
	(void)printf("busy %llu\nburn %llu\n", (unsigned long long)busy_ns,
		(unsigned long long)(clock_ns(CLOCK_MONOTONIC) - began));
	(void)fflush(stdout);
	if (waits && getchar() == EOF)
		return 4;
	let(&may_end);
	for (unsigned i = 0; i < threads; i++)
		(void)pthread_join(t[i], NULL);
	(void)getrusage(RUSAGE_SELF, &r);
	(void)printf("rusage %llu\n", (unsigned long long)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000000u +
		(unsigned long long)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000u);
	free(t);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned threads = 1000, busy = 10;
	bool waits = false;
	int c;

	while ((c = getopt(argc, argv, "n:k:m:w")) != -1) {
		if (c == 'n')
			threads = (unsigned)atoi(optarg);
		else if (c == 'k')
			busy = (unsigned)atoi(optarg);
		else if (c == 'm')
			each_ns = strtoull(optarg, NULL, 10) * 1000000u;
		else if (c == 'w')
			waits = true;
		else
			return 2;
	}
	return busy > threads ? 2 : run(threads, busy, waits);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * churn.c - threads that live 0.4 ms of CPU each, several at a time.
 *
 * Usage:    churn [-n THREADS] [-c AT_A_TIME] [-u MICROSECONDS] [-p A_SECOND]
 *           -p: begin so many a second at most, evenly
 * Tells:    `threads N`, `worker NS` (sum of the workers' CPU clocks), `rusage NS`.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "burn.h"

static uint64_t turns_per_us;
static unsigned each_us = 400;
static uint64_t worker_ns;

static NOINLINE uint64_t
short_work(uint64_t turns)
{
	BURN(turns);
	return turns + 3;
}

static NOINLINE void *
short_thread(void *arg)
{
	(void)arg;
	(void)short_work(turns_per_us * each_us);
	__atomic_add_fetch(&worker_ns, thread_cpu_ns(), __ATOMIC_RELAXED);
	return NULL;
}

/* Wait until the moment at which the next ones are due. */
static void
keep_pace(uint64_t began_ns, unsigned made, unsigned a_second)
{
	uint64_t due = began_ns + (uint64_t)made * 1000000000u / a_second;
	struct timespec at = { (time_t)(due / 1000000000u), (long)(due % 1000000000u) };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

int
main(int argc, char **argv)
{
	unsigned a_second = 0;
	uint64_t began;
	unsigned total = 20000, at_once = 3, made = 0;
	pthread_t t[64];
	struct rusage r;
	int c;

	while ((c = getopt(argc, argv, "n:c:u:p:")) != -1) {
		if (c == 'n')
			total = (unsigned)atoi(optarg);
		else if (c == 'c')
			at_once = (unsigned)atoi(optarg);
		else if (c == 'u')
			each_us = (unsigned)atoi(optarg);
		else if (c == 'p')
			a_second = (unsigned)atoi(optarg);
		else
			return 2;
	}
	if (at_once < 1 || at_once > 64)
		return 2;
	turns_per_us = burn_turns_per_us();
	began = clock_ns(CLOCK_MONOTONIC);
	while (made < total) {
		unsigned n = total - made < at_once ? total - made : at_once;

		for (unsigned i = 0; i < n; i++)
			if (pthread_create(&t[i], NULL, short_thread, NULL) != 0)
				return 3;
		for (unsigned i = 0; i < n; i++)
			(void)pthread_join(t[i], NULL);
		made += n;
		if (a_second > 0)
			keep_pace(began, made, a_second);
	}
	(void)getrusage(RUSAGE_SELF, &r);
	(void)printf("threads %u\nwall %llu\nworker %llu\nrusage %llu\n", total,
		(unsigned long long)(clock_ns(CLOCK_MONOTONIC) - began), (unsigned long long)worker_ns,
		(unsigned long long)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000000u +
		(unsigned long long)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000u);
	return 0;
}

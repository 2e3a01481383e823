/* SPDX-License-Identifier: Apache-2.0
 *
 * burn.h - CPU time by the millisecond, for programs that know their own truth.
 *
 * Runs in:  test programs only.
 * Memory:   one static number.
 */
#ifndef TESTS_BURN_H
#define TESTS_BURN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef __clang__
#define NOINLINE	__attribute__((noinline))
#else
#define NOINLINE	__attribute__((noinline, noclone))
#endif

/* A loop that no compiler removes; the same machine code wherever it stands. */
#define BURN(n) do { \
	for (uint64_t i_ = (n); i_ != 0; i_--) \
		__asm__ volatile("" : "+r"(i_)); \
} while (0)

/* Keep a call from becoming a tail call: its caller must stay on the stack. */
#define STAY()		__asm__ volatile("" ::: "memory")

static inline uint64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t
thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline uint64_t
process_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Turns of BURN that take about one microsecond; the best of five short tries. */
static inline uint64_t
burn_turns_per_us(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t t = thread_cpu_ns();

		BURN(200000);
		t = thread_cpu_ns() - t;
		if (t < best)
			best = t;
	}
	return best == 0 ? 1000 : 200000u * 1000u / best + 1;
}

/*
 * With LINGER in the environment: tell what was used, `rusage PID NANOSECONDS`, and idle until a signal comes, so
 * that a profile can be fetched that holds all of it.
 */
static inline void
linger(void)
{
	struct rusage u;

	if (getenv("LINGER") == NULL)
		return;
	(void)getrusage(RUSAGE_SELF, &u);
	(void)printf("rusage %d %lld\n", (int)getpid(),
		(long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
		(long long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000);
	(void)fflush(stdout);
	(void)alarm(300);	/* in case nobody comes */
	for (;;)
		(void)pause();
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * handler.c - a program that measures the handler of whoever profiles it: burns at the bottom of a recursion, and has
 * put a handler of its own round the one that it found.
 *
 * Usage:    handler CALLS MILLISECONDS [SIGNAL]
 * Tells:    `CALLS signals N p50 NS p90 NS p99 NS max NS`; 0 signals when there is no handler.
 * The kernel is asked and told directly: profilers interpose sigaction, and syscall.  The first samples are left out.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/syscall.h"
#include "programs/burn.h"

#define SEEN_MAX	100000u
#define WARM_UP		5u

/* struct sigaction as rt_sigaction has it. */
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
#if defined(__x86_64__)
	void (*restorer)(void);
#endif
	uint64_t mask;
};

static struct kernel_action theirs;
static uint64_t ns[SEEN_MAX];
static volatile uint32_t count;

static void
around(int sig, siginfo_t *si, void *uc)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC);

	theirs.handler(sig, si, uc);
	began = clock_ns(CLOCK_MONOTONIC) - began;
	if (count < SEEN_MAX)
		ns[count++] = began;
}

static NOINLINE uint64_t
down(unsigned calls, uint64_t end)
{
	uint64_t r = 0;

	if (calls > 0)
		r = down(calls - 1, end);
	else
		while (thread_cpu_ns() < end)
			BURN(100000);
	STAY();
	return r + 1;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	unsigned calls = argc > 1 ? (unsigned)atoi(argv[1]) : 8;
	uint64_t ms = argc > 2 ? (uint64_t)atoi(argv[2]) : 1000;
	int sig = argc > 3 ? atoi(argv[3]) : SIGPROF;
	struct kernel_action ours;
	uint64_t *v = ns + WARM_UP, n;

	if (sn_syscall4(SYS_rt_sigaction, sig, NULL, &theirs, sizeof(theirs.mask)) != 0)
		return 1;
	ours = theirs;
	ours.handler = around;
	if ((void *)theirs.handler != (void *)SIG_DFL && (void *)theirs.handler != (void *)SIG_IGN &&
	    sn_syscall4(SYS_rt_sigaction, sig, &ours, NULL, sizeof(ours.mask)) != 0)
		return 1;
	(void)down(calls, thread_cpu_ns() + ms * 1000000);
	if (ours.handler == around)
		(void)sn_syscall4(SYS_rt_sigaction, sig, &theirs, NULL, sizeof(ours.mask));
	n = count > WARM_UP ? count - WARM_UP : 0;
	qsort(v, n, sizeof(*v), by_value);
	(void)printf("%u signals %llu", calls, (unsigned long long)n);
	if (n > 0)
		(void)printf(" p50 %llu p90 %llu p99 %llu max %llu", (unsigned long long)v[n / 2],
			(unsigned long long)v[n * 9 / 10], (unsigned long long)v[n * 99 / 100],
			(unsigned long long)v[n - 1]);
	(void)printf("\n");
	return 0;
}

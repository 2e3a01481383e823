/* SPDX-License-Identifier: Apache-2.0
 *
 * ownsignal.h - for programs that use the very signal that a profiler takes: they tell what each call answered.
 *
 * Runs in:  test programs only.
 * Memory:   a few static numbers.
 */
#ifndef TESTS_OWNSIGNAL_H
#define TESTS_OWNSIGNAL_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "burn.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static int sig = SIGPROF;
static volatile sig_atomic_t seen;
static volatile sig_atomic_t masked_inside;
static volatile sig_atomic_t others_inside;

static inline void
burn_ms(uint64_t ms)
{
	uint64_t end = thread_cpu_ns() + ms * 1000000u;

	while (thread_cpu_ns() < end)
		BURN(10000);
}

static inline sigset_t
only(int one)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, one);
	return set;
}

/* The whole mask of this thread, as sigprocmask answers. */
static inline void
show_mask(const char *when)
{
	unsigned long long bits = 0;
	sigset_t now;

	(void)sigprocmask(SIG_BLOCK, NULL, &now);
	for (int s = 1; s < 65; s++)
		bits |= sigismember(&now, s) == 1 ? 1ull << (s - 1) : 0;
	(void)printf("%s: mask %016llx\n", when, bits);
}

static inline void
note(int s)
{
	sigset_t now;

	(void)sigprocmask(SIG_BLOCK, NULL, &now);
	masked_inside = sigismember(&now, s);
	others_inside = sigismember(&now, SIGUSR1) * 2 + sigismember(&now, SIGUSR2);
	seen++;
}

static inline const char *
name_of(__sighandler_t h)
{
	return h == SIG_DFL ? "default" : h == SIG_IGN ? "ignore" : h == note ? "note" : h == SIG_HOLD ? "hold" :
		h == SIG_ERR ? "error" : "?";
}

static inline void
show_action(const char *when)
{
	struct sigaction a;
	int count = 0;

	memset(&a, 0, sizeof(a));
	(void)sigaction(sig, NULL, &a);
	for (int s = 1; s < 65; s++)
		count += sigismember(&a.sa_mask, s) == 1;
	(void)printf("%s: %s flags %x restorer %d mask %d\n", when, name_of(a.sa_handler), (unsigned)a.sa_flags,
		a.sa_restorer != NULL, count);
}

static inline void
set_action(__sighandler_t h, int flags, int other)
{
	struct sigaction a = { .sa_handler = h, .sa_flags = flags };

	(void)sigemptyset(&a.sa_mask);
	if (other > 0)
		(void)sigaddset(&a.sa_mask, other);
	if (other < 0)
		(void)sigfillset(&a.sa_mask);
	(void)sigaction(sig, &a, NULL);
}

#endif

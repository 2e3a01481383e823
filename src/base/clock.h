/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h - times as unsigned 64-bit nanoseconds.
 *
 * Runs in:  anywhere; sn_clock_* are async-signal-safe (clock_gettime is, POSIX.1-2008 2.4.3).
 */
#ifndef SN_BASE_CLOCK_H
#define SN_BASE_CLOCK_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define SN_NS_PER_SEC	1000000000ull

static inline uint64_t
sn_timespec_ns(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * SN_NS_PER_SEC + (uint64_t)ts->tv_nsec;
}

/* 0 when the clock does not exist (any more): no clock that we read can be at 0. */
static inline uint64_t
sn_clock_ns(clockid_t id)
{
	struct timespec ts;

	return clock_gettime(id, &ts) < 0 ? 0 : sn_timespec_ns(&ts);
}

static inline uint64_t
sn_clock_mono_ns(void)
{
	return sn_clock_ns(CLOCK_MONOTONIC);
}

/* The CPU clock of one thread of our own process (kernel ABI: ~tid << 3 | per thread | scheduler). */
static inline clockid_t
sn_clock_of_thread(pid_t tid)
{
	return (clockid_t)((~(uint32_t)tid << 3) | 6u);
}

/* The CPU clock of any process, also of a zombie that nobody has waited for. */
static inline clockid_t
sn_clock_of_process(pid_t pid)
{
	return (clockid_t)((~(uint32_t)pid << 3) | 2u);
}

/* The timer tick: the finest step at which CPU-clock timers expire (1 / CONFIG_HZ). */
static inline uint64_t
sn_clock_tick_ns(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) < 0 || sn_timespec_ns(&ts) < 100000)
		return 4000000;
	return sn_timespec_ns(&ts);
}

#endif

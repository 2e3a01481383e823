/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest_work.c - a program that knows its own truth: six functions of 40 to 4 %, under four layers, in two threads
 * of unequal load.
 *
 * Runs in:  a process of its own, `sonde selftest --workload`, which is what gets profiled.
 * Truth:    the time of each function is read from the CPU clock of its thread, so it is known, not assumed; pieces
 *           are of random length and order, so that no sampler can be in step with them.  Each function has a section
 *           of its own, whose bounds the linker knows.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/selftest.h"

/* A loop that no compiler removes; the same machine code wherever it stands. */
#define BURN(n) do { \
	for (uint64_t i_ = (n); i_ != 0; i_--) \
		__asm__ volatile("" : "+r"(i_)); \
} while (0)
/* Keep a call from becoming a tail call: its caller must stay on the stack. */
#define STAY() __asm__ volatile("" ::: "memory")
#ifdef __clang__
#define APART(name) __attribute__((noinline, aligned(64), section(#name)))
#else
#define APART(name) __attribute__((noinline, noclone, aligned(64), section(#name)))
#endif
#define BOUNDS(name) extern const char __start_##name[], __stop_##name[]

#define WORK(name, salt) \
BOUNDS(name); \
static APART(name) uint64_t \
do_##name(uint64_t turns) \
{ \
	BURN(turns); \
	return turns ^ (salt); \
}
WORK(sn_work_40, 401)
WORK(sn_work_25, 251)
WORK(sn_work_15, 151)
WORK(sn_work_10, 101)
WORK(sn_work_06, 61)
WORK(sn_work_04, 41)
BOUNDS(sn_work_root);

static const unsigned percent[SN_WORK_FUNCTIONS] = { 40, 25, 15, 10, 6, 4 };

struct worker {
	pthread_t thread;
	unsigned number, rounds;
	uint64_t turns_per_us, seed, sum;
	uint64_t spent_ns[SN_WORK_FUNCTIONS];
	struct sn_work_thread *told;
};

static __attribute__((noinline)) uint64_t
dispatch(unsigned which, uint64_t turns)
{
	uint64_t r = 0;

	switch (which) {
	case 0: r = do_sn_work_40(turns); break;
	case 1: r = do_sn_work_25(turns); break;
	case 2: r = do_sn_work_15(turns); break;
	case 3: r = do_sn_work_10(turns); break;
	case 4: r = do_sn_work_06(turns); break;
	default: r = do_sn_work_04(turns); break;
	}
	STAY();
	return r;
}

#define LAYER(name, below) \
static __attribute__((noinline)) uint64_t \
name(unsigned which, uint64_t turns) \
{ \
	uint64_t r = below(which, turns); \
	STAY(); \
	return r + 1; \
}
LAYER(layer_3, dispatch)
LAYER(layer_2, layer_3)
LAYER(layer_1, layer_2)

static uint64_t
next_random(struct worker *w)
{
	w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
	return w->seed >> 33;
}

/* All functions once, in random order, each for half to one and a half of its part. */
static __attribute__((noinline)) void
one_round(struct worker *w)
{
	unsigned order[SN_WORK_FUNCTIONS];
	uint64_t before, now;

	for (unsigned i = 0; i < SN_WORK_FUNCTIONS; i++) {
		unsigned j = (unsigned)(next_random(w) % (i + 1));

		order[i] = order[j];
		order[j] = i;
	}
	before = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < SN_WORK_FUNCTIONS; i++) {
		unsigned f = order[i];
		uint64_t part = (uint64_t)SN_WORK_ROUND_US * percent[f];	/* of 1/100 us */

		w->sum += layer_1(f, w->turns_per_us * (part / 2 + next_random(w) % part) / 100);
		now = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		w->spent_ns[f] += now - before;
		before = now;
	}
}

static APART(sn_work_root) void *
work(void *arg)
{
	struct worker *w = arg;

	(void)snprintf(w->told->name, sizeof(w->told->name), "selftest-%u", w->number);
	(void)pthread_setname_np(pthread_self(), w->told->name);
	w->told->tid = gettid();
	for (unsigned i = 0; i < w->rounds; i++)
		one_round(w);
	w->told->cpu_ns = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	STAY();
	return NULL;
}

uint64_t
sn_work_turns_per_us(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 9; i++) {
		uint64_t t = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);

		BURN(1000000);
		t = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID) - t;
		if (t < best)
			best = t;
	}
	return best == 0 ? 1000 : 1000000u * 1000u / best + 1;
}

static void
note_bounds(struct sn_work_truth *t)
{
#define NOTE(which, name) \
	(which).start = (uint64_t)(uintptr_t)__start_##name; \
	(which).limit = (uint64_t)(uintptr_t)__stop_##name
	NOTE(t->function[0], sn_work_40);
	NOTE(t->function[1], sn_work_25);
	NOTE(t->function[2], sn_work_15);
	NOTE(t->function[3], sn_work_10);
	NOTE(t->function[4], sn_work_06);
	NOTE(t->function[5], sn_work_04);
	NOTE(t->root, sn_work_root);
#undef NOTE
}

static int
tell(const char *path, struct sn_work_truth *t, const struct worker *w)
{
	struct rusage r = { 0 };
	int fd;
	bool written;

	for (unsigned i = 0; i < SN_WORK_THREADS; i++)
		for (unsigned f = 0; f < SN_WORK_FUNCTIONS; f++)
			t->spent_ns[f] += w[i].spent_ns[f];
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	(void)getrusage(RUSAGE_SELF, &r);
	t->rusage_ns = (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * SN_NS_PER_SEC +
	    (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000;
	written = fd >= 0 && write(fd, t, sizeof(*t)) == (ssize_t)sizeof(*t);
	if (fd >= 0)
		(void)close(fd);
	return written ? 0 : 1;
}

int
sn_work_main(int argc, char **argv)
{
	static struct worker w[SN_WORK_THREADS];
	static struct sn_work_truth truth;

	if (argc != 3 + SN_WORK_THREADS)
		return 2;
	note_bounds(&truth);
	for (unsigned i = 0; i < SN_WORK_THREADS; i++) {
		w[i].number = i + 1;
		w[i].turns_per_us = strtoull(argv[1], NULL, 10);
		w[i].rounds = (unsigned)strtoul(argv[2 + i], NULL, 10);
		w[i].seed = 12345u + i * 977u + strtoull(argv[2 + SN_WORK_THREADS], NULL, 10) * 7919u;
		w[i].told = &truth.thread[i];
		if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
			return 3;
	}
	for (unsigned i = 0; i < SN_WORK_THREADS; i++)
		(void)pthread_join(w[i].thread, NULL);
	return tell(argv[0], &truth, w);
}

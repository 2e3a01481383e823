/* SPDX-License-Identifier: Apache-2.0
 *
 * truth.c - eight functions of 40 to 0.5 %, under six layers, in N threads of load 1:2:3:...
 *
 * Usage:    truth [-t THREADS] [-s CPU_SECONDS | -r ROUNDS] [-o FILE]
 *           -r  the same work in every run (for cost), about 3 ms a round and unit of load
 * Tells:    `thread NAME TID NS`, `share THREAD FUNCTION NS`, `rusage NS`, in FILE or on stdout, at its end.
 *           The time of each function is read from the CPU clock of its thread, so it is known, not assumed.
 * Pieces are of random length and order, so that no sampler can be in step with them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"

#define FUNCTIONS	8
#define MAX_THREADS	64
#define ROUND_US	3000	/* all eight functions once, about */

#define HOT(name, salt) \
static NOINLINE __attribute__((aligned(64))) uint64_t \
name(uint64_t turns) \
{ \
	BURN(turns); \
	return turns ^ (salt); \
}
HOT(hot_40_0, 401)
HOT(hot_25_0, 251)
HOT(hot_15_0, 151)
HOT(hot_10_0, 101)
HOT(hot_05_0, 53)
HOT(hot_03_5, 37)
HOT(hot_01_0, 11)
HOT(hot_00_5, 7)

static const struct {
	const char *name;
	unsigned per_mille;
} known[FUNCTIONS] = {
	{ "hot_40_0", 400 }, { "hot_25_0", 250 }, { "hot_15_0", 150 }, { "hot_10_0", 100 },
	{ "hot_05_0", 50 }, { "hot_03_5", 35 }, { "hot_01_0", 10 }, { "hot_00_5", 5 },
};

struct worker {
	pthread_t thread;
	unsigned number;
	int tid;
	uint64_t budget_ns, cpu_ns;
	unsigned rounds;		/* 0: until the budget is used */
	uint64_t spent[FUNCTIONS];
	uint64_t seed;
	uint64_t sum;
};

static uint64_t turns_per_us;

static NOINLINE uint64_t
dispatch(unsigned which, uint64_t turns)
{
	uint64_t r = 0;

	switch (which) {
	case 0: r = hot_40_0(turns); break;
	case 1: r = hot_25_0(turns); break;
	case 2: r = hot_15_0(turns); break;
	case 3: r = hot_10_0(turns); break;
	case 4: r = hot_05_0(turns); break;
	case 5: r = hot_03_5(turns); break;
	case 6: r = hot_01_0(turns); break;
	default: r = hot_00_5(turns); break;
	}
	STAY();
	return r;
}

#define LAYER(name, below) \
static NOINLINE uint64_t \
name(unsigned which, uint64_t turns) \
{ \
	uint64_t r = below(which, turns); \
	STAY(); \
	return r + 1; \
}
LAYER(layer_5, dispatch)
LAYER(layer_4, layer_5)
LAYER(layer_3, layer_4)
LAYER(layer_2, layer_3)
LAYER(layer_1, layer_2)

static uint64_t
next_random(struct worker *w)
{
	w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
	return w->seed >> 33;
}

/* All functions once, in random order, each for half to one and a half of its part. */
static NOINLINE void
one_round(struct worker *w)
{
	unsigned order[FUNCTIONS];
	uint64_t before, now;

	for (unsigned i = 0; i < FUNCTIONS; i++) {
		unsigned j = (unsigned)(next_random(w) % (i + 1));

		order[i] = order[j];
		order[j] = i;
	}
	before = thread_cpu_ns();
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		unsigned f = order[i];
		uint64_t us1000 = (uint64_t)ROUND_US * known[f].per_mille;

		w->sum += layer_1(f, turns_per_us * (us1000 / 2 + next_random(w) % us1000) / 1000);
		now = thread_cpu_ns();
		w->spent[f] += now - before;
		before = now;
	}
}

static NOINLINE void *
work(void *arg)
{
	struct worker *w = arg;
	char name[16];

	(void)snprintf(name, sizeof(name), "truth-%u", w->number);
	(void)pthread_setname_np(pthread_self(), name);
	w->tid = (int)syscall(SYS_gettid);
	if (w->rounds != 0)
		for (unsigned i = 0; i < w->rounds; i++)
			one_round(w);
	else
		while (thread_cpu_ns() < w->budget_ns)
			one_round(w);
	w->cpu_ns = thread_cpu_ns();
	return NULL;
}

static uint64_t
rusage_ns(void)
{
	struct rusage r;

	(void)getrusage(RUSAGE_SELF, &r);
	return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000000u +
		(uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000u;
}

static int
tell(FILE *out, const struct worker *w, unsigned threads)
{
	for (unsigned i = 0; i < threads; i++) {
		(void)fprintf(out, "thread truth-%u %d %llu\n", w[i].number, w[i].tid, (unsigned long long)w[i].cpu_ns);
		for (unsigned f = 0; f < FUNCTIONS; f++)
			(void)fprintf(out, "share truth-%u %s %llu\n", w[i].number, known[f].name,
				(unsigned long long)w[i].spent[f]);
	}
	(void)fprintf(out, "rusage %llu\n", (unsigned long long)rusage_ns());
	return fclose(out);
}

int
main(int argc, char **argv)
{
	static struct worker w[MAX_THREADS];
	unsigned threads = 1, weights, rounds = 0;
	double seconds = 1;
	FILE *out = stdout;
	int c;

	while ((c = getopt(argc, argv, "t:s:r:o:")) != -1) {
		if (c == 't')
			threads = (unsigned)atoi(optarg);
		else if (c == 's')
			seconds = atof(optarg);
		else if (c == 'r')
			rounds = (unsigned)atoi(optarg);
		else if (c != 'o' || (out = fopen(optarg, "w")) == NULL)
			return 2;
	}
	if (threads < 1 || threads > MAX_THREADS)
		return 2;
	turns_per_us = rounds != 0 ? 2000 : burn_turns_per_us();
	weights = threads * (threads + 1) / 2;
	for (unsigned i = 0; i < threads; i++) {
		w[i].number = i + 1;
		w[i].seed = 12345u + i * 977u + (rounds != 0 ? 0 : (uint64_t)getpid());
		w[i].rounds = rounds * (i + 1);
		w[i].budget_ns = (uint64_t)(seconds * 1e9 * (i + 1) / weights);
		if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
			return 3;
	}
	for (unsigned i = 0; i < threads; i++)
		(void)pthread_join(w[i].thread, NULL);
	return tell(out, w, threads) == 0 ? 0 : 4;
}

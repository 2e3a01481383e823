/* SPDX-License-Identifier: Apache-2.0
 *
 * single.c - what glibc's fast paths for programs of one thread cost: malloc and free of a batch, mutex pairs.
 *
 * Usage:    single [-s SECONDS_OF_SLEEP_FIRST]
 * Tells:    `malloc NS` (one of a batch of 1000 of 64 bytes, with its free), `mutex NS` (a lock and its unlock):
 *           the least of many rounds, because others use the machine too.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BATCH	1000
#define ROUNDS	2000

static double
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
batch(void)
{
	static void *volatile block[BATCH];

	for (int i = 0; i < BATCH; i++)
		block[i] = malloc(64);
	for (int i = 0; i < BATCH; i++)
		free(block[i]);
}

static void
pairs(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	for (int i = 0; i < BATCH; i++) {
		(void)pthread_mutex_lock(&mutex);
		(void)pthread_mutex_unlock(&mutex);
	}
}

static double
least(void (*work)(void))
{
	double best = 1e18;

	for (int i = 0; i < ROUNDS; i++) {
		double t = now_ns();

		work();
		t = now_ns() - t;
		if (t < best)
			best = t;
	}
	return best / BATCH;
}

int
main(int argc, char **argv)
{
	if (argc > 2)
		(void)sleep((unsigned)atoi(argv[2]));
	(void)printf("malloc %.2f\n", least(batch));
	(void)printf("mutex %.2f\n", least(pairs));
	return 0;
}

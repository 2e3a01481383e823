/* SPDX-License-Identifier: Apache-2.0
 *
 * names.c - more threads with names of their own than a profile may have labels.
 *
 * Usage:    names [THREADS [CPU_MILLISECONDS_EACH]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "burn.h"

static uint64_t each_ns;

static NOINLINE void *
named_hot(void *arg)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "name-%ld", (long)(intptr_t)arg);
	(void)pthread_setname_np(pthread_self(), name);
	while (thread_cpu_ns() < each_ns)
		BURN(100000);
	return NULL;
}

int
main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 80;
	pthread_t t[256];

	each_ns = (uint64_t)(argc > 2 ? atoi(argv[2]) : 30) * 1000000u;
	if (threads < 1 || threads > 256)
		return 2;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, named_hot, (void *)(intptr_t)i) != 0)
			return 3;
	for (int i = 0; i < threads; i++)
		(void)pthread_join(t[i], NULL);
	return 0;
}

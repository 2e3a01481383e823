/* SPDX-License-Identifier: Apache-2.0
 *
 * modules.c - libraries that are opened in unusual ways, and CPU time in them.
 *
 * Usage:    modules open|mopen OPENER NAME MILLISECONDS   OPENER (libopener.so) opens NAME, which its RUNPATH finds
 *           modules turns LIBRARY OTHER ROUNDS MILLISECONDS       opens and closes them in turns, so that each is
 *                                                           mapped where the other was.  OTHER is there three
 *                                                           times as long, but works a tenth.
 * Tells:    `work NANOSECONDS` in the libraries (`other NANOSECONDS` in OTHER), `same place` when both were mapped
 *           at one address.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "burn.h"

static NOINLINE uint64_t
burn_in(void *handle, uint64_t ms, void **where)
{
	uint64_t (*entry)(uint64_t);
	uint64_t begin = process_cpu_ns(), now = begin;

	*(void **)&entry = dlsym(handle, "dso_entry");
	if (entry == NULL)
		return 0;
	*where = *(void **)&entry;
	while (now < begin + ms * 1000000u) {
		(void)entry(50000);
		now = process_cpu_ns();
	}
	return now - begin;
}

static int
wrong(void)
{
	(void)fprintf(stderr, "%s\n", dlerror());
	return 3;
}

static int
by_opener(char **argv)
{
	void *opener = dlopen(argv[2], RTLD_NOW), *handle, *where;
	void *(*open_it)(const char *, int);

	if (opener == NULL)
		return wrong();
	*(void **)&open_it = dlsym(opener, "opener_open");
	handle = open_it != NULL ? open_it(argv[3], argv[1][0] == 'm') : NULL;
	if (handle == NULL)
		return wrong();
	(void)printf("work %llu\n", (unsigned long long)burn_in(handle, strtoull(argv[4], NULL, 10), &where));
	return 0;
}

static int
turns(char **argv)
{
	void *where[2] = { NULL, NULL };
	uint64_t work[2] = { 0, 0 }, ms = strtoull(argv[5], NULL, 10);
	int rounds = atoi(argv[4]);

	for (int i = 0; i < 2 * rounds; i++) {
		void *handle = dlopen(argv[2 + i % 2], RTLD_NOW);

		if (handle == NULL)
			return wrong();
		if (i % 2 == 1)
			(void)usleep((useconds_t)ms * 3000);
		work[i % 2] += burn_in(handle, i % 2 == 1 ? ms / 10 : ms, &where[i % 2]);
		if (dlclose(handle) != 0)
			return wrong();
	}
	(void)printf("work %llu\nother %llu\n%s place\n", (unsigned long long)work[0], (unsigned long long)work[1],
		where[0] == where[1] ? "same" : "another");
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 5)
		return by_opener(argv);
	return argc == 6 ? turns(argv) : 2;
}

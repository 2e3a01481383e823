/* SPDX-License-Identifier: Apache-2.0
 *
 * dlclose.c - opens a library, burns in it, closes it, several times, and is gone at once.
 *
 * Usage:    dlclose LIBRARY [CPU_MILLISECONDS [ROUNDS]]
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "burn.h"

static NOINLINE int
open_and_burn(const char *path, uint64_t ns)
{
	uint64_t (*entry)(uint64_t);
	uint64_t end = process_cpu_ns() + ns;
	void *h = dlopen(path, RTLD_NOW);

	if (h == NULL)
		return -1;
	*(void **)&entry = dlsym(h, "dso_entry");
	if (entry == NULL)
		return -1;
	while (process_cpu_ns() < end)
		(void)entry(200000);
	return dlclose(h);
}

int
main(int argc, char **argv)
{
	uint64_t ms = argc > 2 ? (uint64_t)atoi(argv[2]) : 400;
	int rounds = argc > 3 ? atoi(argv[3]) : 1;

	if (argc < 2)
		return 2;
	for (int i = 0; i < rounds; i++)
		if (open_and_burn(argv[1], ms * 1000000u / (uint64_t)rounds) != 0) {
			(void)fprintf(stderr, "%s\n", dlerror());
			return 3;
		}
	linger();
	return 0;
}

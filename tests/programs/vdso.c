/* SPDX-License-Identifier: Apache-2.0
 *
 * vdso.c - most of its time in the vdso, by clock_gettime.
 *
 * Usage:    vdso [CPU_MILLISECONDS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "burn.h"

static NOINLINE uint64_t
ask_the_time(unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += clock_ns(CLOCK_MONOTONIC);
	return sum;
}

int
main(int argc, char **argv)
{
	uint64_t end = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u, sum = 0;

	while (process_cpu_ns() < end)
		sum += ask_the_time(100000);
	(void)printf("%d\n", sum != 0);
	linger();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * inline.c - inner, inlined into middle, inlined into outer, which caller calls.
 *
 * Usage:    inline [CPU_MILLISECONDS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "burn.h"

#define ALWAYS	inline __attribute__((always_inline))

static ALWAYS uint64_t
inner(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = n; i != 0; i--)
		__asm__ volatile("" : "+r"(x));
	return x;
}

static ALWAYS uint64_t
middle(uint64_t n)
{
	return inner(n) + 1;
}

static NOINLINE uint64_t
outer(uint64_t n)
{
	return middle(n) + 2;
}

static NOINLINE uint64_t
caller(uint64_t n)
{
	uint64_t r = outer(n);

	STAY();
	return r + 3;
}

int
main(int argc, char **argv)
{
	uint64_t end = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u, sum = 0;

	while (process_cpu_ns() < end)
		sum += caller(1000000);
	(void)printf("%d\n", sum != 0);
	return 0;
}

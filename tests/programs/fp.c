/* SPDX-License-Identifier: Apache-2.0
 *
 * fp.c - a chain of calls, built with frame pointers throughout.
 *
 * Usage:    fp [CPU_MILLISECONDS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "burn.h"

static NOINLINE uint64_t
fp_leaf(uint64_t n)
{
	volatile uint64_t x = n;

	BURN(n);
	STAY();
	return x + 1;
}

static NOINLINE uint64_t
fp_mid(uint64_t n)
{
	uint64_t r = fp_leaf(n);

	STAY();
	return r;
}

static NOINLINE uint64_t
fp_top(uint64_t n)
{
	uint64_t r = fp_mid(n);

	STAY();
	return r;
}

int
main(int argc, char **argv)
{
	uint64_t end = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u, sum = 0;

	while (process_cpu_ns() < end)
		sum += fp_top(500000);
	(void)printf("%d\n", sum != 0);
	return 0;
}

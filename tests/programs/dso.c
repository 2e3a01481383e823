/* SPDX-License-Identifier: Apache-2.0
 *
 * dso.c - half of its time in libhotdso.so, half in itself; built as PIE and with -no-pie.
 *
 * Usage:    dso_pie|dso_nopie [CPU_MILLISECONDS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "burn.h"

uint64_t dso_entry(uint64_t n);

static NOINLINE uint64_t
exe_hot(uint64_t n)
{
	BURN(n);
	return n + 2;
}

static NOINLINE uint64_t
both(uint64_t n)
{
	uint64_t r = exe_hot(n) + dso_entry(n);

	STAY();
	return r;
}

int
main(int argc, char **argv)
{
	uint64_t end = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u, sum = 0;

	while (process_cpu_ns() < end)
		sum += both(500000);
	(void)printf("%d\n", sum != 0);
	return 0;
}

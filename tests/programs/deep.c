/* SPDX-License-Identifier: Apache-2.0
 *
 * deep.c - burns at the bottom of a recursion.
 *
 * Usage:    deep [DEPTH [CPU_MILLISECONDS [BYTES_A_FRAME]]]
 */
#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "burn.h"

static size_t frame_bytes;

static NOINLINE uint64_t
bottom(uint64_t n)
{
	BURN(n);
	return n + 1;
}

static NOINLINE uint64_t
down(unsigned depth, uint64_t n)
{
	volatile char *room = alloca(frame_bytes + 16);
	uint64_t r;

	room[0] = (char)depth;
	r = depth == 0 ? bottom(n) : down(depth - 1, n);
	STAY();
	return r + (uint64_t)room[0];
}

int
main(int argc, char **argv)
{
	unsigned depth = argc > 1 ? (unsigned)atoi(argv[1]) : 64;
	uint64_t end = (uint64_t)(argc > 2 ? atoi(argv[2]) : 500) * 1000000u, sum = 0;

	frame_bytes = argc > 3 ? (size_t)atoi(argv[3]) : 0;
	while (process_cpu_ns() < end)
		sum += down(depth, 1000000);
	(void)printf("%d\n", sum != 0);
	linger();
	return 0;
}

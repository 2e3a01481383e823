/* SPDX-License-Identifier: Apache-2.0
 *
 * manystacks.c - hardly a stack twice: at each level chance says which of two functions calls on.
 *
 * Usage:    manystacks CPU_MILLISECONDS DEPTH [TURNS]     DEPTH 0: the same stack all the time.  TURNS: of a loop in
 *           each stack, 20000 unless told
 * Tells:    `stacks N` (different ones that it burned in), `cpu NANOSECONDS` of its one thread, `rss KIB` (most, of
 *           this process).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "burn.h"

static uint64_t state = 88172645463325252u, turns = 20000;

static uint64_t
chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t odd_one(uint64_t left, uint64_t bits);

static NOINLINE uint64_t
even_one(uint64_t left, uint64_t bits)
{
	uint64_t r;

	if (left == 0) {
		BURN(turns);
		return bits;
	}
	if (left % 48 == 0)
		bits = chance();
	r = bits & 1 ? odd_one(left - 1, bits >> 1) : even_one(left - 1, bits >> 1);
	STAY();
	return r + 1;
}

static NOINLINE uint64_t
odd_one(uint64_t left, uint64_t bits)
{
	uint64_t r;

	if (left == 0) {
		BURN(turns);
		return bits;
	}
	if (left % 48 == 0)
		bits = chance();
	r = bits & 1 ? odd_one(left - 1, bits >> 1) : even_one(left - 1, bits >> 1);
	STAY();
	return r + 2;
}

int
main(int argc, char **argv)
{
	uint64_t ms = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t depth = argc > 2 ? strtoull(argv[2], NULL, 10) : 200;
	uint64_t stacks = 0;
	struct rusage u;

	if (argc > 3)
		turns = strtoull(argv[3], NULL, 10);

	while (thread_cpu_ns() < ms * 1000000u) {
		(void)even_one(depth, depth == 0 ? 0 : chance());
		stacks++;
	}
	(void)getrusage(RUSAGE_SELF, &u);
	(void)printf("stacks %llu\ncpu %llu\nrss %ld\n", (unsigned long long)(depth == 0 ? 1 : stacks),
		(unsigned long long)thread_cpu_ns(), u.ru_maxrss);
	return 0;
}

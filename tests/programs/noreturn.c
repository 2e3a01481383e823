/* SPDX-License-Identifier: Apache-2.0
 *
 * noreturn.c - a call that does not return is the last instruction of last_call; next_fn begins
 * right behind it, so a return address that is not taken back by one is charged to next_fn.
 *
 * Usage:    noreturn [CPU_MILLISECONDS]
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "burn.h"

static jmp_buf again;

/* One section, so that the order of the source is the order in memory (no_reorder). */
#ifdef __clang__
#define ORDERED
#else
#define ORDERED	__attribute__((no_reorder))
#endif
#define TOGETHER	NOINLINE ORDERED __attribute__((section(".text.sn_together"), aligned(1)))

static TOGETHER __attribute__((noreturn)) void
die(uint64_t n)
{
	BURN(n);
	longjmp(again, 1);
}

static TOGETHER __attribute__((noreturn)) void
last_call(uint64_t n)
{
	die(n);
}

static TOGETHER uint64_t
next_fn(uint64_t n)
{
	return n * 3 + 1;
}

static NOINLINE void
caller(uint64_t n)
{
	last_call(n);
}

int
main(int argc, char **argv)
{
	volatile uint64_t sum = 0;
	uint64_t end = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u;

	if (setjmp(again) != 0)
		sum += next_fn(sum);
	if (process_cpu_ns() < end)
		caller(3000000);
	(void)printf("%d\n", sum != 0);
	return 0;
}

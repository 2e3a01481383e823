/* SPDX-License-Identifier: Apache-2.0
 *
 * hotdso.c - libhotdso.so: a shared library that burns CPU in a function of its own.
 */
#include "burn.h"

uint64_t dso_entry(uint64_t n);

static NOINLINE uint64_t
dso_hot(uint64_t n)
{
	BURN(n);
	return n + 1;
}

__attribute__((visibility("default"))) NOINLINE uint64_t
dso_entry(uint64_t n)
{
	uint64_t r = dso_hot(n);

	STAY();
	return r;
}

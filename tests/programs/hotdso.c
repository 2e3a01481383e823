/* SPDX-License-Identifier: Apache-2.0
 *
 * hotdso.c - libhotdso.so: a shared library that burns CPU in a function of its own; built once more with another
 * name for that function, as libhotdso2.so, and as plugin/libplugin.so.
 */
#include "burn.h"

uint64_t dso_entry(uint64_t n);

#ifndef DSO_HOT
#define DSO_HOT dso_hot
#endif

static NOINLINE uint64_t
DSO_HOT(uint64_t n)
{
	BURN(n);
	return n + 1;
}

__attribute__((visibility("default"))) NOINLINE uint64_t
dso_entry(uint64_t n)
{
	uint64_t r = DSO_HOT(n);

	STAY();
	return r;
}

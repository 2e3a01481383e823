/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.c - frames of unusual shape: alloca, arrays of variable length, locals aligned beyond the ABI (the CFA is then
 * behind a pointer, DRAP), a frame larger than a page, all of them in one another.
 */
#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NOINLINE	__attribute__((noinline))

static volatile uint64_t sink;

static NOINLINE void
use(void *p, size_t n)
{
	memset(p, (int)n, n);
	sink += ((unsigned char *)p)[n / 2];
}

static NOINLINE void
leaf(unsigned n)
{
	char text[32];

	sink += (uint64_t)snprintf(text, sizeof(text), "%u", n);
}

static NOINLINE void
with_alloca(unsigned n)
{
	char *p = alloca(n * 16 + 1);

	use(p, n * 16 + 1);
	leaf(n);
}

static NOINLINE void
with_array(unsigned n)
{
	uint64_t a[n + 1];

	use(a, sizeof(a));
	with_alloca(n);
	use(a, sizeof(a));
}

static NOINLINE void
aligned(unsigned n)
{
	uint64_t a[8] __attribute__((aligned(64)));

	use(a, sizeof(a));
	with_array(n);
	sink += a[3];
}

/* Aligned, and the arguments are on the stack: the compiler keeps a pointer to them in r10 or in memory. */
static NOINLINE void
aligned_with_arguments(unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f, unsigned g, unsigned h)
{
	uint64_t x[4] __attribute__((aligned(32)));
	char *p = alloca(g * 8 + 1);

	use(x, sizeof(x));
	use(p, g * 8 + 1);
	aligned(a + b + c);
	sink += x[1] + d + e + f + h;
}

static NOINLINE void
large_frame(unsigned n)
{
	char a[9000];

	use(a, sizeof(a));
	aligned_with_arguments(n, 1, 2, 3, 4, 5, 6, 7);
	sink += (uint64_t)a[n];
}

#if defined(__AVX__)
typedef double four __attribute__((vector_size(32)));

static NOINLINE four
vectors(four a, four b, unsigned n)
{
	volatile four spilled = a * b;
	double v[n + 4];

	use(v, sizeof(v));
	leaf(n);
	return spilled + a;
}
#endif

int
main(void)
{
	for (unsigned i = 0; i < 4; i++) {
		large_frame(i);
		aligned_with_arguments(i, i, i, 1, 2, 3, 4, 5);
		with_array(3 + i);
#if defined(__AVX__)
		if (__builtin_cpu_supports("avx")) {
			four x = { 1, 2, 3, i };

			x = vectors(x, x, i);
			sink += (uint64_t)x[1];
		}
#endif
	}
	return sink == 0;
}

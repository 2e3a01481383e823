/* SPDX-License-Identifier: Apache-2.0
 *
 * cxx.cc - a template in a namespace, exceptions thrown under samples, std::sort with a lambda.
 *
 * Usage:    cxx [CPU_MILLISECONDS]
 * Tells:    `caught N sorted 1`.
 */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "burn.h"

namespace foo {

template <typename T>
NOINLINE void
bar(T n)
{
	BURN((uint64_t)n * 1000u);
	STAY();
}

struct thrower {
	~thrower() { STAY(); }
};

NOINLINE static void
throw_at_depth(int depth)
{
	thrower t;

	if (depth == 0)
		throw std::runtime_error("on purpose");
	throw_at_depth(depth - 1);
	STAY();
}

NOINLINE static bool
sorts(std::vector<unsigned> &v)
{
	unsigned seed = 7;

	for (auto &x : v)
		x = seed = seed * 1664525u + 1013904223u;
	std::sort(v.begin(), v.end(), [](unsigned a, unsigned b) { return (a ^ 5u) < (b ^ 5u); });
	return std::is_sorted(v.begin(), v.end(), [](unsigned a, unsigned b) { return (a ^ 5u) < (b ^ 5u); });
}

}

int
main(int argc, char **argv)
{
	uint64_t end = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u;
	std::vector<unsigned> v(20000);
	unsigned caught = 0;
	bool sorted = true;

	while (process_cpu_ns() < end) {
		foo::bar<int>(1000);
		try {
			foo::throw_at_depth(20);
		} catch (const std::runtime_error &) {
			caught++;
		}
		sorted = foo::sorts(v) && sorted;
	}
	std::printf("caught %d sorted %d\n", caught > 0, sorted);
	return 0;
}

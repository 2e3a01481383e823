/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_selftest.c - sonde selftest: prove on this machine what profiles are worth and what they cost.
 *
 * Runs in:  the sonde command, which is its own workload: what is measured is the product, not a copy of it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "tools/selftest.h"
#include "tools/tools.h"

static const char usage[] =
	"usage: sonde selftest\n\n"
	"Profile a program that knows its own truth, on this machine, and print: the engines and unwinders that work\n"
	"here; the rate, the errors and the losses at 100, 1000 and 4000 Hz; what a sample costs, by its parts; what\n"
	"profiling costs the program; and the same beside gperftools, perf and async-profiler, if they are installed.\n"
	"Takes less than a minute, best on a machine that does nothing else.\n\n"
	"Exit status: 0 sampling works, 1 something is broken, 2 usage, 125 it could not be tried.\n";

void
sn_selftest_broken(struct sn_selftest *st, const char *fmt, ...)
{
	va_list ap;

	st->broken++;
	va_start(ap, fmt);
	(void)printf("  BROKEN: ");
	(void)vprintf(fmt, ap);
	(void)printf("\n");
	va_end(ap);
}

static const struct {
	void (*print)(struct sn_selftest *st);
	bool is_needed;			/* if it is broken, the rest says nothing */
} sections[] = {
	{ sn_section_machine, true },
	{ sn_section_engines, true },
	{ sn_section_sample, false },
	{ sn_section_truth, false },
	{ sn_section_overhead, false },
};

static int
selftest(void)
{
	struct sn_selftest st = { 0 };
	int err = sn_selftest_begin(&st);

	if (err < 0) {
		sn_log(SN_LOG_STDERR, "the selftest cannot begin: %s", strerror(-err));
		return SN_EXIT_CANNOT;
	}
	st.turns_per_us = sn_work_turns_per_us();
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && !sn_selftest_stopped(); i++) {
		sections[i].print(&st);
		(void)fflush(stdout);
		if (sections[i].is_needed && st.broken != 0)
			break;
	}
	sn_selftest_end(&st);
	if (sn_selftest_stopped()) {
		sn_log(SN_LOG_STDERR, "interrupted");
		return SN_EXIT_CANNOT;
	}
	(void)printf("\nverdict: %s (%.0f s)\n", st.broken == 0 ? "sampling works here" :
		"something is BROKEN, see above", (double)(sn_clock_mono_ns() - st.began_ns) / 1e9);
	return st.broken == 0 ? 0 : SN_EXIT_FAILED;
}

int
cmd_selftest(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--workload") == 0)
		return sn_work_main(argc - 2, argv + 2);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		(void)fputs(usage, stdout);
		return 0;
	}
	if (argc > 1) {
		sn_log(SN_LOG_STDERR, "%.100s is not understood: sonde selftest takes nothing", argv[1]);
		return SN_EXIT_USAGE;
	}
	return selftest();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * sonde.c - the sonde command: picks the subcommand.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "tools/tools.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", cmd_run, "start a program, sample it, write a pprof profile" },
	{ "fetch", cmd_fetch, "ask a running program for a profile" },
	{ "ps", cmd_ps, "list the programs that are being profiled" },
	{ "check", cmd_check, "say what profiling can do on this machine" },
	{ "selftest", cmd_selftest, "prove what profiles are worth on this machine, and what they cost" },
	{ "symbolize", cmd_symbolize, "fill names and lines into a profile" },
};

static void
usage(FILE *to)
{
	(void)fprintf(to, "usage: sonde COMMAND [OPTION …]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
	(void)fprintf(to, "\n  sonde run -- PROGRAM ARG …\n  sonde COMMAND --help\n  sonde --version\n");
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return SN_EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("sonde %s\n", PACKAGE_VERSION);
		return 0;
	}
	(void)fprintf(stderr, "sonde: unknown command %.100s; see sonde --help\n", argv[1]);
	return SN_EXIT_USAGE;
}

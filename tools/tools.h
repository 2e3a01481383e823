/* SPDX-License-Identifier: Apache-2.0
 *
 * tools.h - what the files of the sonde command share.
 */
#ifndef SN_TOOLS_TOOLS_H
#define SN_TOOLS_TOOLS_H

#include <stddef.h>

/* Exit statuses of our own, as env(1) and timeout(1) have them; 1 is for the commands that start no program. */
enum {
	SN_EXIT_FAILED = 1,
	SN_EXIT_USAGE = 2,
	SN_EXIT_CANNOT = 125,		/* sonde itself failed */
	SN_EXIT_NOT_EXECUTABLE = 126,
	SN_EXIT_NOT_FOUND = 127,
};

/* sonde run …; argv[0] is "run".  The exit status; may instead die by the command's signal. */
int cmd_run(int argc, char **argv);
/* sonde fetch, sonde ps, sonde check, sonde selftest: 0, SN_EXIT_FAILED or SN_EXIT_USAGE, with a line on stderr. */
int cmd_fetch(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_selftest(int argc, char **argv);

/* library.c: what goes into the program */

#define SN_LIBRARY	"libsonde.so.1"
#define SN_MODULE	"libsonde-collect.so"

/*
 * Find libsonde.so.1 beside us: in the build tree, where it was installed, or where both were moved to.
 * 0, or -ENOENT, or -EINVAL when LD_PRELOAD cannot name it, with a line in why.
 */
int sn_library_find(char *out, size_t size, char *why, size_t why_size);
/*
 * What LD_PRELOAD is to name: the library by way of $LIB, which programs that cannot load it pass over in silence; or
 * the library itself, where the loader's $LIB does not lead there.
 */
void sn_library_preload(const char *library, char *out, size_t size);
/* The collector's module that belongs to that library.  0 or -ENOENT. */
int sn_module_find(const char *library, char *out, size_t size);

/* sonde symbolize …; argv[0] is "symbolize".  The exit status; 1: what it was given is not a profile. */
int cmd_symbolize(int argc, char **argv);

/* program.c: can this program be profiled by a preloaded library? */

struct sn_program {
	char path[4096];	/* what execve will be given */
	char why[512];		/* one line, with the remedy, when it cannot */
};

/*
 * Find cmd as execvp would and look at its ELF header, through #!.  0 it can be profiled;
 * SN_EXIT_CANNOT with a line in why; SN_EXIT_NOT_FOUND or SN_EXIT_NOT_EXECUTABLE with a line in why.
 */
int sn_program_check(const char *cmd, struct sn_program *out);

#endif

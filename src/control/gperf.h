/* SPDX-License-Identifier: Apache-2.0
 *
 * gperf.h - the interface of gperftools' CPU profiler: its functions, its variables.
 *
 * Programs are compiled against gperftools' own header; these are the same types and names, which its binary
 * interface fixes.
 */
#ifndef SN_CONTROL_GPERF_H
#define SN_CONTROL_GPERF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/options.h"

struct ProfilerOptions {
	int (*filter_in_thread)(void *arg);	/* 0: no sample of the calling thread; called in the handler */
	void *filter_in_thread_arg;
};

struct ProfilerState {
	int enabled;
	time_t start_time;
	char profile_name[1024];
	int samples_gathered;
};

int ProfilerStart(const char *fname);
int ProfilerStartWithOptions(const char *fname, const struct ProfilerOptions *options);
void ProfilerStop(void);
void ProfilerFlush(void);
void ProfilerEnable(void);
void ProfilerDisable(void);
int ProfilingIsEnabledForAllThreads(void);
void ProfilerRegisterThread(void);
void ProfilerGetCurrentState(struct ProfilerState *state);
int ProfilerGetStackTrace(void **result, int max_depth, int skip_count, const void *uc);

/* gperf_env.c */

#define SN_GPERF_PATTERN (2 * PATH_MAX + 4)

struct sn_gperf_env {
	bool asked;			/* CPUPROFILE names a file that can be written */
	unsigned hz;			/* CPUPROFILE_FREQUENCY, made valid */
	bool hz_is_named;		/* … is set */
	int signal;			/* CPUPROFILE_TIMER_SIGNAL; 0: none, or one that cannot be ours */
	int toggle;			/* CPUPROFILESIGNAL; 0: none */
	char name[PATH_MAX];		/* the file, as it was written */
	char pattern[SN_GPERF_PATTERN];	/* … for SONDE_FILE */
};

/* What the constructor found; never changes after it. */
const struct sn_gperf_env *sn_gperf_env(void);
/* From the constructor: read the variables, which the program may write over.  Lines about what cannot be. */
void sn_gperf_read_environment(char *const envp[]);
/*
 * The constructor starts the collector inside, because of CPUPROFILE or for other reasons: what no SONDE_* variable
 * says is taken from the variables of gperftools, and children that exec will know whose children they are.
 */
void sn_gperf_set_options(char *const envp[], struct sn_options *o);

/*
 * The absolute name of a file that shall be written, links to it resolved, into path.  0; or why it cannot be, as
 * far as that can be told without touching it: what is there stays until the new one is whole.
 */
int sn_gperf_find_file(const char *name, char path[PATH_MAX]);
/* A literal name, and the mark at which the names of children differ, as a pattern of deliver/file.h. */
void sn_gperf_make_pattern(const char *path, const char *suffix, char pattern[SN_GPERF_PATTERN]);

/* gperf.c */

/* The constructor has started the collector with what sn_gperf_set_options made of o. */
void sn_gperf_started(const struct sn_options *o);
/* exit() has been called: the profile of ProfilerStart is written if somebody else's collector makes it. */
void sn_gperf_exit(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest.h - what the files of `sonde selftest` share.
 *
 * Runs in:  the sonde command, which starts itself as the workload: under the real `sonde run`, bare, and under
 *           other profilers.
 */
#ifndef SN_TOOLS_SELFTEST_H
#define SN_TOOLS_SELFTEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- selftest_work.c: the workload, and what it knows of itself ---- */

#define SN_WORK_FUNCTIONS	6
#define SN_WORK_THREADS		2
#define SN_WORK_ROUND_US	3000u	/* all functions once, about */

/* How much each thread does: the same machine code in every run. */
struct sn_work_size {
	uint64_t turns_per_us;		/* of the innermost loop, as measured here */
	unsigned rounds[SN_WORK_THREADS];
	unsigned seed;
};

/* Told by the workload at its end.  Addresses, not names: the command may be stripped. */
struct sn_work_truth {
	struct sn_work_range {
		uint64_t start, limit;
	} function[SN_WORK_FUNCTIONS], root;
	uint64_t spent_ns[SN_WORK_FUNCTIONS];
	struct sn_work_thread {
		char name[16];
		int32_t tid;
		uint64_t cpu_ns;
	} thread[SN_WORK_THREADS];
	uint64_t rusage_ns;		/* of the whole process */
};

/* `sonde selftest --workload FILE TURNS ROUNDS ROUNDS SEED`.  An exit status. */
int sn_work_main(int argc, char **argv);
/* Turns of the loop that take a microsecond here. */
uint64_t sn_work_turns_per_us(void);

/* ---- selftest_run.c: programs, with a bound on their time ---- */

#define SN_SELFTEST_RATES	3

struct sn_selftest {
	char exe[PATH_MAX];		/* ourselves */
	char folder[PATH_MAX];		/* temporary */
	uint64_t began_ns, deadline_ns;	/* by CLOCK_MONOTONIC; what can be left out is, after the deadline */
	uint64_t turns_per_us;
	double pace;			/* 1; less on a busy machine: how much of each workload there is time for */
	unsigned broken;		/* how many things were found wrong */
};

/* What a program came to. */
struct sn_ran {
	int status;			/* of wait; -1: it could not be started, or was given up */
	uint64_t cpu_ns;		/* of it and all that it waited for */
	uint64_t wall_ns;
	char said[200];			/* the first line on its stderr */
};

/* Make the temporary folder, note who we are; empty the environment of what other profilers read.  0 or -errno. */
int sn_selftest_begin(struct sn_selftest *st);
void sn_selftest_end(struct sn_selftest *st);
/* A signal asked us to stop. */
bool sn_selftest_stopped(void);
/* Rounds of a workload that are worth this many on an idle machine. */
unsigned sn_selftest_rounds(const struct sn_selftest *st, unsigned rounds);
/* Is there time left for what may be left out? */
bool sn_selftest_has_time(const struct sn_selftest *st);

/*
 * Run a program to its end, at most a minute; env: NAME=VALUE texts to add, NULL-terminated, or NULL.  Its output
 * goes to a file of the temporary folder, or nowhere when out is NULL.
 */
void sn_run(const struct sn_selftest *st, const char *const *argv, const char *const *env, const char *out,
	struct sn_ran *ran);

enum sn_tool { SN_TOOL_BARE, SN_TOOL_SONDE, SN_TOOL_GPERF, SN_TOOL_PERF, SN_TOOL_ASYNC, SN_TOOLS };

/* Can that one be used here?  false with a text in why. */
bool sn_tool_find(enum sn_tool tool, char *why, size_t size);
const char *sn_tool_name(enum sn_tool tool);

/* What a profile says, whoever wrote it. */
struct sn_seen {
	bool is_read;
	uint64_t total_ns, samples;	/* samples: signals that became one, not weights */
	uint64_t function_ns[SN_WORK_FUNCTIONS];
	uint64_t rooted_ns;		/* of stacks that reach the workload's first function */
	uint64_t thread_ns[SN_WORK_THREADS];
	bool has_threads;
	double lost;			/* negative: it does not say */
	double independent;		/* equal samples that they are worth */
	double handler, collector;	/* percent of CPU time, of sonde's own measuring; negative: not said */
	char engine[16];
	char why[200];			/* why that engine, or why there is no profile */
};

struct sn_under {
	enum sn_tool tool;
	unsigned hz;
	const char *option;		/* one more flag of `sonde run`, or NULL */
};

struct sn_result {
	struct sn_ran ran;
	bool is_true;			/* the workload told its truth */
	struct sn_work_truth truth;
	struct sn_seen seen;
};

/* The workload under it.  read: look into the profile too. */
void sn_work_run(const struct sn_selftest *st, const struct sn_under *way, const struct sn_work_size *size, bool read,
	struct sn_result *out);

/* ---- selftest_read.c ---- */

void sn_read_pprof(const char *path, const struct sn_work_truth *truth, struct sn_seen *out);
void sn_read_gperf(const char *path, const struct sn_work_truth *truth, struct sn_seen *out);
/* What `perf script -G -F tid,period,ip` printed. */
void sn_read_perf(const char *path, const struct sn_work_truth *truth, struct sn_seen *out);
/* Collapsed stacks of async-profiler, at so many nanoseconds a sample. */
void sn_read_collapsed(const char *path, uint64_t interval_ns, struct sn_seen *out);

/* ---- the sections of the report, in their order ---- */

void sn_section_machine(struct sn_selftest *st);
void sn_section_engines(struct sn_selftest *st);
void sn_section_truth(struct sn_selftest *st);
void sn_section_sample(struct sn_selftest *st);
void sn_section_overhead(struct sn_selftest *st);

/* Say what is wrong; the exit status will be 1. */
void sn_selftest_broken(struct sn_selftest *st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

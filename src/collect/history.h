/* SPDX-License-Identifier: Apache-2.0
 *
 * history.h - what was sampled when: rows of 24 bytes, from which any span of the past becomes a profile.
 *
 * Runs in:  collector.
 * Memory:   chunks of rows, the oldest freed first: after SONDE_KEEP, or at the bound of bytes (counted).
 *           A row's stack is an index into the process's interned stacks, which live as long as it does.
 * Rows:     samples; and residuals (DESIGN §5), taken at each scan and thread's end, so that a span's sum
 *           is the kernel's CPU time of that span.
 */
#ifndef SN_COLLECT_HISTORY_H
#define SN_COLLECT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sn_history_kind {
	SN_HISTORY_CPU,			/* a sample */
	SN_HISTORY_RESIDUAL,		/* CPU clock less credited, of a group's threads, since the row before */
	SN_HISTORY_BLOCKED,		/* the same, of threads that blocked our signal */
	SN_HISTORY_KERNEL,		/* the same, that perf events did not see */
	SN_HISTORY_PROCESS,		/* CPU clock of the process less what its threads account for */
};

struct sn_history_row {
	uint64_t time_ns;		/* CLOCK_MONOTONIC */
	union {
		struct {
			uint32_t stack;
			uint32_t weight;	/* in periods */
		};
		int64_t residual_ns;
	};
	int32_t tid;			/* 0 unless labels has thread_id */
	uint16_t group;			/* UINT16_MAX: none */
	uint8_t kind;			/* enum sn_history_kind */
	uint8_t label;			/* UINT8_MAX: none */
};
_Static_assert(sizeof(struct sn_history_row) == 24, "rows are counted in SONDE_MEMORY by this size");

struct sn_history_chunk;

struct sn_history {
	struct sn_history_chunk *first, *last;
	size_t held_bytes, bound_bytes;
	uint64_t keep_ns;
	uint64_t pinned_ns;		/* rows from here on stay: a client is taking a profile; 0 none */
	uint64_t from_ns;		/* nothing older is left: spans begin here at the earliest */
	uint64_t rows_dropped;		/* went early, for memory */
};

void sn_history_init(struct sn_history *h, uint64_t keep_ns, size_t bound_bytes, uint64_t now_ns);
void sn_history_free(struct sn_history *h);
/*
 * Rows come nearly in order of time (rings are drained one after the other).  At the bound the oldest go, pinned
 * ones too; out of memory: the row is dropped and counted, and spans begin behind it.  With keep 0 and nothing
 * pinned no row is kept.
 */
void sn_history_add(struct sn_history *h, const struct sn_history_row *row);
/* Let go of what is too old at now_ns; called at each tick. */
void sn_history_expire(struct sn_history *h, uint64_t now_ns);
/* All rows with from_ns < time <= to_ns, in no particular order. */
void sn_history_each(const struct sn_history *h, uint64_t from_ns, uint64_t to_ns,
	void (*fn)(void *ctx, const struct sn_history_row *row), void *ctx);

#endif

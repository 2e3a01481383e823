/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h - stacks, interned, and how often each was seen: one window of one process.
 *
 * Runs in:  collector.
 * Memory:   owned by the profile; strings and modules that it points to belong to the process.
 * When at its bound (budget_bytes): new stacks become the frame [stack dropped], counted.
 *           Frames and stacks may fill three quarters of the budget, the rest is for rows.
 */
#ifndef SN_COLLECT_PROFILE_H
#define SN_COLLECT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/module.h"

/* Frames that stand for what was not seen; they have a name and no address. */
enum sn_pseudo {
	SN_PSEUDO_NONE,
	SN_PSEUDO_TRUNCATED,		/* [truncated] */
	SN_PSEUDO_UNWIND_FAILED,	/* [unwind failed] */
	SN_PSEUDO_NOT_SAMPLED,		/* [not sampled] */
	SN_PSEUDO_LOST,			/* [lost] */
	SN_PSEUDO_SIGNAL_BLOCKED,	/* [signal blocked] */
	SN_PSEUDO_KERNEL,		/* [kernel] */
	SN_PSEUDO_UNSAMPLED_THREAD,	/* [unsampled thread] */
	SN_PSEUDO_STACK_DROPPED,	/* [stack dropped] */
	SN_PSEUDO_FILTERED,		/* [filtered]: in no file, see sn_profile_settle */
	SN_PSEUDO_UNSAMPLED_PROCESSES,	/* [unsampled processes] */
	SN_PSEUDO_COUNT
};
const char *sn_pseudo_name(enum sn_pseudo p);

struct sn_frame {
	uint64_t addr;			/* exact PC, or return address minus one; 0 for a pseudo frame */
	struct sn_module *module;	/* NULL: in no known module */
	uint32_t pseudo;		/* enum sn_pseudo */
	uint32_t hash_next;
};

struct sn_stack {
	uint32_t first;			/* into frame_ids, leaf first */
	uint32_t count;
	uint32_t hash;
	uint32_t hash_next;
};

/* How often one stack was seen under one set of labels. */
struct sn_row {
	uint32_t stack;
	uint32_t label;			/* index into labels; SN_NO_LABEL */
	int32_t tid;			/* 0 unless labels has thread_id */
	uint32_t group;			/* index of the start function */
	uint64_t count;			/* in periods */
	uint32_t hash_next;
};
#define SN_NO_LABEL UINT32_MAX

/* Threads that began in the same function: the unit in which the CPU clock has the last word. */
struct sn_group {
	uint64_t start_fn;
	bool is_main;
	uint32_t root_stack;		/* a stack that shows how such threads begin, or SN_NO_STACK */
	int64_t residual_ns;		/* CPU clock less credited, of its threads */
	int64_t blocked_ns;		/* the part of it whose threads blocked our signal */
	int64_t kernel_ns;		/* the part of it that their perf events did not see */
	int64_t refused_ns, refused_named_ns;	/* of threads without a timer; what of it has a row */
};
#define SN_NO_STACK UINT32_MAX

struct sn_profile {
	/* What the window was. */
	uint64_t time_ns;		/* CLOCK_REALTIME at its start */
	uint64_t duration_ns;
	uint64_t period_ns;
	const char *engine;
	uint32_t hz_asked;
	double hz_effective;		/* samples that carried a stack, per CPU second */
	uint64_t cpu_ns;		/* the kernel's figure for the process */
	uint64_t filtered_ns;		/* the part of it that the program's filter kept out of the rows */
	const struct sn_module *main_module;

	struct sn_frame *frames;
	struct sn_stack *stacks;
	uint32_t *frame_ids;
	struct sn_row *rows;
	struct sn_group *groups;
	char **labels;
	char **comments;
	uint32_t frame_count, stack_count, frame_id_count, row_count, group_count, label_count, comment_count;
	uint32_t frame_cap, stack_cap, frame_id_cap, row_cap, group_cap, label_cap, comment_cap;
	uint32_t *frame_hash, *stack_hash, *row_hash;
	uint32_t frame_hash_size, stack_hash_size, row_hash_size;

	size_t held_bytes, budget_bytes;
	uint64_t stacks_dropped;	/* calls of sn_profile_add that counted under [stack dropped] */
};

/* budget_bytes: 0 means no bound. */
void sn_profile_init(struct sn_profile *p, uint64_t period_ns, size_t budget_bytes);
void sn_profile_free(struct sn_profile *p);

/* A copy of its own, but for the modules that frames point to.  0, or -ENOMEM with nothing to free. */
int sn_profile_copy(struct sn_profile *to, const struct sn_profile *from);

/*
 * Interning; each gives an index, or UINT32_MAX when at the bound or out of memory.  Pseudo frames
 * and the stacks of one pseudo frame are there from the start, so they are never refused.  frames
 * must not point into the profile.
 */
uint32_t sn_profile_frame(struct sn_profile *p, uint64_t addr, struct sn_module *module, enum sn_pseudo pseudo);
uint32_t sn_profile_stack(struct sn_profile *p, const uint32_t *frames, uint32_t count);
uint32_t sn_profile_group(struct sn_profile *p, uint64_t start_fn, bool is_main);
/* At most 64 different texts; beyond that the index of "[other]" and *overflow = true (else untouched). */
uint32_t sn_profile_label(struct sn_profile *p, const char *text, bool *overflow);

/*
 * Add count periods.  No count is lost: for a stack that is UINT32_MAX, or a row that has no room, they
 * go to [stack dropped] of the group, without labels.  0 or -ENOMEM.
 */
int sn_profile_add(struct sn_profile *p, uint32_t stack, uint32_t label, int32_t tid, uint32_t group, uint64_t count);

/* One more comment line of the profile.  0 or -ENOMEM. */
int sn_profile_comment(struct sn_profile *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Let the CPU clock have the last word (DESIGN §5): what a group's threads used beyond what was
 * credited becomes [not sampled] (or [signal blocked], [kernel]) under its start function, what was credited
 * beyond what they used scales its rows down.  process_residual_ns is what no thread accounts for.
 * Rows of [filtered] stand for samples that the program did not want: they have their share of all that, then
 * they are taken out, and filtered_ns says how much that was.
 * Call once, when the window closes.  0, -EINVAL (no period) or -ENOMEM.
 */
int sn_profile_settle(struct sn_profile *p, int64_t process_residual_ns);

/* Sum of all rows, in periods. */
uint64_t sn_profile_total(const struct sn_profile *p);

#endif

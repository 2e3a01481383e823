/* SPDX-License-Identifier: Apache-2.0
 *
 * engines.h - all ways to walk a stack that the stepper compares, and what is mapped.
 *
 * Runs in:  the stepper's module, under its lock.
 */
#ifndef SN_STEP_ENGINES_H
#define SN_STEP_ENGINES_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "collect/module.h"
#include "collect/table.h"
#include "hot/walk.h"
#include "segment/layout.h"
#include "step/step.h"

enum engine {
	ENGINE_TABLES,		/* first: the one that is on trial */
	ENGINE_LIBUNWIND,
	ENGINE_LIBGCC,
	ENGINE_FP,
	ENGINE_COPIED,
	ENGINES,
};

extern const char *const sn_step_engine_name[ENGINES];

struct stack {
	bool ran, crashed;
	bool cooked;			/* callers are return addresses less one */
	bool guessed;
	enum sn_walk_end end;		/* COMPLETE where the engine does not say */
	uint32_t count;
	uint64_t frame[SN_FRAMES_MAX];
};

/* The stack that a thread began on. */
struct bounds {
	uint64_t lo, hi;
};

/* 0 or negative errno. */
int sn_engines_begin(const struct sn_step_base *base);
/* The mapping that sp is in. */
struct bounds sn_engines_bounds(uint64_t sp);
/* Look at the mappings anew, and compile tables for what is new among them. */
int sn_engines_refresh(void);
/* Is a table or a part of it about what is mapped there? */
bool sn_engines_covers(uint64_t start, uint64_t bytes);
void sn_engines_run(enum engine e, const ucontext_t *uc, struct bounds b, struct stack *out);
/* How the tables find the CFA at this PC; SN_CFA_NONE too where there is no table. */
enum sn_cfa sn_engines_cfa(uint64_t pc);
/* Change the rule that is in force there, as a builder's mistake would.  false: no rule that can be spoilt. */
bool sn_engines_spoil(uint64_t pc);
struct sn_module *sn_engines_module(uint64_t pc);
/* Code of the stepper itself? */
bool sn_engines_is_ours(uint64_t pc);

/* The engine that runs and the PC at which it does, for the handler of its crash.  -1: none. */
extern volatile int sn_engines_running;
bool sn_engines_crashed(void);

#endif

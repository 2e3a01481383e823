/* SPDX-License-Identifier: Apache-2.0
 *
 * shadow.h - the judge: a shadow stack, kept by watching each instruction of a thread.
 *
 * Runs in:  the stepper's module, under its lock.  No CFI and no frame pointer is believed: calls and returns are seen.
 * Memory:   each thread has its strands, one for each stack that setcontext went to; fixed sizes, and running out of
 *           them makes the judge unsure, never wrong.
 */
#ifndef SN_STEP_SHADOW_H
#define SN_STEP_SHADOW_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "segment/layout.h"
#include "step/step.h"

enum instruction {
	INSN_OTHER,
	INSN_CALL,
	INSN_RET,
	INSN_JUMP,		/* indirect */
	INSN_SET_SP,		/* rsp from a register or from memory */
	INSN_SYSCALL,
};

enum instruction sn_decode(uint64_t pc);

struct entry {
	uint64_t slot;		/* where the return address is; of a signal: the interrupted rsp */
	uint64_t pc;		/* the return address, or the interrupted PC */
	bool signal;
	bool exact;		/* to be given as it is */
	bool elsewhere;		/* a signal that went to the alternate stack [lo, hi) */
	uint64_t lo, hi;
};

#define SHADOW_DEPTH	4096u
#define SHADOW_STRANDS	8u

struct strand {
	uint32_t count;
	bool complete;		/* all of this stack is known, down to its outermost frame */
	struct entry entry[SHADOW_DEPTH];
};

struct shadow {
	struct strand *strand[SHADOW_STRANDS];
	uint32_t strands, current;
	bool unsure;		/* in the middle of a jump between frames */
	bool lost;		/* ran out of room: never sure again */
	/* The instruction that runs next. */
	enum instruction kind;
	uint64_t pc, sp, syscall;
	uint64_t mismatches;	/* returns that met no call */
};

/* What the judge knows. */
struct truth {
	uint32_t count;
	bool complete;		/* there is no frame beyond these */
	uint64_t raw[SN_FRAMES_MAX];	/* as unwinders have them: return addresses */
	uint64_t cooked[SN_FRAMES_MAX];	/* as profiles have them: less one where it is a call */
};

/* complete: at the first step there is no frame but one. */
int sn_shadow_new(struct shadow *s, bool complete);
/* An instruction was executed and left things as uc has them. */
void sn_shadow_follow(struct shadow *s, const struct sn_step_base *base, const ucontext_t *uc, uint64_t start);
/* Note what runs next. */
void sn_shadow_next(struct shadow *s, const ucontext_t *uc);
void sn_shadow_truth(const struct shadow *s, const ucontext_t *uc, struct truth *out);

#endif

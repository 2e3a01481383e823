/* SPDX-License-Identifier: Apache-2.0
 *
 * report.h - what the stepper found, and whether differences.txt knows of it.
 *
 * Runs in:  the stepper's module, under its lock.
 */
#ifndef SN_STEP_REPORT_H
#define SN_STEP_REPORT_H

#include <stdint.h>

#include "step/engines.h"
#include "step/shadow.h"

enum verdict {
	VERDICT_RIGHT,
	VERDICT_SHORT,		/* right as far as it goes, and it does not say that this is all */
	VERDICT_GUESS,		/* wrong, and it says that it guessed */
	VERDICT_MISLED,		/* wrong, as are libunwind and libgcc in the same way: the CFI is */
	VERDICT_WRONG,
	VERDICT_CRASH,
	VERDICT_DIFFERS,	/* where the judge is not sure: from both libunwind and libgcc */
	VERDICTS,
};

/* What runs of one program add up to. */
struct totals {
	uint64_t steps, compared;
	uint64_t judged;		/* the judge knew the whole stack */
	uint64_t all_right;
	uint64_t frames, frames_max;
	uint64_t count[ENGINES][VERDICTS];
};

extern struct totals sn_step_totals;

int sn_report_begin(void);
/* One stack that is not right; same: its leading frames that are. */
void sn_report_event(enum engine e, enum verdict v, const struct stack *s, uint32_t same, const struct truth *truth);
/* Write the report to STEP_OUT. */
void sn_report_write(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind_fp.c - follow frame pointers, for programs built with them.
 *
 * Runs in:  the handler.  Each load lies within the bounds of the thread's stack, and each
 *           frame lies above the one before: the walk cannot loop or fault.
 */
#include <stddef.h>

#include "hot/hot.h"

struct fp_record {
	uint64_t next;
	uint64_t ra;
};

#if defined(__aarch64__)
/* Return addresses may be signed (PAC): keep the 48 bits of a user address. */
#define STRIP(ra) ((ra) & 0x0000ffffffffffffull)
#else
#define STRIP(ra) (ra)
#endif

uint32_t
sn_unwind_fp(const struct sn_slot *slot, const ucontext_t *uc, uint64_t *frames, uint32_t max, uint32_t *flags)
{
	struct sn_regs regs;
	uint64_t low, fp;
	uint32_t n = 0;

	sn_regs_from_ucontext(&regs, uc);
	low = regs.r[SN_REG_SP];
	fp = regs.r[SN_REG_FP];
	if (frames != NULL)
		frames[0] = regs.r[SN_REG_PC];
	n = 1;
	if (low < slot->stack_lo || low >= slot->stack_hi) {
		*flags |= SN_REC_NO_STACK;
		return n;
	}
	while (fp >= low && (fp & 7) == 0 && fp <= slot->stack_hi - sizeof(struct fp_record)) {
		const struct fp_record *rec = (const struct fp_record *)(uintptr_t)fp;
		uint64_t ra = STRIP(rec->ra);

		if (ra < SN_PAGE)
			break;
		if (n == max) {
			*flags |= SN_REC_TRUNCATED;
			break;
		}
		if (frames != NULL)
			frames[n] = ra;
		n++;
		low = fp + sizeof(*rec);
		fp = rec->next;
	}
	return n;
}

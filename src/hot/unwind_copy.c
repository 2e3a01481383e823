/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind_copy.c - how much of the interrupted stack can be copied, and the registers with it.
 *
 * Runs in:  the handler.  The collector unwinds the copy (collect/unwind_remote.c).
 * Order of trust (reference unwinding.md §5): the alternate signal stack; the bounds of
 * the thread's own; else (coroutines, threads that bypassed us) each page is probed.
 */
#include <stddef.h>

#include "hot/hot.h"
#include "hot/stack.h"

void
sn_regs_from_ucontext(struct sn_regs *regs, const ucontext_t *uc)
{
#if defined(__x86_64__)
	static const unsigned char greg[SN_NREGS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10,
		REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};

	for (unsigned i = 0; i < SN_NREGS; i++)
		regs->r[i] = (uint64_t)uc->uc_mcontext.gregs[greg[i]];
#elif defined(__aarch64__)
	for (unsigned i = 0; i < 31; i++)
		regs->r[i] = uc->uc_mcontext.regs[i];
	regs->r[SN_REG_SP] = uc->uc_mcontext.sp;
	regs->r[SN_REG_PC] = uc->uc_mcontext.pc;
#endif
}

/* From sp up to the first page that cannot be read; at most to `end`. */
static uint64_t
probed_limit(uint64_t sp, uint64_t end)
{
	uint64_t page = sp & ~(uint64_t)(SN_PAGE - 1);

	if (end - sp > SN_COPY_MAX)
		end = sp + SN_COPY_MAX;
	if (end < sp)
		return sp;
	while (page < end && sn_page_is_readable(page))
		page += SN_PAGE;
	return page > end ? end : page;
}

uint32_t
sn_stack_extent(const struct sn_slot *slot, uint64_t sp, const ucontext_t *uc, uint32_t *flags)
{
	uint64_t alt = (uint64_t)(uintptr_t)uc->uc_stack.ss_sp;
	uint64_t limit;

	/* First the alternate stack: it may have been carved out of the thread's own. */
	if (uc->uc_stack.ss_size > 0 && sp >= alt && sp - alt < uc->uc_stack.ss_size)
		limit = probed_limit(sp, alt + uc->uc_stack.ss_size);
	else if (sp >= slot->stack_lo && sp < slot->stack_hi)
		limit = slot->stack_hi;
	else
		limit = probed_limit(sp, UINT64_MAX);

	if (limit <= sp) {
		*flags |= SN_REC_NO_STACK;
		return 0;
	}
	if (limit - sp >= SN_COPY_MAX) {
		*flags |= SN_REC_TRUNCATED;
		return SN_COPY_MAX;
	}
	return (uint32_t)(limit - sp) & ~7u;
}

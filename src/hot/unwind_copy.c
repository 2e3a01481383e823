/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind_copy.c - how much of the interrupted stack can be copied, and the registers with it.
 *
 * Runs in:  the handler.  The collector unwinds the copy (collect/unwind_remote.c).
 * Bounds:   of the alternate signal stack; of the thread's own; else (coroutines, threads that bypassed us) none.  Each
 *           page is probed (0.1 us), but under a seccomp filter, where only the first two are believed.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/syscall.h"
#include "hot/hot.h"
#include "hot/stack.h"

uint32_t sn_stack_vm_reads;

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

/* As far as the limit, and a copy, goes and pages can be read. */
static uint64_t
readable_limit(uint64_t sp, uint64_t limit)
{
	uint64_t page = sp & ~(uint64_t)(SN_PAGE - 1);
	uint64_t end = limit - sp > SN_COPY_MAX ? sp + SN_COPY_MAX : limit;

	while (page < end && sn_page_is_readable(page))
		page += SN_PAGE;
	return page >= end ? limit : page;
}

uint32_t
sn_stack_extent(const struct sn_slot *slot, uint64_t sp, const ucontext_t *uc, uint32_t *flags)
{
	uint64_t alt = (uint64_t)(uintptr_t)uc->uc_stack.ss_sp;
	uint64_t limit;
	bool is_sealed = SN_LOAD_RELAXED(&sn_seal) != 0;

	/* First the alternate stack: it may have been carved out of the thread's own. */
	if (uc->uc_stack.ss_size > 0 && sp >= alt && sp - alt < uc->uc_stack.ss_size)
		limit = alt + uc->uc_stack.ss_size;
	else if (sp >= slot->stack_lo && sp < slot->stack_hi)
		limit = slot->stack_hi;
	else
		limit = is_sealed ? sp : sp + SN_COPY_MAX;
	/* The bounds are what the program once said: stacks with gaps may have been put there since. */
	if (limit > sp && !is_sealed)
		limit = readable_limit(sp, limit);

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

/* Each page is probed right before it is copied: where process_vm_readv is not to be had, that is as near as we get. */
static uint32_t
copy_pages(uint8_t *to, uint64_t sp, uint32_t bytes)
{
	uint32_t done = 0;

	while (done < bytes) {
		uint32_t part = SN_PAGE - (uint32_t)((sp + done) & (SN_PAGE - 1));

		if (part > bytes - done)
			part = bytes - done;
		if (SN_LOAD_RELAXED(&sn_seal) == 0 && !sn_page_is_readable((sp + done) & ~(uint64_t)(SN_PAGE - 1)))
			break;
		__builtin_memcpy(to + done, (const void *)(uintptr_t)(sp + done), part);
		done += part;
	}
	return done;
}

void
sn_stack_copy(void *to, uint64_t sp, uint32_t bytes, const struct sn_slot *slot)
{
	struct iovec local = { .iov_base = to, .iov_len = bytes };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)sp, .iov_len = bytes };
	uint32_t done = 0;
	long got = -ENOSYS;

	if (sp >= slot->stack_lo && sp < slot->stack_hi) {
		__builtin_memcpy(to, (const void *)(uintptr_t)sp, bytes);
		return;
	}
	if (SN_LOAD_RELAXED(&sn_stack_vm_reads) != 0 && SN_LOAD_RELAXED(&sn_seal) == 0)
		got = sn_syscall6(SYS_process_vm_readv, sn_syscall0(SYS_getpid), (long)&local, 1, (long)&remote, 1, 0);
	if (got >= 0)
		done = (uint32_t)got;
	else if (got != -EFAULT)
		done = copy_pages(to, sp, bytes);
	if (done < bytes)
		__builtin_memset((uint8_t *)to + done, 0, bytes - done);
}

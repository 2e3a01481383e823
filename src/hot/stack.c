/* SPDX-License-Identifier: Apache-2.0
 *
 * stack.c - what of a stack can be read (see stack.h).
 *
 * Runs in:  the handler and hooks.
 */
#include <errno.h>
#include <sys/uio.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "hot/hot.h"
#include "hot/live.h"
#include "hot/stack.h"

#define PAGE_OF(addr) ((addr) & ~(uint64_t)(SN_PAGE - 1))

/*
 * sigprocmask with a `how` that does not exist answers EFAULT when its set cannot be read and EINVAL when it can, and
 * changes nothing.
 */
bool
sn_page_is_readable(uint64_t page)
{
	/* Under a seccomp filter there is no asking. */
	return SN_LOAD_RELAXED(&sn_seal) == 0 && sn_syscall4(SYS_rt_sigprocmask, -1, page, 0, 8) == -EINVAL;
}

static bool
probe(struct sn_reader *r, uint64_t page)
{
	if (r->probes == 0)
		return false;
	r->probes--;
	return sn_page_is_readable(page);
}

bool
sn_reader_reach(struct sn_reader *r, uint64_t addr, uint64_t bytes)
{
	uint64_t end = addr + bytes;

	if (end < addr || bytes > SN_PAGE)
		return false;
	if (addr >= r->own_from && end <= r->own_hi) {
		r->lo = r->own_from;
		r->hi = r->own_hi;
		return true;
	}
	/* Not in the run of pages at hand, nor right behind it: begin there. */
	if (addr < r->lo || addr > r->hi || r->lo == r->own_from) {
		if (!probe(r, PAGE_OF(addr)))
			return false;
		r->lo = PAGE_OF(addr);
		r->hi = r->lo + SN_PAGE;
	}
	while (r->hi < end) {
		if (!probe(r, r->hi))
			return false;
		r->hi += SN_PAGE;
	}
	return true;
}

bool
sn_read_pair(struct sn_reader *r, uint64_t addr, uint64_t out[2])
{
	struct iovec local = { out, 16 }, remote = { (void *)(uintptr_t)addr, 16 };

	if (SN_LOAD_RELAXED(&sn_stack_vm_reads) == 0 || SN_LOAD_RELAXED(&sn_seal) != 0)
		return sn_read(r, addr, &out[0]) && sn_read(r, addr + 8, &out[1]);
	if ((addr & 7) != 0 || r->probes == 0)
		return false;
	r->probes--;
	return sn_syscall6(SYS_process_vm_readv, sn_syscall0(SYS_getpid), (long)&local, 1, (long)&remote, 1, 0) == 16;
}

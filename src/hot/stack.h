/* SPDX-License-Identifier: Apache-2.0
 *
 * stack.h - read words of a stack without ever faulting.
 *
 * Runs in:  the handler and hooks.
 * Order of trust (reference unwinding.md §5): from its stack pointer up to the known end of its stack, memory is the
 *           thread's.  Everything else - alternate stacks, coroutines, threads that bypassed us, pointers into
 *           nowhere - is probed a page at a time, and only so many.
 */
#ifndef SN_HOT_STACK_H
#define SN_HOT_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/layout.h"

#define SN_RED_ZONE	128u	/* below SP a leaf may keep things, and the kernel leaves it alone */
#define SN_PROBES_MAX	256u	/* pages in one walk: 94 ns each */

struct sn_reader {
	uint64_t lo, hi;		/* can be read */
	uint64_t own_lo, own_hi;	/* the thread's own stack */
	uint64_t own_from;		/* … from here on it can be read; own_hi: SP was not there */
	uint32_t probes;		/* so many are left */
};

/* Can the page at this address be read?  One system call, which changes nothing. */
bool sn_page_is_readable(uint64_t page);

/* [addr, addr + bytes) can be read, bytes at most a page? */
bool sn_reader_reach(struct sn_reader *r, uint64_t addr, uint64_t bytes);

/* Is this address in the part of the thread's own stack that the walk may use? */
static inline bool
sn_reader_is_own(const struct sn_reader *r, uint64_t addr)
{
	return addr >= r->own_lo && addr < r->own_hi;
}

/*
 * Two words at an address that nobody vouches for: what may be mapped now may be gone before it is read, and a stack
 * may have gaps.
 */
bool sn_read_pair(struct sn_reader *r, uint64_t addr, uint64_t out[2]);

static inline void
sn_reader_begin(struct sn_reader *r, uint64_t own_lo, uint64_t own_hi)
{
	r->own_lo = own_lo;
	r->own_hi = r->own_from = own_hi & ~7ull;
	r->lo = r->hi = 0;
	r->probes = SN_PROBES_MAX;
}

/* The stack goes on from this SP. */
static inline void
sn_reader_enter(struct sn_reader *r, uint64_t sp)
{
	uint64_t from = (sp > r->own_lo + SN_RED_ZONE ? sp - SN_RED_ZONE : r->own_lo) & ~7ull;

	r->lo = r->hi = 0;
	if (!sn_reader_is_own(r, sp))
		return;
	if (from < r->own_from)
		r->own_from = from;
	r->lo = r->own_from;
	r->hi = r->own_hi;
}

/*
 * A frame was found by what may be anything: from here on the thread's own stack is not taken for granted either, for
 * it may have gaps.  All that is known is the page of this address, which was read.
 */
static inline void
sn_reader_doubt(struct sn_reader *r, uint64_t addr)
{
	r->own_from = r->own_hi;
	r->lo = addr & ~(uint64_t)(SN_PAGE - 1);
	r->hi = r->lo + SN_PAGE;
}

/* Wherever a probe says that it can be read, also where AddressSanitizer keeps its own. */
#if defined(__SANITIZE_ADDRESS__)
#define SN_READS_ANYWHERE __attribute__((no_sanitize_address))
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SN_READS_ANYWHERE __attribute__((no_sanitize("address")))
#endif
#endif
#ifndef SN_READS_ANYWHERE
#define SN_READS_ANYWHERE
#endif

static inline SN_READS_ANYWHERE bool
sn_read(struct sn_reader *r, uint64_t addr, uint64_t *out)
{
	if ((addr & 7) != 0)
		return false;
	if (__builtin_expect(addr < r->lo || addr >= r->hi, 0) && !sn_reader_reach(r, addr, sizeof(*out)))
		return false;
	*out = *(const uint64_t *)(uintptr_t)addr;
	return true;
}

#endif

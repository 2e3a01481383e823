/* SPDX-License-Identifier: Apache-2.0
 *
 * table.h - compact unwind tables: what the collector compiles from .eh_frame and the handler walks by.
 *
 * Runs in:  written by the collector, read in the program's handler (hot/walk.c) and by tests.
 * Memory:   tables lie in one memfd for all processes of a collector (the store), which programs map read-only;
 *           where which table counts is in the map of the process's segment (struct sn_text_map).
 * Trust:    the handler checks each index against the counts at hand: a spoilt table gives a wrong stack, no fault.
 *
 * A table covers one file's executable part.  Its code is cut into buckets of 1 << shift bytes:
 *
 *	index[nbuckets + 1]	number of the first row of each bucket, then nrows
 *	rows[nrows]		sorted by address; each is in force up to the next one, also over ends of buckets
 *	rules[nrules]		what rows name
 *
 * The row in force at a PC is the last one in its bucket that does not begin behind it, or else the one before
 * the bucket's first.  rows[0] begins at the first byte of bucket 0, so that there always is one.  Mostly that is
 * three cache lines a frame, and those of the rules are soon in the cache: a sample finds cold caches.
 */
#ifndef SN_SEGMENT_TABLE_H
#define SN_SEGMENT_TABLE_H

#include <stdint.h>

/* How the CFA is computed.  SP, FP and BX are those of the frame at hand; FP is rbp or x29, BX is rbx (x86-64 only). */
enum sn_cfa {
	SN_CFA_NONE,			/* no CFI here */
	SN_CFA_SP,			/* SP + cfa_off */
	SN_CFA_FP,			/* FP + cfa_off */
	SN_CFA_BX,			/* BX + cfa_off (_dl_runtime_resolve_*) */
	SN_CFA_PLT,			/* SP + 8 + ((PC & 15) >= cfa_off ? 8 : 0) */
	SN_CFA_FP_DEREF,		/* *(FP + cfa_off) + aux: realigned stacks (DRAP) */
	SN_CFA_SP_DEREF,		/* *(SP + cfa_off) + aux */
	SN_CFA_REG,			/* register number aux (of DWARF) + cfa_off */
	SN_CFA_SIGNAL,			/* a signal trampoline: all registers are in the kernel's frame at SP */
	SN_CFA_END,			/* the return address is undefined: the outermost frame */
	SN_CFA_BAD,			/* CFI that a rule cannot express */
};

/* Where a register of the caller is. */
enum sn_saved {
	SN_SAVED_SAME,			/* not changed; for the return address (aarch64): in x30 */
	SN_SAVED_CFA,			/* at CFA + its offset */
	SN_SAVED_FP,			/* at FP + its offset */
	SN_SAVED_LOST,			/* nobody knows */
	SN_SAVED_REG,			/* return address only: in the register whose number is its offset */
};

struct sn_rule {
	int32_t cfa_off;
	uint8_t cfa;			/* enum sn_cfa */
	uint8_t aux;
	uint8_t fp, bx, ra;		/* enum sn_saved */
	uint8_t ra_signed : 1;		/* aarch64: the return address carries a signature here */
	uint8_t plain : 1;		/* see sn_rule_mark */
	int16_t fp_off, bx_off, ra_off;
};
_Static_assert(sizeof(struct sn_rule) == 16, "rules are part of SN_SEGMENT_VERSION");

/* Nearly all rules are plain: the CFA by SP or FP, everything saved at the CFA.  The compiler of tables marks them. */
static inline void
sn_rule_mark(struct sn_rule *r)
{
	r->plain = (r->cfa == SN_CFA_SP || r->cfa == SN_CFA_FP) && r->ra == SN_SAVED_CFA && r->fp <= SN_SAVED_CFA &&
	    r->bx <= SN_SAVED_CFA;
}

struct sn_table_row {
	uint16_t at;			/* in its bucket */
	uint16_t rule;
};

#define SN_TABLE_SHIFT_MIN	8u
#define SN_TABLE_SHIFT_MAX	12u
#define SN_TABLE_ALIGN		64u		/* of each table in the store */
#define SN_TABLES_WINDOW	(32u << 20)	/* of the store, as far as programs map it */

enum sn_text_kind {
	SN_TEXT_UNKNOWN,		/* no table (yet): the copied way */
	SN_TEXT_TABLE,
	SN_TEXT_FP,			/* code without any CFI, as JIT compilers make it: by frame pointers */
};

/* One executable mapping: a cache line. */
struct sn_text {
	uint64_t start, limit;
	uint64_t base;			/* address of bucket 0 */
	uint32_t index, rows, rules;	/* where they are in the store, in bytes */
	uint32_t nbuckets, nrows, nrules;
	uint8_t shift;
	uint8_t kind;			/* enum sn_text_kind */
	uint8_t stays;			/* 1: it was there from the start and cannot be unloaded */
	uint8_t readable;		/* 1: its instructions may be looked at */
	uint32_t pad;
	uint64_t hdr;			/* address of .eh_frame_hdr, 0: none; by it _dl_find_object knows the module */
};
_Static_assert(sizeof(struct sn_text) == 64, "texts are part of SN_SEGMENT_VERSION");

#define SN_TEXTS_MAX	1024u		/* mappings beyond are as if unknown */
#define SN_TEXT_MAPS	4u		/* versions: one in force, others that a handler may still be reading */

/* All executable mappings of a process at one time, by start; they do not overlap. */
struct sn_text_map {
	uint32_t count;
	uint32_t generation;		/* of the modules */
	uint64_t pad[7];
	uint64_t start[SN_TEXTS_MAX];	/* a copy, for few cache lines in the search */
	struct sn_text text[SN_TEXTS_MAX];
};

#endif

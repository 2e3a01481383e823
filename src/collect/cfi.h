/* SPDX-License-Identifier: Apache-2.0
 *
 * cfi.h - call frame information: its bytes, its entries, its programs, and what a row of a table can say of it.
 *
 * Runs in:  collector.  All bytes are hostile: whoever reads goes through struct sn_span, which does not leave them.
 * Memory:   nothing is kept; a state refers to expressions by their place in the block.
 */
#ifndef SN_COLLECT_CFI_H
#define SN_COLLECT_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "collect/table.h"

/* Bytes that are left to read; bad once something lay beyond them. */
struct sn_span {
	const uint8_t *p;
	size_t left;
	uint64_t vaddr;		/* of p */
	bool bad;
};

static inline const uint8_t *
sn_take(struct sn_span *s, size_t n)
{
	static const uint8_t zero[8];
	const uint8_t *p = s->p;

	if (s->bad || n > s->left) {
		s->bad = true;
		return zero;
	}
	s->p += n;
	s->left -= n;
	s->vaddr += n;
	return p;
}

static inline void
sn_skip(struct sn_span *s, uint64_t n)
{
	if (n > s->left)
		s->bad = true;
	else
		(void)sn_take(s, (size_t)n);
}

static inline uint8_t
sn_take_u8(struct sn_span *s)
{
	return *sn_take(s, 1);
}

/* n <= 8 bytes, unsigned. */
static inline uint64_t
sn_take_uint(struct sn_span *s, size_t n)
{
	uint64_t value = 0;

	memcpy(&value, sn_take(s, n), n);
	return value;
}

static inline uint32_t
sn_take_u32(struct sn_span *s)
{
	return (uint32_t)sn_take_uint(s, 4);
}

/* Bits beyond 64 are dropped; ten bytes at most. */
uint64_t sn_take_long_uleb(struct sn_span *s);
int64_t sn_take_sleb(struct sn_span *s);

static inline uint64_t
sn_take_uleb(struct sn_span *s)
{
	if (s->left > 0 && !s->bad && *s->p < 0x80)
		return sn_take_u8(s);
	return sn_take_long_uleb(s);
}

/* Size in bytes of an encoded pointer, 0 when we do not know the encoding. */
unsigned sn_pointer_size(uint8_t enc);
/* An encoded address, relative to itself or absolute; others are not used for FDEs.  Not relative: a length. */
uint64_t sn_take_pointer(struct sn_span *s, uint8_t enc, bool relative);

/* The registers of an architecture that matter, by their numbers in DWARF. */
struct sn_cfi_arch {
	uint16_t machine;
	uint8_t sp, fp, bx, ra;		/* bx == ra: it has none that we follow */
	uint8_t registers;		/* that a CFA may be computed from */
};

/* NULL: not one of ours. */
const struct sn_cfi_arch *sn_cfi_arch(uint16_t machine);

enum sn_cfi_how {
	SN_HOW_UNSPECIFIED, SN_HOW_SAME, SN_HOW_UNDEFINED, SN_HOW_OFFSET, SN_HOW_VAL_OFFSET, SN_HOW_REGISTER,
	SN_HOW_EXPRESSION, SN_HOW_VAL_EXPRESSION,
};

struct sn_cfi_reg {
	uint8_t how;			/* enum sn_cfi_how */
	uint32_t bytes;			/* of the expression */
	int64_t value;			/* offset from the CFA, register, or the expression's place in the block */
};

#define SN_CFA_UNSET	UINT32_MAX

struct sn_cfi_state {
	struct sn_cfi_reg sp, fp, bx, ra;
	uint32_t cfa_reg;		/* SN_CFA_UNSET: no rule yet */
	uint32_t expr_bytes;		/* 0: the CFA is cfa_reg + cfa_off */
	uint64_t expr;			/* place in the block */
	int64_t cfa_off;
	bool ra_signed;
};

struct sn_cfi_cie {
	uint64_t at;			/* in its block */
	uint64_t code_align;
	int64_t data_align;
	uint8_t block;			/* for who keeps many */
	uint8_t version;
	uint8_t pointer_enc;		/* of the FDE's addresses */
	bool sized;			/* augmentation 'z' */
	bool signal;			/* augmentation 'S' */
	bool exact;			/* the augmentation's data is as long as its letters say */
	bool tagged;			/* augmentation 'G': memory tags; libunwind does not know it */
	struct sn_cfi_state initial;
};

/* One CIE or FDE. */
struct sn_cfi_entry {
	uint64_t at;			/* in the block, where its length is */
	bool is_cie;
	uint64_t cie;			/* of an FDE: where its CIE is */
	struct sn_span body;		/* behind the id */
};

/* The entry at *at, which moves behind it.  1; 0 at the end; -EBADMSG: damaged, the rest cannot be read either. */
int sn_cfi_next(const struct sn_cfi_block *b, uint64_t *at, struct sn_cfi_entry *e);

/* Where the list ends for a linear reader: at zeros, or at what is damaged. */
uint64_t sn_cfi_end(const struct sn_cfi_block *b);

/* Read a CIE up to its program, where *s is left.  0 or -EBADMSG. */
int sn_cfi_read_cie(struct sn_span *s, const struct sn_cfi_arch *arch, struct sn_cfi_cie *c);
/* Read an FDE up to its program, where *s is left. */
int sn_cfi_read_fde(struct sn_span *s, const struct sn_cfi_cie *c, uint64_t *start, uint64_t *bytes);

/* Told of each stretch of code from < to and its state.  0, or an error that ends the run. */
typedef int sn_cfi_row_fn(void *arg, uint64_t from, uint64_t to, const struct sn_cfi_state *state);

/* Run a CIE's program: sets c->initial. */
int sn_cfi_run_cie(const struct sn_cfi_block *b, struct sn_span program, struct sn_cfi_cie *c);
/* Run an FDE's program over [start, limit). */
int sn_cfi_run_fde(const struct sn_cfi_block *b, struct sn_span program, const struct sn_cfi_cie *c, uint64_t start,
	uint64_t limit, sn_cfi_row_fn *row, void *arg);

/* What the handler is told of a state: SN_CFA_BAD when no rule can say it. */
void sn_cfi_rule(const struct sn_cfi_block *b, const struct sn_cfi_cie *c, const struct sn_cfi_state *s,
	struct sn_rule *out);

/* Code that has no CFI, but whose bytes were recognised. */
#define SN_KNOWN_ROWS	4u

struct sn_known_code {
	uint64_t start, limit;
	unsigned nrows;
	struct {
		uint32_t at;		/* from start; the first is 0 */
		struct sn_rule rule;
	} row[SN_KNOWN_ROWS];
};

/* sn_table_compile of several blocks of one file (the first one counts where they contradict), and known code. */
int sn_table_build(const struct sn_cfi_block *blocks, unsigned nblocks, const struct sn_known_code *known,
	unsigned nknown, struct sn_table *out);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * cfi_run.c - the machine of call frame instructions: a program in, stretches of code and their states out (cfi.h).
 *
 * Runs in:  collector.
 * Memory:   the stack alone.  Each byte of a program is read once, and an advance only goes forward: no loop outlasts
 *           the program.  A program that does what it may not is -EBADMSG.
 *
 * Only the registers that unwinding follows are kept; what programs say of others is read over.
 */
#include <errno.h>

#include "collect/cfi.h"

#define REMEMBERED_MAX	16u	/* states; compilers nest two */

enum {
	OP_SET_LOC = 0x01, OP_ADVANCE1, OP_ADVANCE2, OP_ADVANCE4, OP_OFFSET_EXTENDED, OP_RESTORE_EXTENDED, OP_UNDEFINED,
	OP_SAME_VALUE, OP_REGISTER, OP_REMEMBER, OP_RESTORE_STATE, OP_DEF_CFA, OP_DEF_CFA_REGISTER, OP_DEF_CFA_OFFSET,
	OP_DEF_CFA_EXPRESSION, OP_EXPRESSION, OP_OFFSET_EXTENDED_SF, OP_DEF_CFA_SF, OP_DEF_CFA_OFFSET_SF, OP_VAL_OFFSET,
	OP_VAL_OFFSET_SF, OP_VAL_EXPRESSION,
	OP_MIPS_ADVANCE8 = 0x1d,
	OP_AARCH64_NEGATE_RA_WITH_PC = 0x2c, OP_AARCH64_NEGATE_RA = 0x2d, OP_GNU_ARGS_SIZE = 0x2e,
	OP_GNU_NEGATIVE_OFFSET = 0x2f,
	OP_ADVANCE = 0x40, OP_OFFSET = 0x80, OP_RESTORE = 0xc0,	/* with six bits of operand */
};

struct machine {
	const struct sn_cfi_block *block;
	const struct sn_cfi_arch *arch;
	const struct sn_cfi_cie *cie;
	struct sn_span s;
	uint64_t pc, limit;		/* limit 0: a CIE, which has no code */
	sn_cfi_row_fn *row;
	void *arg;
	struct sn_cfi_state now;
	unsigned remembered;
	struct sn_cfi_state kept[REMEMBERED_MAX];
};

static struct sn_cfi_reg *
column(const struct sn_cfi_arch *arch, struct sn_cfi_state *state, uint64_t reg)
{
	if (reg == arch->ra)
		return &state->ra;
	if (reg == arch->fp)
		return &state->fp;
	if (reg == arch->bx)
		return &state->bx;
	return reg == arch->sp ? &state->sp : NULL;
}

static void
set(struct machine *m, uint64_t reg, enum sn_cfi_how how, int64_t value, uint32_t bytes)
{
	struct sn_cfi_reg *to = column(m->arch, &m->now, reg);

	if (to != NULL)
		*to = (struct sn_cfi_reg){ .how = (uint8_t)how, .value = value, .bytes = bytes };
}

static void
restore(struct machine *m, uint64_t reg)
{
	struct sn_cfi_state initial = m->cie->initial;
	const struct sn_cfi_reg *from = column(m->arch, &initial, reg);

	if (from != NULL)
		*column(m->arch, &m->now, reg) = *from;
}

static int64_t
factored(struct machine *m, int64_t n)
{
	int64_t value;

	if (__builtin_mul_overflow(n, m->cie->data_align, &value)) {
		m->s.bad = true;
		return 0;
	}
	return value;
}

static int64_t
take_factored(struct machine *m, bool is_signed)
{
	return factored(m, is_signed ? sn_take_sleb(&m->s) : (int64_t)sn_take_uleb(&m->s));
}

/* An expression: where it is, and behind it. */
static int64_t
take_expression(struct machine *m, uint32_t *bytes)
{
	uint64_t len = sn_take_uleb(&m->s);
	int64_t at = m->s.p - m->block->data;

	sn_skip(&m->s, len);
	if (len == 0)
		m->s.bad = true;
	*bytes = (uint32_t)len;
	return at;
}

/* The stretch up to `to` has the state at hand.  1: the program is over. */
static int
go_to(struct machine *m, uint64_t to)
{
	int err = 0;

	if (m->limit == 0)
		return -EBADMSG;
	if (to > m->limit)
		to = m->limit;
	if (to > m->pc)
		err = m->row(m->arg, m->pc, to, &m->now);
	m->pc = to;
	return err < 0 ? err : to == m->limit;
}

static int
advance(struct machine *m, uint64_t n)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(n, m->cie->code_align, &bytes) || bytes > m->limit - m->pc)
		bytes = m->limit - m->pc;
	return m->s.bad ? -EBADMSG : go_to(m, m->pc + bytes);
}

static int
set_loc(struct machine *m)
{
	uint64_t to = sn_take_pointer(&m->s, m->cie->pointer_enc, true);

	return m->s.bad || to < m->pc ? -EBADMSG : go_to(m, to);
}

static int
remember(struct machine *m)
{
	if (m->remembered == REMEMBERED_MAX)
		return -EBADMSG;
	m->kept[m->remembered++] = m->now;
	return 0;
}

/* As gcc means it: the CFA as well. */
static int
restore_state(struct machine *m)
{
	if (m->remembered == 0)
		return -EBADMSG;
	m->now = m->kept[--m->remembered];
	return 0;
}

static void
def_cfa(struct machine *m, uint8_t op)
{
	uint64_t reg;

	if (op == OP_DEF_CFA_EXPRESSION) {
		m->now.expr = (uint64_t)take_expression(m, &m->now.expr_bytes);
		return;
	}
	if (op == OP_DEF_CFA || op == OP_DEF_CFA_REGISTER || op == OP_DEF_CFA_SF) {
		reg = sn_take_uleb(&m->s);
		m->now.cfa_reg = reg < SN_CFA_UNSET ? (uint32_t)reg : SN_CFA_UNSET;
		m->now.expr_bytes = 0;
	}
	if (op == OP_DEF_CFA || op == OP_DEF_CFA_OFFSET)
		m->now.cfa_off = (int64_t)sn_take_uleb(&m->s);
	else if (op == OP_DEF_CFA_SF || op == OP_DEF_CFA_OFFSET_SF)
		m->now.cfa_off = take_factored(m, true);
}

/* Instructions that give a register a rule. */
static int
set_register(struct machine *m, uint8_t op)
{
	uint64_t reg = sn_take_uleb(&m->s);
	uint32_t bytes = 0;
	int64_t value;

	switch (op) {
	case OP_OFFSET_EXTENDED: case OP_OFFSET_EXTENDED_SF:
		set(m, reg, SN_HOW_OFFSET, take_factored(m, op == OP_OFFSET_EXTENDED_SF), 0);
		break;
	case OP_GNU_NEGATIVE_OFFSET:
		value = (int64_t)(0 - sn_take_uleb(&m->s));
		set(m, reg, SN_HOW_OFFSET, factored(m, value), 0);
		break;
	case OP_VAL_OFFSET: case OP_VAL_OFFSET_SF:
		set(m, reg, SN_HOW_VAL_OFFSET, take_factored(m, op == OP_VAL_OFFSET_SF), 0);
		break;
	case OP_RESTORE_EXTENDED:
		restore(m, reg);
		break;
	case OP_UNDEFINED:
		set(m, reg, SN_HOW_UNDEFINED, 0, 0);
		break;
	case OP_SAME_VALUE:
		set(m, reg, SN_HOW_SAME, 0, 0);
		break;
	case OP_REGISTER:
		set(m, reg, SN_HOW_REGISTER, (int64_t)sn_take_uleb(&m->s), 0);
		break;
	case OP_EXPRESSION: case OP_VAL_EXPRESSION:
		value = take_expression(m, &bytes);
		set(m, reg, op == OP_EXPRESSION ? SN_HOW_EXPRESSION : SN_HOW_VAL_EXPRESSION, value, bytes);
		break;
	default:
		return -EBADMSG;
	}
	return 0;
}

/* One instruction without an operand in its opcode.  1: the program is over. */
static int
extended(struct machine *m, uint8_t op)
{
	switch (op) {
	case 0:
		return 0;
	case OP_SET_LOC:
		return set_loc(m);
	case OP_ADVANCE1: case OP_ADVANCE2: case OP_ADVANCE4:
		return advance(m, sn_take_uint(&m->s, (size_t)1 << (op - OP_ADVANCE1)));
	case OP_MIPS_ADVANCE8:
		return advance(m, sn_take_uint(&m->s, 8));
	case OP_REMEMBER:
		return remember(m);
	case OP_RESTORE_STATE:
		return restore_state(m);
	case OP_DEF_CFA: case OP_DEF_CFA_REGISTER: case OP_DEF_CFA_OFFSET: case OP_DEF_CFA_EXPRESSION:
	case OP_DEF_CFA_SF: case OP_DEF_CFA_OFFSET_SF:
		def_cfa(m, op);
		return 0;
	case OP_GNU_ARGS_SIZE:
		(void)sn_take_uleb(&m->s);
		return 0;
	case OP_AARCH64_NEGATE_RA: case OP_AARCH64_NEGATE_RA_WITH_PC:
		if (m->arch->bx != m->arch->ra)
			return -EBADMSG;	/* elsewhere the opcode means something else */
		m->now.ra_signed = !m->now.ra_signed;
		return 0;
	default:
		return set_register(m, op);
	}
}

static int
run(struct machine *m)
{
	int err = 0;

	while (m->s.left > 0 && err == 0) {
		uint8_t op = sn_take_u8(&m->s);

		switch (op & 0xc0) {
		case OP_ADVANCE:
			err = advance(m, op & 0x3f);
			break;
		case OP_OFFSET:
			set(m, op & 0x3f, SN_HOW_OFFSET, take_factored(m, false), 0);
			break;
		case OP_RESTORE:
			restore(m, op & 0x3f);
			break;
		default:
			err = extended(m, op);
			break;
		}
		if (m->s.bad)
			return -EBADMSG;
	}
	return err;
}

int
sn_cfi_run_cie(const struct sn_cfi_block *b, struct sn_span program, struct sn_cfi_cie *c)
{
	struct machine m;
	int err;

	m.block = b;
	m.arch = sn_cfi_arch(b->machine);
	m.cie = c;
	m.s = program;
	m.pc = m.limit = 0;
	m.row = NULL;
	m.remembered = 0;
	c->initial = (struct sn_cfi_state){ .cfa_reg = SN_CFA_UNSET };
	m.now = c->initial;
	err = run(&m);
	c->initial = m.now;
	return err;
}

int
sn_cfi_run_fde(const struct sn_cfi_block *b, struct sn_span program, const struct sn_cfi_cie *c, uint64_t start,
	uint64_t limit, sn_cfi_row_fn *row, void *arg)
{
	struct machine m;
	int err;

	m.block = b;
	m.arch = sn_cfi_arch(b->machine);
	m.cie = c;
	m.s = program;
	m.pc = start;
	m.limit = limit;
	m.row = row;
	m.arg = arg;
	m.remembered = 0;
	m.now = c->initial;
	err = run(&m);
	if (err == 0)
		err = go_to(&m, limit);
	return err < 0 ? err : 0;
}

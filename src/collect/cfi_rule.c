/* SPDX-License-Identifier: Apache-2.0
 *
 * cfi_rule.c - from the state of a CFI program to the rule that the handler walks by (see cfi.h).
 *
 * Runs in:  collector.
 * Memory:   none.  What a rule cannot say is SN_CFA_BAD, or SN_SAVED_LOST for a register that a frame may do without.
 */
#include <elf.h>

#include "collect/cfi.h"

#define OP_DEREF	0x06u
#define OP_PLUS_UCONST	0x23u
#define OP_BREG0	0x70u
#define OP_LIT0		0x30u
#define OP_LIT31	0x4fu

#define SIGFRAME_RSP	160	/* of the saved rsp in x86-64's ucontext_t, which is at SP in a trampoline */

/* "breg", its operand, and what may follow it. */
struct simple {
	unsigned reg;
	int64_t off;
	bool deref;
	uint64_t plus;
};

static bool
read_simple(const struct sn_cfi_block *b, uint64_t at, uint32_t bytes, struct simple *e)
{
	struct sn_span s = { .p = b->data + at, .left = bytes };
	uint8_t op = sn_take_u8(&s);

	if (op < OP_BREG0 || op > OP_BREG0 + 31)
		return false;
	*e = (struct simple){ .reg = op - OP_BREG0, .off = sn_take_sleb(&s) };
	if (s.left > 0 && *s.p == OP_DEREF) {
		(void)sn_take_u8(&s);
		e->deref = true;
		if (s.left > 0 && sn_take_u8(&s) != OP_PLUS_UCONST)
			return false;
		if (s.left > 0)
			e->plus = sn_take_uleb(&s);
	}
	return s.left == 0 && !s.bad;
}

/* What ld writes for lazy PLT entries: rsp + 8, and 8 more once (rip & 15) >= N. */
static bool
is_plt(const uint8_t *p, uint32_t bytes)
{
	static const uint8_t head[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a }, tail[] = { 0x2a, 0x33, 0x24, 0x22 };

	return bytes == sizeof(head) + 1 + sizeof(tail) && memcmp(p, head, sizeof(head)) == 0 &&
		memcmp(p + sizeof(head) + 1, tail, sizeof(tail)) == 0 && p[6] >= OP_LIT0 && p[6] <= OP_LIT31;
}

static bool
fits32(int64_t v)
{
	return v == (int32_t)v;
}

static bool
fits16(int64_t v)
{
	return v == (int16_t)v;
}

static void
cfa_by_register(const struct sn_cfi_arch *arch, uint64_t reg, int64_t off, struct sn_rule *out)
{
	if (!fits32(off) || (reg >= arch->registers && reg != arch->sp))
		return;
	out->cfa_off = (int32_t)off;
	if (reg == arch->sp) {
		out->cfa = SN_CFA_SP;
	} else if (reg == arch->fp) {
		out->cfa = SN_CFA_FP;
	} else if (reg == arch->bx && arch->bx != arch->ra) {
		out->cfa = SN_CFA_BX;
	} else {
		out->cfa = SN_CFA_REG;
		out->aux = (uint8_t)reg;
	}
}

static void
cfa_by_expression(const struct sn_cfi_block *b, const struct sn_cfi_arch *arch, const struct sn_cfi_state *s,
	struct sn_rule *out)
{
	const uint8_t *p = b->data + s->expr;
	struct simple e;

	if (arch->machine == EM_X86_64 && is_plt(p, s->expr_bytes)) {
		out->cfa = SN_CFA_PLT;
		out->cfa_off = p[6] - (int32_t)OP_LIT0;
		return;
	}
	if (!read_simple(b, s->expr, s->expr_bytes, &e))
		return;
	if (!e.deref) {
		cfa_by_register(arch, e.reg, e.off, out);
	} else if ((e.reg == arch->fp || e.reg == arch->sp) && fits32(e.off) && e.plus < 256) {
		out->cfa = e.reg == arch->fp ? SN_CFA_FP_DEREF : SN_CFA_SP_DEREF;
		out->cfa_off = (int32_t)e.off;
		out->aux = (uint8_t)e.plus;
	}
}

static uint8_t
saved(const struct sn_cfi_block *b, const struct sn_cfi_arch *arch, const struct sn_cfi_reg *r, int16_t *off)
{
	struct simple e;

	switch (r->how) {
	case SN_HOW_UNSPECIFIED: case SN_HOW_SAME:
		return SN_SAVED_SAME;
	case SN_HOW_OFFSET:
		if (!fits16(r->value))
			return SN_SAVED_LOST;
		*off = (int16_t)r->value;
		return SN_SAVED_CFA;
	case SN_HOW_EXPRESSION:
		if (!read_simple(b, (uint64_t)r->value, r->bytes, &e) || e.deref || e.reg != arch->fp || !fits16(e.off))
			return SN_SAVED_LOST;
		*off = (int16_t)e.off;
		return SN_SAVED_FP;
	default:
		return SN_SAVED_LOST;
	}
}

/* The return address: without it there is no frame, so false makes the rule bad. */
static bool
return_address(const struct sn_cfi_block *b, const struct sn_cfi_arch *arch, const struct sn_cfi_reg *r,
	struct sn_rule *out)
{
	if (r->how == SN_HOW_REGISTER) {
		if (r->value < 0 || r->value >= arch->registers)
			return false;
		out->ra = SN_SAVED_REG;
		out->ra_off = (int16_t)r->value;
		return true;
	}
	out->ra = saved(b, arch, r, &out->ra_off);
	return out->ra == SN_SAVED_CFA || (out->ra == SN_SAVED_SAME && arch->machine == EM_AARCH64);
}

/*
 * The augmentation 'S' says that the frame above was interrupted.  Some hand-written code says so that is no
 * trampoline; on x86-64 the kernel's frame is known by what the CFA is computed from.
 */
static bool
is_trampoline(const struct sn_cfi_block *b, const struct sn_cfi_arch *arch, const struct sn_cfi_state *s)
{
	struct simple e;

	if (arch->machine == EM_AARCH64)
		return true;
	return s->expr_bytes > 0 && read_simple(b, s->expr, s->expr_bytes, &e) && e.deref && e.reg == arch->sp &&
		e.off == SIGFRAME_RSP && e.plus == 0;
}

/* A caller's SP that is not the CFA: hand-written code that switches stacks. */
static bool
moves_sp(const struct sn_cfi_reg *sp)
{
	return sp->how != SN_HOW_UNSPECIFIED && sp->how != SN_HOW_SAME &&
		!(sp->how == SN_HOW_VAL_OFFSET && sp->value == 0);
}

void
sn_cfi_rule(const struct sn_cfi_block *b, const struct sn_cfi_cie *c, const struct sn_cfi_state *s, struct sn_rule *out)
{
	const struct sn_cfi_arch *arch = sn_cfi_arch(b->machine);

	*out = (struct sn_rule){ .cfa = SN_CFA_BAD };
	if (c->signal && is_trampoline(b, arch, s)) {
		out->cfa = SN_CFA_SIGNAL;
		return;
	}
	if (s->ra.how == SN_HOW_UNDEFINED) {
		out->cfa = SN_CFA_END;
		return;
	}
	if (s->expr_bytes > 0)
		cfa_by_expression(b, arch, s, out);
	else
		cfa_by_register(arch, s->cfa_reg, s->cfa_off, out);
	if (out->cfa == SN_CFA_BAD || moves_sp(&s->sp) || !return_address(b, arch, &s->ra, out)) {
		*out = (struct sn_rule){ .cfa = SN_CFA_BAD };
		return;
	}
	out->fp = saved(b, arch, &s->fp, &out->fp_off);
	if (arch->bx != arch->ra)
		out->bx = saved(b, arch, &s->bx, &out->bx_off);
	out->ra_signed = s->ra_signed;
}

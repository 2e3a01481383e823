/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind_cfi.c - find the FDE of an address and look at it before libunwind does (see unwind.h).
 *
 * Runs in:  collector.
 * Memory:   reads the image's copies of .eh_frame_hdr and .eh_frame; keeps nothing.
 *
 * libunwind trusts .eh_frame more than a file deserves: an expression may loop for ever or divide INT64_MIN by -1
 * (SIGFPE), a register's number may lie outside of its tables, the CFA may be left without a rule, a stack of states
 * may grow with the FDE.  What could do so is refused here; the frame then counts as one without CFI.
 */
#include <errno.h>
#include <string.h>

#include "collect/cfi.h"
#include "collect/unwind.h"

#define ENTRY_BYTES_MAX	(64u << 10)	/* of one CIE or FDE; the largest seen in real files is below 8 KiB */

#if defined(__x86_64__)
#define MACHINE		EM_X86_64
#define REGISTERS	17u		/* that libunwind has a place for */
#elif defined(__aarch64__)
#define MACHINE		EM_AARCH64
#define REGISTERS	96u
#endif

/* A register's number: libunwind does not check the second one of DW_CFA_register before it indexes by it. */
static void
take_register(struct sn_span *s)
{
	if (sn_take_uleb(s) >= REGISTERS)
		s->bad = true;
}

/*
 * May libunwind evaluate this?  Straight-line operations only: no branch (endless), no division (INT64_MIN / -1),
 * none whose operand libunwind 1.6 skips wrongly (constu, bregx), for then we would not read what it reads.
 */
static bool
is_tame_expression(struct sn_span e)
{
	while (e.left > 0 && !e.bad) {
		uint8_t op = sn_take_u8(&e);

		if (op >= 0x50 && op <= 0x8f && (op - 0x50u) % 32 >= REGISTERS)	/* reg, breg */
			return false;
		if (op >= 0x30 && op <= 0x6f)			/* lit, reg */
			continue;
		if ((op >= 0x70 && op <= 0x8f) || op == 0x23)	/* breg, plus_uconst */
			(void)sn_take_uleb(&e);
		else if (op == 0x08 || op == 0x09 || op == 0x15 || op == 0x94)
			sn_skip(&e, 1);				/* const1, pick, deref_size */
		else if (op == 0x0a || op == 0x0b)
			sn_skip(&e, 2);
		else if (op == 0x0c || op == 0x0d)
			sn_skip(&e, 4);
		else if (op == 0x0e || op == 0x0f || op == 0x03)
			sn_skip(&e, 8);				/* const8, addr */
		else if (op != 0x06 && !(op >= 0x12 && op <= 0x14) && op != 0x16 && op != 0x17 && op != 0x19 &&
			 op != 0x1a && op != 0x1c && !(op >= 0x1e && op <= 0x22) && !(op >= 0x24 && op <= 0x27) &&
			 !(op >= 0x29 && op <= 0x2e) && op != 0x96)
			return false;				/* not deref, stack, logic, comparison, nop */
	}
	return !e.bad;
}

static bool
take_expression(struct sn_span *s)
{
	uint64_t len = sn_take_uleb(s);
	struct sn_span e = *s;

	if (s->bad || len > s->left)
		return false;
	e.left = (size_t)len;
	sn_skip(s, len);
	return is_tame_expression(e);
}

/* The operands of one call frame instruction without its own in the opcode.  false: unknown or not tame. */
static bool
take_operands(struct sn_span *s, uint8_t op, uint8_t pointer_enc)
{
	switch (op) {
	case 0x00: case 0x0a: case 0x0b:		/* nop, remember, restore state */
	case 0x2d:					/* negate_ra_state */
		return true;
	case 0x01:					/* set_loc */
		(void)sn_take_pointer(s, pointer_enc, true);
		return true;
	case 0x02: case 0x03: case 0x04:		/* advance_loc1, 2, 4 */
		sn_skip(s, 1u << (op - 0x02));
		return true;
	case 0x09:					/* register */
		take_register(s);
		take_register(s);
		return true;
	case 0x05: case 0x0c: case 0x11:		/* offset, def_cfa, offset_sf */
	case 0x12: case 0x2f:				/* def_cfa_sf, negative_offset */
		take_register(s);
		(void)sn_take_uleb(s);
		return true;
	case 0x06: case 0x07: case 0x08: case 0x0d:	/* restore, undefined, same_value, def_cfa_register */
		take_register(s);
		return true;
	case 0x0e: case 0x13: case 0x2e:		/* def_cfa_offset(_sf), args_size */
		(void)sn_take_uleb(s);
		return true;
	case 0x10: case 0x16:				/* expression, val_expression */
		take_register(s);
		return take_expression(s);
	case 0x0f:					/* def_cfa_expression */
		return take_expression(s);
	default:	/* also val_offset, 0x14 and 0x15: libunwind 1.6 takes their operands for opcodes */
		return false;
	}
}

/* Walk a program; *defines_cfa becomes true when an instruction gives the CFA a rule. */
static bool
is_tame_program(struct sn_span s, uint8_t pointer_enc, bool *defines_cfa)
{
	while (s.left > 0 && !s.bad) {
		uint8_t op = sn_take_u8(&s);

		if (op >= 0x80 && (op & 0x3fu) >= REGISTERS)	/* offset, restore */
			return false;
		if ((op & 0xc0) == 0x80)
			(void)sn_take_uleb(&s);
		else if ((op & 0xc0) == 0 && !take_operands(&s, op, pointer_enc))
			return false;
		if (op == 0x0c || op == 0x0f || op == 0x12)
			*defines_cfa = true;
	}
	return !s.bad;
}

/* What lies at vaddr of .eh_frame: one CIE or FDE behind its length. */
static bool
open_entry(const struct sn_image *image, uint64_t vaddr, struct sn_span *s)
{
	uint32_t len;

	if (vaddr < image->frame_vaddr || vaddr - image->frame_vaddr >= image->frame_bytes)
		return false;
	*s = (struct sn_span){ .p = image->frame + (vaddr - image->frame_vaddr), .vaddr = vaddr,
		.left = (size_t)(image->frame_bytes - (vaddr - image->frame_vaddr)) };
	len = sn_take_u32(s);
	if (s->bad || len > s->left || len > ENTRY_BYTES_MAX)
		return false;
	s->left = len;
	return true;
}

/*
 * Versions and augmentations that libunwind knows, and whose program begins where it thinks it does; *defines_cfa as
 * for is_tame_program.
 */
static bool
read_cie(const struct sn_image *image, uint64_t vaddr, struct sn_cfi_cie *c, bool *defines_cfa)
{
	struct sn_span s;

	*defines_cfa = false;
	if (!open_entry(image, vaddr, &s) || sn_take_u32(&s) != 0 || sn_cfi_read_cie(&s, sn_cfi_arch(MACHINE), c) < 0)
		return false;
	return c->version < 4 && !c->tagged && c->exact && (c->sized || !c->signal) &&
		is_tame_program(s, c->pointer_enc, defines_cfa);
}

/* Check the FDE at vaddr, and that it covers the address pc of the file. */
static int
check_fde(const struct sn_image *image, uint64_t vaddr, uint64_t pc, bool *signal)
{
	uint64_t id_at, cie_offset, start, len;
	bool defines_cfa;
	struct sn_cfi_cie c;
	struct sn_span s;

	if (!open_entry(image, vaddr, &s))
		return -EBADMSG;
	id_at = s.vaddr;
	cie_offset = sn_take_u32(&s);
	if (s.bad || cie_offset == 0 || cie_offset > id_at || !read_cie(image, id_at - cie_offset, &c, &defines_cfa))
		return -EBADMSG;
	start = sn_take_pointer(&s, c.pointer_enc, true);
	len = sn_take_pointer(&s, c.pointer_enc, false);
	if (!s.bad && pc - start >= len)
		return -ENOENT;
	if (c.sized)
		sn_skip(&s, sn_take_uleb(&s));
	if (s.bad || !is_tame_program(s, c.pointer_enc, &defines_cfa) || !defines_cfa)
		return -EBADMSG;
	*signal = c.signal;
	return 0;
}

/* Offset in hdr of the first table entry; the header was checked when it was loaded. */
static uint64_t
table_at(const struct sn_image *image, uint32_t *count)
{
	uint64_t at = 4u + sn_pointer_size(image->hdr[1]);

	memcpy(count, image->hdr + at, sizeof(*count));
	return at + sizeof(*count);
}

int
sn_cfi_find(const struct sn_module *module, uint64_t pc, struct sn_cfi *out)
{
	const struct sn_image *image = module->image;
	uint64_t vaddr = pc - module->bias, at;
	int64_t want = (int64_t)(vaddr - image->hdr_vaddr);
	uint32_t lo = 0, hi;
	int32_t pair[2];

	at = table_at(image, &hi);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		memcpy(pair, image->hdr + at + 8 * (uint64_t)mid, sizeof(pair));
		if (pair[0] <= want)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return -ENOENT;
	at += 8 * (uint64_t)(lo - 1);
	memcpy(pair, image->hdr + at, sizeof(pair));
	out->entry = image->hdr_vaddr + at + module->bias;
	out->start = image->hdr_vaddr + (uint64_t)(int64_t)pair[0] + module->bias;
	return check_fde(image, image->hdr_vaddr + (uint64_t)(int64_t)pair[1], vaddr, &out->signal);
}

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

#include "collect/unwind.h"

#define ENTRY_BYTES_MAX	(64u << 10)	/* of one CIE or FDE; the largest seen in real files is below 8 KiB */
#define AUGMENTATION_MAX 8u

#if defined(__x86_64__)
#define RA_COLUMN	16u
#define REGISTERS	17u		/* that libunwind has a place for */
#elif defined(__aarch64__)
#define RA_COLUMN	30u
#define REGISTERS	96u
#endif

/* Bytes that are left to read; bad once something lay beyond them. */
struct span {
	const uint8_t *p;
	size_t left;
	uint64_t vaddr;		/* of p */
	bool bad;
};

struct cie {
	uint8_t pointer_enc;	/* of the FDE's addresses */
	bool sized;		/* augmentation 'z' */
	bool signal;		/* augmentation 'S' */
	bool defines_cfa;
};

static const uint8_t *
take(struct span *s, size_t n)
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

static void
skip(struct span *s, uint64_t n)
{
	if (n > s->left)
		s->bad = true;
	else
		(void)take(s, (size_t)n);
}

static uint8_t
take_u8(struct span *s)
{
	return *take(s, 1);
}

static uint32_t
take_u32(struct span *s)
{
	uint32_t value;

	memcpy(&value, take(s, sizeof(value)), sizeof(value));
	return value;
}

/* Bits beyond 64 are dropped; ten bytes at most. */
static uint64_t
take_uleb(struct span *s)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = take_u8(s);

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	s->bad = true;
	return 0;
}

/* Size in bytes of an encoded pointer, 0 when we do not know the encoding. */
static unsigned
pointer_size(uint8_t enc)
{
	switch (enc & 0x0f) {
	case 0x02: case 0x0a:
		return 2;
	case 0x03: case 0x0b:
		return 4;
	case 0x00: case 0x04: case 0x0c:
		return 8;
	default:
		return 0;
	}
}

/* An encoded address, relative to itself or absolute; others are not used for FDEs. */
static uint64_t
take_pointer(struct span *s, uint8_t enc, bool relative)
{
	uint64_t here = s->vaddr, value = 0;
	unsigned size = pointer_size(enc);
	bool is_signed = (enc & 0x08) != 0;

	if (size == 0 || (enc & 0x80) || ((enc & 0x70) != 0 && (enc & 0x70) != 0x10)) {
		s->bad = true;
		return 0;
	}
	memcpy(&value, take(s, size), size);
	if (relative && is_signed && size < 8 && (value >> (8 * size - 1)) != 0)
		value |= ~UINT64_C(0) << (8 * size);
	return relative && (enc & 0x70) == 0x10 ? here + value : value;
}

/* A register's number: libunwind does not check the second one of DW_CFA_register before it indexes by it. */
static void
take_register(struct span *s)
{
	if (take_uleb(s) >= REGISTERS)
		s->bad = true;
}

/*
 * May libunwind evaluate this?  Straight-line operations only: no branch (endless), no division (INT64_MIN / -1),
 * none whose operand libunwind 1.6 skips wrongly (constu, bregx), for then we would not read what it reads.
 */
static bool
is_tame_expression(struct span e)
{
	while (e.left > 0 && !e.bad) {
		uint8_t op = take_u8(&e);

		if (op >= 0x50 && op <= 0x8f && (op - 0x50u) % 32 >= REGISTERS)	/* reg, breg */
			return false;
		if (op >= 0x30 && op <= 0x6f)			/* lit, reg */
			continue;
		if ((op >= 0x70 && op <= 0x8f) || op == 0x23)	/* breg, plus_uconst */
			(void)take_uleb(&e);
		else if (op == 0x08 || op == 0x09 || op == 0x15 || op == 0x94)
			skip(&e, 1);				/* const1, pick, deref_size */
		else if (op == 0x0a || op == 0x0b)
			skip(&e, 2);
		else if (op == 0x0c || op == 0x0d)
			skip(&e, 4);
		else if (op == 0x0e || op == 0x0f || op == 0x03)
			skip(&e, 8);				/* const8, addr */
		else if (op != 0x06 && !(op >= 0x12 && op <= 0x14) && op != 0x16 && op != 0x17 && op != 0x19 &&
			 op != 0x1a && op != 0x1c && !(op >= 0x1e && op <= 0x22) && !(op >= 0x24 && op <= 0x27) &&
			 !(op >= 0x29 && op <= 0x2e) && op != 0x96)
			return false;				/* not deref, stack, logic, comparison, nop */
	}
	return !e.bad;
}

static bool
take_expression(struct span *s)
{
	uint64_t len = take_uleb(s);
	struct span e = *s;

	if (s->bad || len > s->left)
		return false;
	e.left = (size_t)len;
	skip(s, len);
	return is_tame_expression(e);
}

/* The operands of one call frame instruction without its own in the opcode.  false: unknown or not tame. */
static bool
take_operands(struct span *s, uint8_t op, uint8_t pointer_enc)
{
	switch (op) {
	case 0x00: case 0x0a: case 0x0b:		/* nop, remember, restore state */
	case 0x2d:					/* negate_ra_state */
		return true;
	case 0x01:					/* set_loc */
		(void)take_pointer(s, pointer_enc, true);
		return true;
	case 0x02: case 0x03: case 0x04:		/* advance_loc1, 2, 4 */
		skip(s, 1u << (op - 0x02));
		return true;
	case 0x09:					/* register */
		take_register(s);
		take_register(s);
		return true;
	case 0x05: case 0x0c: case 0x11:		/* offset, def_cfa, offset_sf */
	case 0x12: case 0x2f:				/* def_cfa_sf, negative_offset */
		take_register(s);
		(void)take_uleb(s);
		return true;
	case 0x06: case 0x07: case 0x08: case 0x0d:	/* restore, undefined, same_value, def_cfa_register */
		take_register(s);
		return true;
	case 0x0e: case 0x13: case 0x2e:		/* def_cfa_offset(_sf), args_size */
		(void)take_uleb(s);
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
is_tame_program(struct span s, uint8_t pointer_enc, bool *defines_cfa)
{
	while (s.left > 0 && !s.bad) {
		uint8_t op = take_u8(&s);

		if (op >= 0x80 && (op & 0x3fu) >= REGISTERS)	/* offset, restore */
			return false;
		if ((op & 0xc0) == 0x80)
			(void)take_uleb(&s);
		else if ((op & 0xc0) == 0 && !take_operands(&s, op, pointer_enc))
			return false;
		if (op == 0x0c || op == 0x0f || op == 0x12)
			*defines_cfa = true;
	}
	return !s.bad;
}

/* What lies at vaddr of .eh_frame: one CIE or FDE behind its length. */
static bool
open_entry(const struct sn_image *image, uint64_t vaddr, struct span *s)
{
	uint32_t len;

	if (vaddr < image->frame_vaddr || vaddr - image->frame_vaddr >= image->frame_bytes)
		return false;
	*s = (struct span){ .p = image->frame + (vaddr - image->frame_vaddr), .vaddr = vaddr,
		.left = (size_t)(image->frame_bytes - (vaddr - image->frame_vaddr)) };
	len = take_u32(s);
	if (s->bad || len > s->left || len > ENTRY_BYTES_MAX)
		return false;
	s->left = len;
	return true;
}

/* The augmentation data of a CIE, by its letters. */
static bool
read_augmentation(struct span *s, const char *letters, struct cie *c)
{
	uint64_t len;
	uint8_t enc;

	c->pointer_enc = 0;
	if (*letters == '\0')
		return true;
	if (*letters != 'z')
		return false;	/* "eh" and other antiques have no length to skip by */
	c->sized = true;
	len = take_uleb(s);
	if (s->bad || len > s->left)
		return false;
	for (letters++; *letters != '\0'; letters++) {
		if (*letters == 'R') {
			c->pointer_enc = take_u8(s);
		} else if (*letters == 'L') {
			(void)take_u8(s);
		} else if (*letters == 'P') {
			enc = take_u8(s);
			skip(s, pointer_size(enc));
			if (enc == 0x50 || pointer_size(enc) == 0)
				return false;
		} else if (*letters == 'S') {
			c->signal = true;
		} else if (*letters != 'B') {	/* B: the key of aarch64's return addresses */
			return false;
		}
	}
	return !s->bad;
}

static bool
read_cie(const struct sn_image *image, uint64_t vaddr, struct cie *c)
{
	char letters[AUGMENTATION_MAX + 1];
	struct span s;
	uint8_t version;
	unsigned n = 0;

	*c = (struct cie){ 0 };
	if (!open_entry(image, vaddr, &s) || take_u32(&s) != 0)
		return false;
	version = take_u8(&s);
	do {
		letters[n] = (char)take_u8(&s);
	} while (letters[n] != '\0' && ++n < sizeof(letters));
	if (s.bad || n == sizeof(letters) || (version != 1 && version != 3))
		return false;
	(void)take_uleb(&s);	/* code alignment */
	(void)take_uleb(&s);	/* data alignment */
	if ((version == 1 ? take_u8(&s) : take_uleb(&s)) != RA_COLUMN || !read_augmentation(&s, letters, c))
		return false;
	return is_tame_program(s, c->pointer_enc, &c->defines_cfa);
}

/* Check the FDE at vaddr, and that it covers the address pc of the file. */
static int
check_fde(const struct sn_image *image, uint64_t vaddr, uint64_t pc, bool *signal)
{
	uint64_t id_at, cie_offset, start, len;
	struct span s;
	struct cie c;

	if (!open_entry(image, vaddr, &s))
		return -EBADMSG;
	id_at = s.vaddr;
	cie_offset = take_u32(&s);
	if (s.bad || cie_offset == 0 || cie_offset > id_at || !read_cie(image, id_at - cie_offset, &c))
		return -EBADMSG;
	start = take_pointer(&s, c.pointer_enc, true);
	len = take_pointer(&s, c.pointer_enc, false);
	if (!s.bad && pc - start >= len)
		return -ENOENT;
	if (c.sized)
		skip(&s, take_uleb(&s));
	if (s.bad || !is_tame_program(s, c.pointer_enc, &c.defines_cfa) || !c.defines_cfa)
		return -EBADMSG;
	*signal = c.signal;
	return 0;
}

/* Offset in hdr of the first table entry; the header was checked when it was loaded. */
static uint64_t
table_at(const struct sn_image *image, uint32_t *count)
{
	uint64_t at = 4u + pointer_size(image->hdr[1]);

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

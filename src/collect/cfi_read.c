/* SPDX-License-Identifier: Apache-2.0
 *
 * cfi_read.c - the bytes of call frame information: numbers, entries, CIEs, FDEs (see cfi.h).
 *
 * Runs in:  collector.
 * Memory:   the caller's bytes; keeps nothing.  What does not fit makes the span bad, and its reader -EBADMSG.
 */
#include <elf.h>
#include <errno.h>

#include "collect/cfi.h"

#define AUGMENTATION_MAX 8u

#define DW_EH_PE_indirect	0x80u
#define DW_EH_PE_pcrel		0x10u
#define DW_EH_PE_aligned	0x50u

uint64_t
sn_take_long_uleb(struct sn_span *s)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = sn_take_u8(s);

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	s->bad = true;
	return 0;
}

int64_t
sn_take_sleb(struct sn_span *s)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = sn_take_u8(s);

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if ((byte & 0x40) && shift + 7 < 64)
			value |= ~UINT64_C(0) << (shift + 7);
		return (int64_t)value;
	}
	s->bad = true;
	return 0;
}

unsigned
sn_pointer_size(uint8_t enc)
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

uint64_t
sn_take_pointer(struct sn_span *s, uint8_t enc, bool relative)
{
	uint64_t here = s->vaddr, value;
	unsigned size = sn_pointer_size(enc);
	bool is_signed = (enc & 0x08) != 0;

	if (size == 0 || (enc & DW_EH_PE_indirect) || ((enc & 0x70) != 0 && (enc & 0x70) != DW_EH_PE_pcrel)) {
		s->bad = true;
		return 0;
	}
	value = sn_take_uint(s, size);
	if (relative && is_signed && size < 8 && (value >> (8 * size - 1)) != 0)
		value |= ~UINT64_C(0) << (8 * size);
	return relative && (enc & 0x70) == DW_EH_PE_pcrel ? here + value : value;
}

const struct sn_cfi_arch *
sn_cfi_arch(uint16_t machine)
{
	static const struct sn_cfi_arch x86_64 = { EM_X86_64, 7, 6, 3, 16, 16 };
	static const struct sn_cfi_arch aarch64 = { EM_AARCH64, 31, 29, 30, 30, 31 };

	return machine == EM_X86_64 ? &x86_64 : machine == EM_AARCH64 ? &aarch64 : NULL;
}

/*
 * .eh_frame: an id of 0 is a CIE's, others say how far before the id the CIE is; the id has four bytes also behind
 * a length of 64 bits.  .debug_frame: all ones are a CIE's, others are where the CIE is.
 */
static int
read_id(const struct sn_cfi_block *b, struct sn_cfi_entry *e, bool is_64)
{
	unsigned size = b->is_debug_frame && is_64 ? 8 : 4;
	uint64_t id_at = (uint64_t)(e->body.p - b->data), id = sn_take_uint(&e->body, size);

	if (e->body.bad)
		return -EBADMSG;
	if (b->is_debug_frame) {
		e->is_cie = id == (size == 8 ? UINT64_MAX : UINT32_MAX);
		e->cie = id;
	} else {
		e->is_cie = id == 0;
		e->cie = id_at - id;	/* wraps to what no CIE has when it would lie before the block */
	}
	return 1;
}

int
sn_cfi_next(const struct sn_cfi_block *b, uint64_t *at, struct sn_cfi_entry *e)
{
	struct sn_span s = { .p = b->data + *at, .left = (size_t)(b->bytes - *at), .vaddr = b->vaddr + *at };
	uint64_t len = 0;
	bool is_64;

	/* Zeros end the list for a linear reader; linkers put objects behind that, which the search table has. */
	while (s.left >= 4 && len == 0)
		len = sn_take_u32(&s);
	if (len == 0)
		return 0;
	e->at = (uint64_t)(s.p - b->data) - 4;
	is_64 = len == UINT32_MAX;
	if (is_64)
		len = sn_take_uint(&s, 8);
	if (s.bad || len > s.left)
		return -EBADMSG;
	s.left = (size_t)len;
	*at = (uint64_t)(s.p - b->data) + len;
	e->body = s;
	if (read_id(b, e, is_64) < 0) {
		e->is_cie = false;	/* too short to be anything, but its end is known */
		e->cie = UINT64_MAX;
	}
	return 1;
}

uint64_t
sn_cfi_end(const struct sn_cfi_block *b)
{
	struct sn_cfi_entry e;
	uint64_t at = 0;
	uint32_t len;

	while (b->bytes - at >= sizeof(len)) {
		memcpy(&len, b->data + at, sizeof(len));
		if (len == 0 || sn_cfi_next(b, &at, &e) <= 0)
			break;
	}
	return at;
}

/* The data of one letter of an augmentation that has some. */
static bool
read_letter(struct sn_span *data, char letter, struct sn_cfi_cie *c)
{
	uint8_t enc = sn_take_u8(data);

	switch (letter) {
	case 'R':
		c->pointer_enc = enc;
		return true;
	case 'L':
		return true;
	case 'P':
		sn_skip(data, sn_pointer_size(enc));
		return enc != DW_EH_PE_aligned && sn_pointer_size(enc) != 0;
	default:
		return false;
	}
}

/* The augmentation of a CIE.  Only 'z' has a length to skip by; without it there are letters without data alone. */
static bool
read_augmentation(struct sn_span *s, const char *letters, struct sn_cfi_cie *c)
{
	struct sn_span data = *s;

	data.left = 0;
	if (*letters == 'z') {
		uint64_t len = sn_take_uleb(s);

		data = *s;
		if (s->bad || len > s->left)
			return false;
		data.left = (size_t)len;
		sn_skip(s, len);
		c->sized = true;
		letters++;
	}
	for (; *letters != '\0'; letters++) {
		if (*letters == 'S')
			c->signal = true;
		else if (*letters == 'G')
			c->tagged = true;
		else if (*letters != 'B' && !read_letter(&data, *letters, c))	/* B: the key of signed addresses */
			return false;
	}
	c->exact = data.left == 0;
	return !data.bad;
}

int
sn_cfi_read_cie(struct sn_span *s, const struct sn_cfi_arch *arch, struct sn_cfi_cie *c)
{
	char letters[AUGMENTATION_MAX + 1];
	unsigned n = 0;

	*c = (struct sn_cfi_cie){ .version = sn_take_u8(s) };
	do {
		letters[n] = (char)sn_take_u8(s);
	} while (letters[n] != '\0' && ++n < sizeof(letters));
	if (s->bad || n == sizeof(letters) || (c->version != 1 && c->version != 3 && c->version != 4))
		return -EBADMSG;
	if (c->version == 4 && sn_take_uint(s, 2) != 8)		/* size of addresses, then of segment selectors */
		return -EBADMSG;
	c->code_align = sn_take_uleb(s);
	c->data_align = sn_take_sleb(s);
	if ((c->version == 1 ? sn_take_u8(s) : sn_take_uleb(s)) != arch->ra || s->bad)
		return -EBADMSG;
	return read_augmentation(s, letters, c) && !s->bad ? 0 : -EBADMSG;
}

int
sn_cfi_read_fde(struct sn_span *s, const struct sn_cfi_cie *c, uint64_t *start, uint64_t *bytes)
{
	*start = sn_take_pointer(s, c->pointer_enc, true);
	*bytes = sn_take_pointer(s, c->pointer_enc, false);
	if (c->sized)
		sn_skip(s, sn_take_uleb(s));
	return s->bad ? -EBADMSG : 0;
}

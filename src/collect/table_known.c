/* SPDX-License-Identifier: Apache-2.0
 *
 * table_known.c - recognise .init, .fini and PLTs (see table_known.h).
 *
 * Runs in:  collector.
 * Memory:   a PLT is read whole and freed, at most PLT_BYTES_MAX of it.  What is not exactly as expected is not known.
 *
 * .init and .fini are put together from pieces of the C library's start files, which do without CFI; lld writes PLTs
 * without, and on aarch64 all linkers do.
 */
#include <stdlib.h>
#include <string.h>

#include "collect/table_known.h"

#define DYNAMIC_MAX	512u		/* entries that are looked at */
#define HEAD_BYTES	64u		/* .init is shorter */
#define PLT_BYTES_MAX	(4u << 20)

#define A64_NOP		0xd503201fu
#define A64_BTI_C	0xd503245fu
#define A64_PUSH_FP_LR	0xa9bf7bfdu	/* stp x29, x30, [sp, #-16]! */
#define A64_FP_IS_SP	0x910003fdu	/* mov x29, sp */
#define A64_POP_FP_LR	0xa8c17bfdu	/* ldp x29, x30, [sp], #16 */
#define A64_PUSH_IP0_LR	0xa9bf7bf0u	/* stp x16, x30, [sp, #-16]! */
#define A64_RET		0xd65f03c0u
#define A64_BR_X17	0xd61f0220u

size_t
sn_read_code(const struct sn_image *image, uint64_t vaddr, uint32_t flags, void *out, size_t len)
{
	for (unsigned i = 0; i < image->phnum; i++) {
		const Elf64_Phdr *p = &image->phdr[i];
		uint64_t at = vaddr - p->p_vaddr;

		if (p->p_type != PT_LOAD || (p->p_flags & flags) != flags || vaddr < p->p_vaddr || at >= p->p_filesz)
			continue;
		if (len > p->p_filesz - at)
			len = (size_t)(p->p_filesz - at);
		return sn_image_read(image, p->p_offset + at, out, len) == 0 ? len : 0;
	}
	return 0;
}

static void
add_row(struct sn_known_code *k, uint64_t at, struct sn_rule rule)
{
	k->row[k->nrows].at = (uint32_t)at;
	k->row[k->nrows++].rule = rule;
}

/* x86-64: the CFA is rsp + off. */
static struct sn_rule
by_rsp(int32_t off)
{
	return (struct sn_rule){ .cfa = SN_CFA_SP, .cfa_off = off, .ra = SN_SAVED_CFA, .ra_off = -8 };
}

/* aarch64: nothing is pushed, or a pair of which the second one is x30. */
static struct sn_rule
by_sp(bool pushed, bool fp_too)
{
	struct sn_rule r = { .cfa = SN_CFA_SP };

	if (pushed) {
		r.cfa_off = 16;
		r.ra = SN_SAVED_CFA;
		r.ra_off = -8;
	}
	if (pushed && fp_too) {
		r.fp = SN_SAVED_CFA;
		r.fp_off = -16;
	}
	return r;
}

/* [endbr64]; sub $8,%rsp; … add $8,%rsp; ret */
static bool
init_x86_64(const uint8_t *p, struct sn_known_code *k)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa }, sub[] = { 0x48, 0x83, 0xec, 8 };
	static const uint8_t add_ret[] = { 0x48, 0x83, 0xc4, 8, 0xc3 };
	size_t at = memcmp(p, endbr, sizeof(endbr)) == 0 ? sizeof(endbr) : 0, end;

	if (memcmp(p + at, sub, sizeof(sub)) != 0)
		return false;
	at += sizeof(sub);
	for (end = at; end + sizeof(add_ret) <= HEAD_BYTES && memcmp(p + end, add_ret, sizeof(add_ret)) != 0; end++)
		;
	if (end + sizeof(add_ret) > HEAD_BYTES)
		return false;
	add_row(k, 0, by_rsp(8));
	add_row(k, at, by_rsp(16));
	add_row(k, end + 4, by_rsp(8));
	k->limit = k->start + end + sizeof(add_ret);
	return true;
}

/* [nop, bti c]; stp x29,x30,[sp,#-16]!; mov x29,sp; … ldp x29,x30,[sp],#16; ret.  Signed ones are not known. */
static bool
init_aarch64(const uint32_t *op, struct sn_known_code *k)
{
	unsigned n = HEAD_BYTES / 4, push = 0, pop;

	while (push < n && (op[push] == A64_NOP || op[push] == A64_BTI_C))
		push++;
	if (push + 1 >= n || op[push] != A64_PUSH_FP_LR || op[push + 1] != A64_FP_IS_SP)
		return false;
	for (pop = push + 2; pop + 1 < n && op[pop] != A64_POP_FP_LR; pop++)
		;
	if (pop + 1 >= n || op[pop + 1] != A64_RET)
		return false;
	add_row(k, 0, by_sp(false, false));
	add_row(k, (push + 1) * 4, by_sp(true, true));
	add_row(k, (pop + 1) * 4, by_sp(false, false));
	k->limit = k->start + (pop + 2) * 4;
	return true;
}

static bool
known_init(const struct sn_image *image, uint64_t vaddr, struct sn_known_code *k)
{
	union {
		uint8_t byte[HEAD_BYTES];
		uint32_t op[HEAD_BYTES / 4];
	} code = { { 0 } };

	*k = (struct sn_known_code){ .start = vaddr };
	if (sn_read_code(image, vaddr, PF_X, &code, sizeof(code)) == 0)
		return false;
	return image->machine == EM_X86_64 ? init_x86_64(code.byte, k) : init_aarch64(code.op, k);
}

/* What the dynamic section says of where a file starts and ends. */
static unsigned
known_by_dynamic(const struct sn_image *image, struct sn_known_code *known)
{
	const Elf64_Phdr *p = NULL;
	uint64_t first;
	unsigned n = 0;
	Elf64_Dyn d;

	for (unsigned i = 0; i < image->phnum && p == NULL; i++) {
		if (image->phdr[i].p_type == PT_DYNAMIC)
			p = &image->phdr[i];
	}
	for (uint64_t i = 0; p != NULL && i < DYNAMIC_MAX && (i + 1) * sizeof(d) <= p->p_filesz; i++) {
		if (sn_image_read(image, p->p_offset + i * sizeof(d), &d, sizeof(d)) < 0 || d.d_tag == DT_NULL ||
		    n + 2 > SN_KNOWN_MAX - 2)
			break;
		if (d.d_tag == DT_INIT || d.d_tag == DT_FINI)
			n += known_init(image, d.d_un.d_ptr, &known[n]);
		else if ((d.d_tag == DT_INIT_ARRAY || d.d_tag == DT_FINI_ARRAY) &&
			 sn_read_code(image, d.d_un.d_ptr, PF_R, &first, sizeof(first)) == sizeof(first))
			n += sn_known_crt(image, first, &known[n]);
	}
	return n;
}

/*
 * Lazy entries of x86-64: push the number and jump to the first entry, which pushes a word of its own.
 *	[endbr64 | jmp *GOT]; push $n; [bnd] jmp PLT0		the push ends at `pushed`
 */
static bool
plt_x86_64(const uint8_t *p, uint64_t len, struct sn_known_code *k)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	int32_t pushed = 0;

	if (len < 32 || len % 16 != 0 || k->start % 16 != 0 || p[0] != 0xff || p[1] != 0x35)
		return false;
	if (p[16] == 0xff && p[17] == 0x25 && p[22] == 0x68)
		pushed = 11;
	else if (memcmp(p + 16, endbr, sizeof(endbr)) == 0 && p[20] == 0x68)
		pushed = 9;
	if (pushed == 0)
		return false;
	for (uint64_t at = 32; at < len; at += 16) {
		if (memcmp(p + at, p + 16, pushed == 11 ? 2 : 4) != 0 || p[at + (uint64_t)pushed - 5] != 0x68)
			return false;
	}
	add_row(k, 0, by_rsp(16));
	add_row(k, 6, by_rsp(24));
	add_row(k, 16, (struct sn_rule){ .cfa = SN_CFA_PLT, .cfa_off = pushed, .ra = SN_SAVED_CFA, .ra_off = -8 });
	return true;
}

/* Entries that only jump: [endbr64]; [bnd] jmp *GOT */
static bool
plt_sec_x86_64(const uint8_t *p, uint64_t len, struct sn_known_code *k)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	if (len == 0 || len % 16 != 0)
		return false;
	for (uint64_t at = 0; at < len; at += 16) {
		uint64_t jump = at + sizeof(endbr) + (p[at + sizeof(endbr)] == 0xf2);

		if (memcmp(p + at, endbr, sizeof(endbr)) != 0 || p[jump] != 0xff || p[jump + 1] != 0x25)
			return false;
	}
	add_row(k, 0, by_rsp(8));
	return true;
}

/* adrp x16; ldr x17, [x16, …]; add x16, x16, …; br x17; and hints: nothing that touches SP or x30. */
static bool
is_plt_op(uint32_t op)
{
	return (op & 0x9f00001f) == 0x90000010 || (op & 0xffc003ff) == 0xf9400211 || (op & 0xffc003ff) == 0x91000210 ||
		op == A64_BR_X17 || op == A64_NOP || op == A64_BTI_C;
}

static bool
plt_aarch64(const uint8_t *p, uint64_t len, struct sn_known_code *k)
{
	uint64_t push = UINT64_MAX, after = 0;
	uint32_t op;

	if (len < 32 || len % 4 != 0)
		return false;
	for (uint64_t at = 0; at < len; at += 4) {
		memcpy(&op, p + at, sizeof(op));
		if (at <= 4 && op == A64_PUSH_IP0_LR && push == UINT64_MAX)
			push = at;
		else if (!is_plt_op(op))
			return false;
		else if (push != UINT64_MAX && after == 0 && op == A64_BR_X17)
			after = at + 4;
	}
	if (push == UINT64_MAX || after == 0)
		return false;
	add_row(k, 0, by_sp(false, false));
	add_row(k, push + 4, by_sp(true, false));
	add_row(k, after, by_sp(false, false));
	return true;
}

typedef bool known_fn(const uint8_t *p, uint64_t len, struct sn_known_code *k);

static unsigned
known_section(const struct sn_image *image, const Elf64_Shdr *s, known_fn *is_known, struct sn_known_code *k)
{
	uint8_t *code;
	bool known;

	if (s == NULL || is_known == NULL || s->sh_size == 0 || s->sh_size > PLT_BYTES_MAX ||
	    s->sh_addr + s->sh_size < s->sh_addr)
		return 0;
	code = malloc((size_t)s->sh_size);
	*k = (struct sn_known_code){ .start = s->sh_addr, .limit = s->sh_addr + s->sh_size };
	known = code != NULL && sn_read_code(image, s->sh_addr, PF_X, code, (size_t)s->sh_size) == s->sh_size &&
		is_known(code, s->sh_size, k);
	free(code);
	return known;
}

unsigned
sn_known_code(const struct sn_image *image, const Elf64_Shdr *plt, const Elf64_Shdr *plt_sec,
	struct sn_known_code known[SN_KNOWN_MAX])
{
	bool x86 = image->machine == EM_X86_64;
	unsigned n = known_by_dynamic(image, known);

	n += known_section(image, plt, x86 ? plt_x86_64 : plt_aarch64, &known[n]);
	n += known_section(image, plt_sec, x86 ? plt_sec_x86_64 : NULL, &known[n]);
	return n;
}

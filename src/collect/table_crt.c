/* SPDX-License-Identifier: Apache-2.0
 *
 * table_crt.c - recognise the compiler's start and end code on x86-64, which has no CFI (see table_known.h).
 *
 * Runs in:  collector.
 * Memory:   none.
 *
 * gcc's crtstuff.c puts four functions into each file.  Two are the first entries of .init_array and .fini_array
 * (frame_dummy, __do_global_dtors_aux), the other two are what those jump to and call.  All destructors of a library
 * run under __do_global_dtors_aux, so it is worth knowing.  They consist of few instructions, of which one pushes and
 * one pops; a function with any other instruction is not known.
 */
#include <string.h>

#include "collect/table_known.h"

#define FUNCTION_MAX	160u	/* bytes; the longest seen has 57 */
#define NEAR		256	/* the four lie together */

enum effect { PLAIN, PUSH, POP, ENDS, BRANCH, CALL, JUMP };

static const struct {
	uint8_t head, n;		/* bytes that are compared; all of it */
	uint8_t op[4];
	uint8_t effect;
} ops[] = {
	{ 4, 4, { 0xf3, 0x0f, 0x1e, 0xfa }, PLAIN },	/* endbr64 */
	{ 1, 1, { 0x55 }, PUSH },			/* push %rbp */
	{ 1, 1, { 0x5d }, POP },			/* pop %rbp */
	{ 1, 1, { 0xc3 }, ENDS },			/* ret */
	{ 2, 2, { 0xf3, 0xc3 }, ENDS },
	{ 2, 2, { 0xff, 0xe0 }, ENDS },			/* jmp *%rax */
	{ 1, 2, { 0x74 }, BRANCH },			/* je, jne */
	{ 1, 2, { 0x75 }, BRANCH },
	{ 1, 5, { 0xe8 }, CALL },
	{ 1, 5, { 0xe9 }, JUMP },
	{ 1, 2, { 0xeb }, JUMP },
	{ 2, 6, { 0xff, 0x15 }, PLAIN },		/* call *x(%rip) */
	{ 2, 7, { 0x80, 0x3d }, PLAIN },		/* cmpb $n, x(%rip) */
	{ 3, 8, { 0x48, 0x83, 0x3d }, PLAIN },		/* cmpq $n, x(%rip) */
	{ 2, 7, { 0xc6, 0x05 }, PLAIN },		/* movb $n, x(%rip) */
	{ 3, 3, { 0x48, 0x89, 0xe5 }, PLAIN },		/* mov %rsp, %rbp */
	{ 3, 7, { 0x48, 0x8b, 0x3d }, PLAIN },		/* mov x(%rip), %rdi, %rax */
	{ 3, 7, { 0x48, 0x8b, 0x05 }, PLAIN },
	{ 3, 7, { 0x48, 0x8d, 0x3d }, PLAIN },		/* lea x(%rip), %rdi, %rax, %rsi */
	{ 3, 7, { 0x48, 0x8d, 0x05 }, PLAIN },
	{ 3, 7, { 0x48, 0x8d, 0x35 }, PLAIN },
	{ 1, 5, { 0xb8 }, PLAIN },			/* mov $n, %eax, %esi, %edi */
	{ 1, 5, { 0xbe }, PLAIN },
	{ 1, 5, { 0xbf }, PLAIN },
	{ 2, 6, { 0x48, 0x3d }, PLAIN },		/* cmp $n, %rax */
	{ 3, 7, { 0x48, 0x81, 0xee }, PLAIN },		/* sub $n, %rsi */
	{ 3, 3, { 0x48, 0x39, 0xf8 }, PLAIN },		/* cmp %rdi, %rax */
	{ 3, 3, { 0x48, 0x85, 0xc0 }, PLAIN },		/* test %rax, %rax */
	{ 3, 3, { 0x48, 0x29, 0xfe }, PLAIN },		/* sub %rdi, %rsi */
	{ 3, 3, { 0x48, 0x89, 0xf0 }, PLAIN },		/* mov %rsi, %rax */
	{ 3, 4, { 0x48, 0xc1, 0xee }, PLAIN },		/* shr $n, %rsi */
	{ 3, 4, { 0x48, 0xc1, 0xf8 }, PLAIN },		/* sar $n, %rax */
	{ 3, 3, { 0x48, 0x01, 0xc6 }, PLAIN },		/* add %rax, %rsi */
	{ 3, 3, { 0x48, 0xd1, 0xfe }, PLAIN },		/* sar %rsi */
	{ 1, 1, { 0x90 }, PLAIN },			/* nop of several lengths */
	{ 2, 2, { 0x66, 0x90 }, PLAIN },
	{ 3, 3, { 0x0f, 0x1f, 0x00 }, PLAIN },
	{ 3, 4, { 0x0f, 0x1f, 0x40 }, PLAIN },
	{ 3, 5, { 0x0f, 0x1f, 0x44 }, PLAIN },
	{ 4, 6, { 0x66, 0x0f, 0x1f, 0x44 }, PLAIN },
	{ 3, 7, { 0x0f, 0x1f, 0x80 }, PLAIN },
	{ 3, 8, { 0x0f, 0x1f, 0x84 }, PLAIN },
};

/* A function being read. */
struct reading {
	struct sn_known_code *known;
	uint64_t other;		/* out: the near function that it calls or jumps to, 0 for none */
	size_t far;		/* the furthest branch's target */
	bool pushed, wrong;
};

static int
find_op(const uint8_t *p, size_t left)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (ops[i].n <= left && memcmp(p, ops[i].op, ops[i].head) == 0)
			return (int)i;
	}
	return -1;
}

static void
set_row(struct reading *r, size_t at, bool pushed)
{
	struct sn_known_code *k = r->known;
	struct sn_rule rule = { .cfa = SN_CFA_SP, .cfa_off = 8, .ra = SN_SAVED_CFA, .ra_off = -8 };

	if (pushed) {
		rule.cfa_off = 16;
		rule.fp = SN_SAVED_CFA;
		rule.fp_off = -16;
	}
	r->pushed = pushed;
	if (k->nrows == SN_KNOWN_ROWS) {
		r->wrong = true;
		return;
	}
	k->row[k->nrows].at = (uint32_t)at;
	k->row[k->nrows++].rule = rule;
}

/* The instruction of number op at `at` of code.  true: the function ends with it. */
static bool
read_op(struct reading *r, const uint8_t *code, size_t at, unsigned op)
{
	size_t next = at + ops[op].n;
	uint64_t start = r->known->start;
	int32_t rel;

	switch (ops[op].effect) {
	case PUSH: case POP:
		if (r->pushed == (ops[op].effect == PUSH))
			r->wrong = true;
		set_row(r, next, ops[op].effect == PUSH);
		return false;
	case BRANCH:
		if (code[at + 1] >= 0x80)
			r->wrong = true;	/* a loop: there is none */
		if (next + code[at + 1] > r->far)
			r->far = next + code[at + 1];
		return false;
	case CALL: case JUMP:
		rel = (int8_t)code[at + 1];
		if (ops[op].n == 5)
			memcpy(&rel, code + at + 1, sizeof(rel));
		if (rel < 0 && rel > -NEAR)
			r->other = start + next + (uint64_t)(int64_t)rel;
		break;
	case ENDS:
		break;
	default:
		return false;
	}
	if (ops[op].effect == CALL)
		return false;
	if (r->pushed)
		r->wrong = true;	/* leaves with rbp on the stack */
	return next > r->far;
}

/* Is there one of the four at vaddr?  *other: that which belongs to it, or 0. */
static bool
read_function(const struct sn_image *image, uint64_t vaddr, struct sn_known_code *k, uint64_t *other)
{
	struct reading r = { .known = k };
	uint8_t code[FUNCTION_MAX];
	size_t at = 0, len = sn_read_code(image, vaddr, PF_X, code, sizeof(code));

	*k = (struct sn_known_code){ .start = vaddr };
	set_row(&r, 0, false);
	for (bool ended = false; !ended;) {
		int op = find_op(code + at, len - at);

		if (op < 0)
			return false;
		ended = read_op(&r, code, at, (unsigned)op);
		at += ops[op].n;
		if (r.wrong)
			return false;
	}
	k->limit = vaddr + at;
	*other = r.other;
	return true;
}

/* The first word of .init_array or .fini_array leads to one function, and that to another. */
unsigned
sn_known_crt(const struct sn_image *image, uint64_t first, struct sn_known_code *known)
{
	uint64_t other = 0, none;

	if (image->machine != EM_X86_64 || first == 0 || !read_function(image, first, &known[0], &other))
		return 0;
	return other != 0 && read_function(image, other, &known[1], &none) ? 2 : 1;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * shadow.c - the judge (see shadow.h).
 *
 * Runs in:  the stepper's module.  Reads code and stack of the thread that is stopped, which are there: the code is
 *           about to run, and slots lie above its stack pointer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "step/shadow.h"

#define SWITCH_BYTES	0x300u		/* setcontext and swapcontext are no longer than that */

static uint64_t
load(uint64_t addr)
{
	uint64_t word;

	memcpy(&word, (const void *)(uintptr_t)addr, sizeof(word));
	return word;
}

static bool
is_prefix(uint8_t b)
{
	return b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 ||
		b == 0x64 || b == 0x65;
}

/* mod = 3 and rm = rsp; mov to rsp. */
static enum instruction
decode_mov(uint8_t op, uint8_t rex, uint8_t modrm)
{
	if (op == 0x89 && modrm >> 6 == 3 && (modrm & 7) == 4 && !(rex & 1))
		return INSN_SET_SP;
	if (op == 0x8b && (modrm >> 3 & 7) == 4 && !(rex & 4))
		return INSN_SET_SP;
	return INSN_OTHER;
}

/* No byte beyond the instruction is read: it may be the last one mapped. */
enum instruction
sn_decode(uint64_t pc)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)pc;
	uint8_t rex = 0;

	for (int i = 0; i < 4 && is_prefix(*p); i++)
		p++;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	switch (p[0]) {
	case 0xe8:
		return INSN_CALL;
	case 0xc2: case 0xc3:
		return INSN_RET;
	case 0x0f:
		return p[1] == 0x05 ? INSN_SYSCALL : INSN_OTHER;
	case 0x5c:
		return rex & 1 ? INSN_OTHER : INSN_SET_SP;
	case 0x89: case 0x8b:
		return decode_mov(p[0], rex, p[1]);
	case 0xff:
		if ((p[1] >> 3 & 7) == 2)
			return INSN_CALL;
		return (p[1] >> 3 & 7) == 4 ? INSN_JUMP : INSN_OTHER;
	default:
		return INSN_OTHER;
	}
}

static struct strand *
now(struct shadow *s)
{
	return s->strand[s->current];
}

static int
new_strand(struct shadow *s, bool complete)
{
	uint32_t i = s->strands;

	if (i == SHADOW_STRANDS)
		return -ENOSPC;
	s->strand[i] = calloc(1, sizeof(*s->strand[i]));
	if (s->strand[i] == NULL)
		return -ENOMEM;
	s->strand[i]->complete = complete;
	s->strands++;
	s->current = i;
	return 0;
}

int
sn_shadow_new(struct shadow *s, bool complete)
{
	memset(s, 0, sizeof(*s));
	return new_strand(s, complete);
}

static void
push(struct shadow *s, struct entry e)
{
	struct strand *t = now(s);

	if (t->count == SHADOW_DEPTH) {
		s->lost = true;
		return;
	}
	t->entry[t->count++] = e;
}

static bool
is_left(const struct entry *e, uint64_t sp)
{
	if (!e->signal)
		return e->slot < sp;
	if (e->elsewhere)
		return sp < e->lo || sp >= e->hi;
	return sp >= e->slot;
}

/* The innermost signal whose handler runs elsewhere and was left: all within goes with it. */
static bool
leave_alternate(struct strand *t, uint64_t sp)
{
	for (uint32_t i = t->count; i-- > 0;) {
		const struct entry *e = &t->entry[i];

		if (!e->signal || !e->elsewhere)
			continue;
		if (sp >= e->lo && sp < e->hi)
			return false;
		t->count = i;
		return true;
	}
	return false;
}

/* What the stack pointer left behind is no more.  How many entries that were. */
static uint32_t
trim(struct strand *t, uint64_t sp)
{
	uint32_t before = t->count;

	while (leave_alternate(t, sp))
		;
	while (t->count > 0 && is_left(&t->entry[t->count - 1], sp))
		t->count--;
	return before - t->count;
}

/* rdx: the kernel's third argument, also to handlers that take one. */
static void
deliver(struct shadow *s, const ucontext_t *uc)
{
	const ucontext_t *was = (const ucontext_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_RDX];
	uint64_t sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
	uint64_t lo = (uint64_t)(uintptr_t)was->uc_stack.ss_sp, hi = lo + was->uc_stack.ss_size;
	struct entry e = { .slot = (uint64_t)was->uc_mcontext.gregs[REG_RSP],
		.pc = (uint64_t)was->uc_mcontext.gregs[REG_RIP], .signal = true, .exact = true, .lo = lo, .hi = hi };

	e.elsewhere = sp >= lo && sp < hi && !(e.slot >= lo && e.slot < hi);
	push(s, e);
	push(s, (struct entry){ .slot = sp, .pc = load(sp), .exact = true });
}

/* sigreturn: back to where the innermost signal came.  false: it is not known. */
static bool
undeliver(struct shadow *s, uint64_t *pc, uint64_t *sp)
{
	struct strand *t = now(s);

	for (uint32_t i = t->count; i-- > 0;)
		if (t->entry[i].signal) {
			*pc = t->entry[i].pc;
			*sp = t->entry[i].slot;
			t->count = i;
			return true;
		}
	return false;
}

static bool
in_switch(const struct sn_step_base *base, uint64_t pc)
{
	for (size_t i = 0; i < 2; i++)
		if (base->switches[i] != 0 && pc - base->switches[i] < SWITCH_BYTES)
			return true;
	return false;
}

/*
 * A context begins to run.  swapcontext kept the stack pointer as it is behind its return, so one that ran before has
 * an entry just below; a new one has its return address, put there by makecontext, at the top.
 */
static void
switch_to(struct shadow *s, uint64_t sp)
{
	for (uint32_t i = 0; i < s->strands; i++) {
		struct strand *t = s->strand[i];

		for (uint32_t j = t->count; j-- > 0;)
			if (!t->entry[j].signal && t->entry[j].slot == sp - 8) {
				s->current = i;
				return;
			}
	}
	if (new_strand(s, false) != 0) {
		s->lost = true;
		return;
	}
	push(s, (struct entry){ .slot = sp, .pc = load(sp) });
}

static void
follow_call(struct shadow *s, uint64_t at, uint64_t sp_before, uint64_t sp)
{
	uint64_t ra = sp == sp_before - 8 ? load(sp) : 0;

	if (ra <= at || ra > at + 15) {
		s->mismatches++;
		return;
	}
	push(s, (struct entry){ .slot = sp, .pc = ra });
}

static void
follow_ret(struct shadow *s, uint64_t sp_before, uint64_t pc)
{
	struct strand *t = now(s);

	if (t->count > 0 && !t->entry[t->count - 1].signal && t->entry[t->count - 1].slot == sp_before) {
		if (t->entry[t->count - 1].pc != pc)
			s->mismatches++;
		t->count--;
	} else {
		s->mismatches++;
	}
}

void
sn_shadow_follow(struct shadow *s, const struct sn_step_base *base, const ucontext_t *uc, uint64_t start)
{
	uint64_t pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP], sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
	uint64_t at = s->pc, sp_before = s->sp;
	enum instruction kind = s->kind;

	if (pc == base->delivered) {
		deliver(s, uc);
		return;
	}
	if (pc == start) {
		now(s)->count = 0;
		now(s)->complete = true;
		return;
	}
	if (kind == INSN_SYSCALL) {	/* and the instruction behind it, which the kernel's return steps over */
		at += 2;
		if (s->syscall == SYS_rt_sigreturn && !undeliver(s, &at, &sp_before))
			s->lost = true;
		kind = pc == at ? INSN_OTHER : sn_decode(at);
	}
	if (kind == INSN_CALL)
		follow_call(s, at, sp_before, sp);
	else if (kind == INSN_RET)
		follow_ret(s, sp_before, pc);
	if (kind == INSN_RET || kind == INSN_JUMP)
		s->unsure = false;
	if (kind == INSN_SET_SP && in_switch(base, at)) {
		switch_to(s, sp);
		s->unsure = true;
		return;
	}
	if (s->unsure && in_switch(base, pc))
		return;			/* its own push is on a stack that is not yet in use */
	if (trim(now(s), sp) > 0 && kind != INSN_RET)
		s->unsure = true;	/* longjmp: between two frames until it jumps */
}

void
sn_shadow_next(struct shadow *s, const ucontext_t *uc)
{
	s->pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	s->sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
	s->syscall = (uint64_t)uc->uc_mcontext.gregs[REG_RAX];
	s->kind = sn_decode(s->pc);
}

/* A slot that does not hold its return address any more ends what is known: libgcc is changing it. */
void
sn_shadow_truth(const struct shadow *s, const ucontext_t *uc, struct truth *out)
{
	const struct strand *t = s->strand[s->current];

	out->count = 1;
	out->complete = false;
	out->raw[0] = out->cooked[0] = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	if (s->unsure || s->lost)
		return;
	for (uint32_t i = t->count; i-- > 0;) {
		const struct entry *e = &t->entry[i];

		if (out->count == SN_FRAMES_MAX || (!e->signal && load(e->slot) != e->pc))
			return;
		out->raw[out->count] = e->pc;
		out->cooked[out->count++] = e->pc - (e->exact ? 0 : 1);
	}
	out->complete = t->complete;
}

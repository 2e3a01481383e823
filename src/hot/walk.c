/* SPDX-License-Identifier: Apache-2.0
 *
 * walk.c - the step from a frame to its caller, by table or by frame pointer (see walk.h, segment/table.h).
 *
 * Runs in:  the handler and hooks; tests.
 * Memory:   nothing is kept; the frames go straight to where the caller wants them.
 * Bounds:   stack words through hot/stack.h; each index into a table against its count; frames against max.
 */
#include <stddef.h>

#include "hot/find_object.h"
#include "hot/hot.h"
#include "hot/stack.h"
#include "hot/walk.h"

#define PC_MIN		4096u		/* no code lies below: zero ends a chain of frames */

/*
 * A sample finds cold caches, and each line of code costs as much as one of data: what most frames need stays together,
 * the rest out of its way.
 */
#define RARE		__attribute__((noinline, cold))
#define LIKELY(x)	__builtin_expect(!!(x), 1)

enum step { STEP_FRAME, STEP_END, STEP_FAILED, STEP_UNKNOWN, STEP_NO_CODE };

struct frame {
	uint64_t pc, sp, fp, bx;
	const ucontext_t *uc;		/* what was interrupted last: registers that are not tracked are as there */
	bool exact;			/* pc is an instruction to come, not a return address */
	bool by_fp;			/* the frame before was left by its frame pointer */
	const struct sn_text *text;	/* of pc, or of a frame before */
	struct sn_reader reader;
};

#if defined(__x86_64__)
#define UC_REG(uc, which)	((uint64_t)(uc)->uc_mcontext.gregs[which])
#define UC_PC(uc)		UC_REG(uc, REG_RIP)
#define UC_SP(uc)		UC_REG(uc, REG_RSP)
#define UC_FP(uc)		UC_REG(uc, REG_RBP)
#define UC_BX(uc)		UC_REG(uc, REG_RBX)
#define SIGNAL_FRAME_UC		0u	/* where the ucontext is from SP in a trampoline */
#define SIGNAL_UC_BYTES		(offsetof(ucontext_t, uc_mcontext) + sizeof(mcontext_t))
#define PLAIN(pc)		(pc)
#define IS_SAVED_BY_CALLEE(reg)	((reg) >= 12 && (reg) <= 15)

static uint64_t
uc_register(const ucontext_t *uc, unsigned reg)
{
	static const unsigned char greg[] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

	return reg < sizeof(greg) ? UC_REG(uc, greg[reg]) : 0;
}
#elif defined(__aarch64__)
#define UC_PC(uc)		((uc)->uc_mcontext.pc)
#define UC_SP(uc)		((uc)->uc_mcontext.sp)
#define UC_FP(uc)		((uc)->uc_mcontext.regs[29])
#define UC_BX(uc)		0ull
#define SIGNAL_FRAME_UC		128u	/* behind the siginfo */
/* What follows is 4 KiB of extensions, which nobody needs. */
#define SIGNAL_UC_BYTES		(offsetof(ucontext_t, uc_mcontext) + offsetof(mcontext_t, __reserved))
/* Return addresses may be signed (PAC): a user address has 48 bits. */
#define PLAIN(pc)		((pc) & 0x0000ffffffffffffull)
#define IS_SAVED_BY_CALLEE(reg)	((reg) >= 19 && (reg) <= 28)

static uint64_t
uc_register(const ucontext_t *uc, unsigned reg)
{
	return reg < 31 ? uc->uc_mcontext.regs[reg] : 0;
}
#endif

/* May a table be trusted where its text lies?  Asked once for each run of frames in one text. */
static bool
is_sound(const struct sn_walk *w, const struct sn_text *t)
{
	if (w->only_stays && !t->stays)
		return false;
	if (t->kind != SN_TEXT_TABLE)
		return true;
	if (((t->index | t->rows | t->rules) & 3) != 0)
		return false;
	if (t->shift > SN_TABLE_SHIFT_MAX || t->nbuckets >= UINT32_MAX / 4 || t->nrows >= UINT32_MAX / 4 ||
	    t->index > w->tables_bytes || t->rows > w->tables_bytes || t->rules > w->tables_bytes ||
	    (t->nbuckets + 1) * (uint64_t)sizeof(uint32_t) > w->tables_bytes - t->index ||
	    t->nrows * (uint64_t)sizeof(struct sn_table_row) > w->tables_bytes - t->rows ||
	    t->nrules * (uint64_t)sizeof(struct sn_rule) > w->tables_bytes - t->rules)
		return false;
	return t->stays || sn_find_object_agrees(t->start, t->hdr);
}

static const struct sn_text *
find_text(const struct sn_walk *w, uint64_t pc)
{
	const struct sn_text_map *m = w->map;
	uint32_t lo = 0, n = m->count < SN_TEXTS_MAX ? m->count : SN_TEXTS_MAX;

	while (n > 0) {
		uint32_t half = n >> 1;
		bool right = m->start[lo + half] <= pc;

		lo = right ? lo + half + 1 : lo;
		n = right ? n - half - 1 : half;
	}
	return lo > 0 && pc < m->text[lo - 1].limit ? &m->text[lo - 1] : NULL;
}

static inline bool
is_in(const struct sn_text *t, uint64_t pc)
{
	return t != NULL && pc - t->start < t->limit - t->start;
}

/* The text of pc into f->text.  False: in none that is known and sound. */
static __attribute__((noinline)) bool
enter_text(const struct sn_walk *w, struct frame *f, uint64_t pc)
{
	f->text = find_text(w, pc);
	if (f->text != NULL && !is_sound(w, f->text))
		f->text = NULL;
	return f->text != NULL && f->text->kind != SN_TEXT_UNKNOWN;
}

/* The first row of these behind `at`. */
static inline __attribute__((always_inline)) uint32_t
find_row(const struct sn_table_row *rows, uint32_t first, uint32_t n, uint32_t at)
{
	while (n > 0) {
		uint32_t half = n / 2;

		if (rows[first + half].at <= at) {
			first += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return first;
}

static inline __attribute__((always_inline)) const struct sn_rule *
rule_at(const struct sn_walk *w, const struct sn_text *t, uint64_t pc)
{
	const uint32_t *index = (const uint32_t *)(const void *)(w->tables + t->index);
	const struct sn_table_row *rows = (const struct sn_table_row *)(const void *)(w->tables + t->rows);
	uint64_t bucket = (pc - t->base) >> t->shift;
	uint32_t at = (uint32_t)(pc - t->base) & ((1u << t->shift) - 1), first, end;

	if (!LIKELY(bucket < t->nbuckets))		/* also below base */
		return NULL;
	first = index[bucket];
	end = index[bucket + 1];
	if (!LIKELY(end <= t->nrows && first <= end))
		return NULL;
	first = find_row(rows, first, end - first, at);
	if (!LIKELY(first > 0 && rows[first - 1].rule < t->nrules))
		return NULL;
	return (const struct sn_rule *)(const void *)(w->tables + t->rules) + rows[first - 1].rule;
}

/* Does a call lie right before this return address?  Only where that can be looked at; else it is believed. */
static bool
follows_call(const struct sn_text *t, uint64_t ra)
{
#if defined(__x86_64__)
	const uint8_t *at = (const uint8_t *)(uintptr_t)ra;

	if (!t->readable || !t->stays || ra - t->start < 7)
		return true;
	if (at[-5] == 0xe8)				/* call rel32 */
		return true;
	for (unsigned n = 2; n <= 7; n++)		/* ff /2: call of a register or of memory */
		if (at[-(int)n] == 0xff && (at[1 - (int)n] & 0x38) == 0x10)
			return true;
	return false;
#else
	const uint32_t *at = (const uint32_t *)(uintptr_t)ra;

	if (!t->readable || !t->stays || (ra & 3) != 0 || ra - t->start < 4)
		return (ra & 3) == 0;
	return (at[-1] & 0xfc000000u) == 0x94000000u || (at[-1] & 0xfffff000u) == 0xd63f0000u ||
	    (at[-1] & 0xfe9ff000u) == 0xd61f0000u;	/* bl, blr, blraa and the like */
#endif
}

static bool
is_return_address(const struct sn_walk *w, uint64_t ra)
{
	const struct sn_text *t = ra >= PC_MIN ? find_text(w, ra - 1) : NULL;

	return t != NULL && follows_call(t, ra);
}

/*
 * A leaf in code without CFI (assembler, a bad pointer that was called) most often has not yet moved SP: then the
 * return address is where the call put it.
 */
static RARE enum step
guess_leaf(struct sn_walk *w, struct frame *f)
{
	uint64_t ra;

#if defined(__aarch64__)
	ra = PLAIN(f->uc->uc_mcontext.regs[30]);
	if (!is_return_address(w, ra))
		return STEP_FAILED;
#else
	if (!sn_read(&f->reader, f->sp, &ra) || !is_return_address(w, ra))
		return STEP_FAILED;
	sn_reader_doubt(&f->reader, f->sp);
	f->sp += 8;
#endif
	f->pc = ra;
	f->by_fp = false;
	w->guessed = true;
	return STEP_FRAME;
}

/* The chain of frame pointers: JIT code and Go keep it where there is no CFI. */
static enum step
step_by_fp(struct sn_walk *w, struct frame *f, bool is_guess)
{
	/* The page of SP is there; what any other value points to is anybody's guess. */
	bool near = (f->fp ^ f->sp) < SN_PAGE && ((f->fp + 8) ^ f->sp) < SN_PAGE;
	uint64_t pair[2], up, ra;

	if (f->fp == 0 && f->by_fp)
		return STEP_END;
	if (f->fp < f->sp || (near && !(sn_read(&f->reader, f->fp, &pair[0]) &&
	    sn_read(&f->reader, f->fp + 8, &pair[1]))) || (!near && !sn_read_pair(&f->reader, f->fp, pair)))
		return STEP_FAILED;
	up = pair[0];
	ra = PLAIN(pair[1]);
	if (ra == 0)			/* of the first step it may as well be any zeroed memory */
		return f->by_fp ? STEP_END : STEP_FAILED;
	if (w->map != NULL ? !is_return_address(w, ra) : ra < PC_MIN)
		return STEP_FAILED;
	sn_reader_doubt(&f->reader, f->fp);
	f->pc = ra;
	f->sp = f->fp + 16;
	f->fp = up;
	f->bx = 0;
	f->by_fp = true;
	w->guessed |= is_guess;
	return STEP_FRAME;
}

static RARE enum step
step_without_cfi(struct sn_walk *w, struct frame *f)
{
	bool jit = f->text->kind == SN_TEXT_FP;
	enum step step;

	/* JIT code has frames, and pointers to code among its values: there the chain is the better guess. */
	if (f->exact && !jit && guess_leaf(w, f) == STEP_FRAME)
		return STEP_FRAME;
	step = step_by_fp(w, f, !jit);
	return step == STEP_FAILED && f->exact && jit ? guess_leaf(w, f) : step;
}

/* A trampoline: all registers are as they were when the signal came. */
static RARE SN_READS_ANYWHERE enum step
step_to_interrupted(struct frame *f)
{
	uint64_t at = f->sp + SIGNAL_FRAME_UC;
	const ucontext_t *uc = (const ucontext_t *)(uintptr_t)at;

	if ((at & 7) != 0 || !sn_reader_reach(&f->reader, at, SIGNAL_UC_BYTES))
		return STEP_FAILED;
	f->uc = uc;
	f->pc = PLAIN(UC_PC(uc));
	f->sp = UC_SP(uc);
	f->fp = UC_FP(uc);
	f->bx = UC_BX(uc);
	sn_reader_enter(&f->reader, f->sp);
	f->exact = true;
	f->by_fp = false;
	return STEP_FRAME;
}

static bool
find_cfa(struct frame *f, const struct sn_rule *q, uint64_t *cfa)
{
	uint64_t off = (uint64_t)(int64_t)q->cfa_off;

	switch (q->cfa) {
	case SN_CFA_SP:
		*cfa = f->sp + off;
		return true;
	case SN_CFA_FP:
		*cfa = f->fp + off;
		return true;
	case SN_CFA_BX:
		*cfa = f->bx + off;
		return true;
	case SN_CFA_PLT:
		*cfa = f->sp + 8 + ((f->pc & 15) >= off ? 8 : 0);
		return true;
	case SN_CFA_FP_DEREF:
	case SN_CFA_SP_DEREF:
		if (!sn_read(&f->reader, (q->cfa == SN_CFA_FP_DEREF ? f->fp : f->sp) + off, cfa))
			return false;
		*cfa += q->aux;
		return true;
	case SN_CFA_REG:
		/* Others keep the interrupted value, which is libgcc's rule as well.  These a frame may have saved. */
		if (!f->exact && IS_SAVED_BY_CALLEE(q->aux))
			return false;
		*cfa = uc_register(f->uc, q->aux) + off;
		return true;
	default:
		return false;
	}
}

static void
restore(struct frame *f, uint64_t *reg, uint8_t how, uint64_t cfa, uint64_t old_fp, int16_t off)
{
	/* gcc's epilogues of realigned frames go on to say "at FP" when FP and all else are restored already. */
	if (how == SN_SAVED_SAME || (how == SN_SAVED_FP && (old_fp < f->sp || old_fp >= cfa)))
		return;
	if (how > SN_SAVED_FP ||
	    !sn_read(&f->reader, (how == SN_SAVED_CFA ? cfa : old_fp) + (uint64_t)(int64_t)off, reg))
		*reg = 0;		/* the walk goes on as long as nothing needs it */
}

static bool
find_ra(struct frame *f, const struct sn_rule *q, uint64_t cfa, uint64_t *ra)
{
	if (q->ra == SN_SAVED_CFA)
		return sn_read(&f->reader, cfa + (uint64_t)(int64_t)q->ra_off, ra);
	if (!f->exact)
		return false;		/* a call has overwritten it */
#if defined(__aarch64__)
	if (q->ra == SN_SAVED_SAME) {
		*ra = f->uc->uc_mcontext.regs[30];
		return true;
	}
#endif
	if (q->ra != SN_SAVED_REG || q->ra_off < 0)
		return false;
	*ra = uc_register(f->uc, (unsigned)q->ra_off);
	return true;
}

static RARE enum step
step_by_rule(struct frame *f, const struct sn_rule *q)
{
	uint64_t cfa, ra, old_fp = f->fp;
	bool was_own = sn_reader_is_own(&f->reader, f->sp);

	if (q->cfa == SN_CFA_SIGNAL)
		return step_to_interrupted(f);
	if (q->cfa == SN_CFA_END)
		return STEP_END;
	if (q->cfa >= SN_CFA_BAD)
		return STEP_UNKNOWN;
	if (!find_cfa(f, q, &cfa) || !find_ra(f, q, cfa, &ra))
		return STEP_FAILED;
	/* A caller lies above; only from a split stack or a coroutine one comes down to the thread's own. */
	if (cfa < f->sp + (f->exact ? 0 : 1) && (was_own || !sn_reader_is_own(&f->reader, cfa)))
		return STEP_FAILED;
	restore(f, &f->bx, q->bx, cfa, old_fp, q->bx_off);
	restore(f, &f->fp, q->fp, cfa, old_fp, q->fp_off);
	f->sp = cfa;
	f->pc = PLAIN(ra);
	f->exact = false;
	f->by_fp = false;
	return f->pc == 0 ? STEP_END : f->pc < PC_MIN ? STEP_FAILED : STEP_FRAME;
}

/*
 * A signal trampoline was never called: its "return address" is its first instruction, and its FDE begins a byte early
 * for those who subtract; where it does not, nothing else covers the byte before.
 */
static RARE const struct sn_rule *
look_for_trampoline(const struct sn_walk *w, struct frame *f, const struct sn_rule *q)
{
	const struct sn_rule *next = f->pc < f->text->limit ? rule_at(w, f->text, f->pc) : NULL;

	if (next == NULL || next->cfa != SN_CFA_SIGNAL)
		return q;
	f->exact = true;
	return next;
}

/* Any step but a plain one; its frame goes into *out. */
static RARE enum step
step_otherwise(struct sn_walk *w, struct frame *f, const struct sn_rule *q, bool known, uint64_t *out)
{
	enum step step;

	if (!known && !f->exact && find_text(w, f->pc - 1) == NULL)
		return STEP_NO_CODE;	/* whatever that was, it was no return address */
	if (q != NULL && q->cfa == SN_CFA_SIGNAL)
		f->exact = true;
	else if (known && !f->exact && f->text->kind == SN_TEXT_TABLE && (q == NULL || q->cfa == SN_CFA_NONE))
		q = look_for_trampoline(w, f, q);
	*out = f->exact ? f->pc : f->pc - 1;
	if (!known)
		return STEP_UNKNOWN;
	if (q != NULL && q->cfa != SN_CFA_NONE)
		return step_by_rule(f, q);
	step = step_without_cfi(w, f);
	if (step == STEP_FRAME)
		f->exact = false;
	return step;
}

static void
begin(const struct sn_walk *w, struct frame *f, const ucontext_t *uc)
{
	f->pc = PLAIN(UC_PC(uc));
	f->sp = UC_SP(uc);
	f->fp = UC_FP(uc);
	f->bx = UC_BX(uc);
	f->uc = uc;
	f->exact = true;
	f->by_fp = false;
	f->text = NULL;
	sn_reader_begin(&f->reader, w->stack_lo, w->stack_hi);
	sn_reader_enter(&f->reader, f->sp);
}

static enum sn_walk_end
end_of(enum step step)
{
	return step == STEP_END ? SN_WALK_COMPLETE : step == STEP_FAILED ? SN_WALK_FAILED : SN_WALK_UNKNOWN;
}

/*
 * What changes from frame to frame, in registers: through memory each step would wait for the one before.  A caller is
 * looked up by the call, not by what comes after it: `at` is the return address less one.
 */
struct regs {
	uint64_t at, sp, fp, bx;
	bool exact;
};

static inline __attribute__((always_inline)) struct regs
regs_of(const struct frame *f)
{
	return (struct regs){ f->exact ? f->pc : f->pc - 1, f->sp, f->fp, f->bx, f->exact };
}

static inline __attribute__((always_inline)) void
set_regs(struct frame *f, const struct regs *r)
{
	f->pc = r->exact ? r->at : r->at + 1;
	f->sp = r->sp;
	f->fp = r->fp;
	f->bx = r->bx;
	f->exact = r->exact;
}

/* A word of the stack that is known to be there, without a branch for its alignment: then it lies far off. */
static inline __attribute__((always_inline)) bool
take_word(const struct sn_reader *reader, uint64_t addr, uint64_t *out)
{
	uint64_t at = addr - reader->lo;

	if (!LIKELY((at >> 3 | at << 61) < (reader->hi - reader->lo) >> 3))
		return false;
	*out = *(const uint64_t *)(uintptr_t)addr;
	return true;
}

/*
 * The step that nearly all frames need: the CFA by SP or FP, everything saved at the CFA and in that part of the stack
 * which is known to be there.  False: nothing was changed, take the long way.
 */
static inline __attribute__((always_inline)) bool
step_plainly(const struct sn_reader *reader, struct regs *r, const struct sn_rule *q)
{
	uint64_t cfa = (q->cfa == SN_CFA_SP ? r->sp : r->fp) + (uint64_t)(int64_t)q->cfa_off;
	uint64_t ra, fp = r->fp, bx = r->bx;

	if (!LIKELY(q->plain && cfa > r->sp && take_word(reader, cfa + (uint64_t)(int64_t)q->ra_off, &ra)))
		return false;
	if (q->fp != SN_SAVED_SAME && !take_word(reader, cfa + (uint64_t)(int64_t)q->fp_off, &fp))
		return false;
	if (q->bx != SN_SAVED_SAME && !take_word(reader, cfa + (uint64_t)(int64_t)q->bx_off, &bx))
		return false;
	ra = PLAIN(ra);
	if (!LIKELY(ra >= PC_MIN))
		return false;
	*r = (struct regs){ ra - 1, cfa, fp, bx, false };
	return true;
}

uint32_t
sn_walk_tables(struct sn_walk *w, const ucontext_t *uc, uint64_t *frames, uint32_t max)
{
	const struct sn_text *t = NULL, *before = NULL;
	enum step step;
	struct frame f;
	struct regs r;
	uint32_t n = 0;

	begin(w, &f, uc);
	w->guessed = false;
	r = regs_of(&f);
	for (;;) {
		const struct sn_rule *q = NULL;
		uint64_t at = r.at;
		bool known = true;

		if (!LIKELY(is_in(t, at))) {
			/* Stacks go to and fro between a program and its libc. */
			f.text = before;
			before = t;
			known = is_in(f.text, at) || enter_text(w, &f, at);
			t = f.text;
		}
		if (LIKELY(known && t->kind == SN_TEXT_TABLE))
			q = rule_at(w, t, at);
		if (LIKELY(q != NULL && step_plainly(&f.reader, &r, q))) {
			frames[n] = at;
			f.by_fp = false;
		} else {
			set_regs(&f, &r);
			step = step_otherwise(w, &f, q, known, &frames[n]);
			if (step != STEP_FRAME)
				break;
			r = regs_of(&f);
		}
		if (++n == max) {
			w->end = SN_WALK_TRUNCATED;
			return n;
		}
	}
	w->end = end_of(step);
	return step == STEP_NO_CODE ? n : n + 1;
}

uint32_t
sn_walk_fp(struct sn_walk *w, const ucontext_t *uc, uint64_t *frames, uint32_t max)
{
	enum step step;
	struct frame f;
	uint32_t n = 0;

	begin(w, &f, uc);
	w->guessed = false;
	for (;;) {
		frames[n] = n == 0 ? f.pc : f.pc - 1;
		n++;
		step = step_by_fp(w, &f, false);
		if (step != STEP_FRAME)
			break;
		if (n == max) {
			w->end = SN_WALK_TRUNCATED;
			return n;
		}
	}
	w->end = end_of(step);
	return n;
}

uint32_t
sn_walk_leaf(const ucontext_t *uc, uint64_t *frames)
{
	frames[0] = PLAIN(UC_PC(uc));
	return 1;
}

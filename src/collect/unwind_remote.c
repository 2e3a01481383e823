/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind_remote.c - unwind a copied stack with libunwind's remote API (see unwind.h).
 *
 * Runs in:  collector.  libunwind is given no way to the program: memory is the copied stack and the image's
 *           copies of .eh_frame_hdr and .eh_frame, registers are those of the record.
 * Memory:   one struct per process, with libunwind's cache of register states and ours of table entries, both of
 *           fixed size.  What libunwind allocates for a frame it frees itself, from its own pool.
 *
 * libunwind 1.6 keys its cache by PC alone, though a PC means one thing as leaf (the state before that
 * instruction) and another as return address (the state of the call before it): after a call that does not return
 * they lie in two functions.  So each frame is one step of a fresh cursor, always exact: a leaf at its PC, a caller
 * at its return address minus one.  Then the key says all, and one cache serves both.
 */
#include <errno.h>
#include <libunwind.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collect/unwind.h"

/* Exported by libunwind and used by other remote unwinders, but in none of its headers. */
int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di, unw_proc_info_t *pi,
	int need_unwind_info, void *arg);

#define STATE_CACHE	1024u		/* register states that libunwind keeps, some 350 bytes each */
#define ENTRY_CACHE	1024u		/* table entries that we keep; a power of two */
#define READS_MAX	(1u << 20)	/* of 8 bytes, in one unwind; 1024 frames need some 100 000 */
#define BEYOND_MAX	(64u << 20)	/* a read this far above the copy may still have meant this stack */
#define ALL_REGS	((UINT64_C(1) << SN_NREGS) - 1)

#if defined(__x86_64__)
#define BIT_OF_FP	(UINT64_C(1) << SN_REG_FP)
#define BIT_OF_LEAF	ALL_REGS
#elif defined(__aarch64__)
#define BIT_OF_FP	(UINT64_C(1) << SN_REG_FP)
#define BIT_OF_LEAF	(ALL_REGS & ~(UINT64_C(1) << 30))
#endif
#define BIT_OF_SP	(UINT64_C(1) << SN_REG_SP)
#define BIT_OF_PC	(UINT64_C(1) << SN_REG_PC)

/* An address and what CFI there is for it. */
struct entry {
	uint64_t pc;
	struct sn_module *module;	/* NULL: not used, or in no known module */
	struct sn_cfi cfi;
	int err;			/* of sn_cfi_find or of loading */
};

struct sn_unwinder {
	struct sn_modules *modules;
	unw_addr_space_t space;
	struct entry cache[ENTRY_CACHE];

	/* The frame in hand. */
	struct sn_regs regs;
	uint64_t valid;			/* a bit for each register whose value is known */
	struct entry here;
	const uint8_t *stack;
	uint64_t stack_lo, stack_hi;	/* run-time addresses of the copy */
	uint32_t reads_left;
	bool searching;			/* libunwind reads table entry, FDE and CIE */
	bool no_info;			/* it could not use them */
	bool ran_off;			/* it wanted stack beyond the copy */
};

/* What became of one frame. */
enum step { STEP_FRAME, STEP_END, STEP_OFF, STEP_BAD };

/* Code addresses may carry a signature in their upper bits. */
static uint64_t
plain_pc(uint64_t pc)
{
#if defined(__aarch64__)
	return pc & ((UINT64_C(1) << 48) - 1);
#else
	return pc;
#endif
}

/* A word of the copied stack. */
static bool
stack_word(const struct sn_unwinder *u, uint64_t addr, uint64_t *out)
{
	if (addr < u->stack_lo || addr >= u->stack_hi || u->stack_hi - addr < 8)
		return false;
	memcpy(out, u->stack + (addr - u->stack_lo), 8);
	return true;
}

/*
 * The 8 bytes at addr, 0 for those outside of [base, base + len): libunwind reads bytes by way of aligned words, and
 * a section begins and ends where it likes.  false: all are outside.
 */
static bool
read_part(const uint8_t *data, uint64_t base, uint64_t len, uint64_t addr, uint64_t *out)
{
	uint64_t gap = base - addr, at = addr - base;

	*out = 0;
	if (addr < base) {
		if (gap >= 8)
			return false;
		memcpy((uint8_t *)out + gap, data, len < 8 - gap ? len : 8 - gap);
		return len > 0;
	}
	if (at >= len)
		return false;
	memcpy(out, data + at, len - at < 8 ? len - at : 8);
	return true;
}

/* The module's CFI at its run-time addresses. */
static bool
read_cfi(const struct sn_module *m, uint64_t addr, uint64_t *out)
{
	const struct sn_image *image = m == NULL ? NULL : m->image;

	return image != NULL && image->cfi_state == 1 &&
		(read_part(image->hdr, image->hdr_vaddr + m->bias, image->hdr_bytes, addr, out) ||
		 read_part(image->frame, image->frame_vaddr + m->bias, image->frame_bytes, addr, out));
}

/* Was it the end of the copy that kept a read from its word? */
static bool
is_beyond(const struct sn_unwinder *u, uint64_t addr)
{
	if (addr < u->stack_hi)
		return addr >= u->stack_lo;
	return addr - u->stack_hi < BEYOND_MAX && sn_modules_find(u->modules, addr) == NULL;
}

static int
access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *val, int write, void *arg)
{
	struct sn_unwinder *u = arg;
	uint64_t word;

	(void)as;
	if (write || u->reads_left == 0)
		return -UNW_EINVAL;
	u->reads_left--;
	if (!stack_word(u, addr, &word) && !read_cfi(u->here.module, addr, &word)) {
		if (!u->searching) {
			u->ran_off |= is_beyond(u, addr);
			return -UNW_EINVAL;
		}
		word = 0;	/* the pointer to a personality routine: of no use to us, but a CIE without fails */
	}
	*val = word;
	return 0;
}

static int
access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *val, int write, void *arg)
{
	struct sn_unwinder *u = arg;

	(void)as;
	/* libunwind numbers these registers as struct sn_regs does, after DWARF */
	if (write || reg < 0 || reg >= SN_NREGS || !(u->valid >> reg & 1))
		return -UNW_EBADREG;
	*val = u->regs.r[reg];
	return 0;
}

static int
access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *val, int write, void *arg)
{
	(void)as, (void)reg, (void)val, (void)write, (void)arg;
	return -UNW_EBADREG;
}

/* Give libunwind the one table entry that was found and checked; it need not search. */
static int
find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need_unwind_info, void *arg)
{
	struct sn_unwinder *u = arg;
	const struct sn_module *module = u->here.module;
	unw_dyn_info_t di = { .format = UNW_INFO_FORMAT_REMOTE_TABLE };
	int err = -UNW_ENOINFO;

	if (module != NULL && u->here.err == 0 && ip == u->here.pc) {
		di.start_ip = module->start;
		di.end_ip = module->limit;
		di.u.rti.segbase = module->image->hdr_vaddr + module->bias;
		di.u.rti.table_data = u->here.cfi.entry;
		di.u.rti.table_len = 8 / sizeof(unw_word_t);
		u->searching = true;
		err = UNW_OBJ(dwarf_search_unwind_table)(as, ip, &di, pi, need_unwind_info, arg);
		u->searching = false;
	}
	if (err < 0)
		u->no_info = true;
	return err;
}

static void
put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	(void)as, (void)pi, (void)arg;	/* libunwind frees what dwarf_search_unwind_table took from its own pool */
}

static int
get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *addr, void *arg)
{
	(void)as, (void)addr, (void)arg;
	return -UNW_ENOINFO;
}

static int
resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as, (void)cursor, (void)arg;
	return -UNW_EINVAL;
}

static int
get_proc_name(unw_addr_space_t as, unw_word_t addr, char *buf, size_t len, unw_word_t *offset, void *arg)
{
	(void)as, (void)addr, (void)buf, (void)len, (void)offset, (void)arg;
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = get_dyn_info_list_addr,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = resume,
	.get_proc_name = get_proc_name,
};

struct sn_unwinder *
sn_unwinder_new(struct sn_modules *modules)
{
	struct sn_unwinder *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->modules = modules;
	u->space = unw_create_addr_space(&accessors, 0);
	if (u->space == NULL) {
		free(u);
		return NULL;
	}
	/* Both can only fail for want of memory, and then leave libunwind as it was: slower, not wrong. */
	(void)unw_set_caching_policy(u->space, UNW_CACHE_GLOBAL);
	(void)unw_set_cache_size(u->space, STATE_CACHE, 0);
	return u;
}

void
sn_unwinder_free(struct sn_unwinder *u)
{
	if (u == NULL)
		return;
	unw_destroy_addr_space(u->space);
	free(u);
}

void
sn_unwinder_flush(struct sn_unwinder *u)
{
	unw_flush_cache(u->space, 0, 0);
	memset(u->cache, 0, sizeof(u->cache));
}

/* Into u->here: the module of pc and its CFI, from the cache when it was asked before. */
static void
look_up(struct sn_unwinder *u, uint64_t pc)
{
	struct entry *e = &u->cache[(pc * UINT64_C(0x9e3779b97f4a7c15)) >> 54 & (ENTRY_CACHE - 1)];
	struct sn_module *m;

	if (e->module == NULL || e->pc != pc) {
		*e = (struct entry){ .pc = pc, .module = sn_modules_find(u->modules, pc), .err = -ENOENT };
		m = e->module;
		if (m != NULL && m->image != NULL)
			e->err = sn_image_load_cfi(u->modules->images, m->image);
		if (m != NULL && m->image != NULL && e->err == 0)
			e->err = sn_cfi_find(m, pc, &e->cfi);
	}
	u->here = *e;
}

/* Step by CFI; u->regs and u->valid become those of the caller. */
static enum step
step_by_cfi(struct sn_unwinder *u)
{
	struct sn_regs next;
	uint64_t valid = 0;
	unw_cursor_t cursor;
	unw_word_t word;
	int more;

	u->no_info = u->ran_off = false;
	u->regs.r[SN_REG_PC] = u->here.pc;
	if (unw_init_remote(&cursor, u->space, u) < 0)
		return STEP_BAD;
	more = unw_step(&cursor);
	/* without CFI unw_step guesses by code bytes that it cannot see here; our own guess is better */
	if (u->no_info || u->reads_left == 0)
		return STEP_BAD;
	if (u->ran_off)
		return STEP_OFF;
	if (more < 0)
		return STEP_BAD;
	if (unw_get_reg(&cursor, UNW_REG_IP, &word) < 0)
		return more == 0 ? STEP_END : STEP_BAD;		/* its return address is undefined: the outermost */
	if (more == 0 && word == u->here.pc)
		return STEP_BAD;				/* so says aarch64 when a step failed */
	if (more == 0 || word == 0)
		return STEP_END;
	next.r[SN_REG_PC] = plain_pc(word);
	for (int reg = 0; reg < SN_NREGS; reg++) {
		if (reg == SN_REG_PC || unw_get_reg(&cursor, reg, &word) < 0)
			continue;	/* not kept, or saved beyond the copy: unknown from here on */
		next.r[reg] = word;
		valid |= UINT64_C(1) << reg;
	}
	u->regs = next;
	u->valid = valid | BIT_OF_PC;
	return STEP_FRAME;
}

/*
 * A leaf in code without CFI (PLT, assembler, a bad pointer that was called) most often has not yet moved SP: then
 * the return address is where the call put it.
 */
static bool
guess_leaf(struct sn_unwinder *u)
{
	uint64_t ra;

#if defined(__aarch64__)
	ra = plain_pc(u->regs.r[30]);
#else
	if (!stack_word(u, u->regs.r[SN_REG_SP], &ra))
		return false;
#endif
	if (sn_modules_find(u->modules, ra) == NULL)
		return false;
#if defined(__x86_64__)
	u->regs.r[SN_REG_SP] += 8;
#endif
	u->regs.r[SN_REG_PC] = ra;
	u->valid &= BIT_OF_LEAF;
	return true;
}

/* The chain of frame pointers: JIT code and Go keep it where there is no CFI. */
static enum step
guess_by_fp(struct sn_unwinder *u, bool in_chain, bool is_cut)
{
	uint64_t fp = u->regs.r[SN_REG_FP], up, ra;

	if (!(u->valid & BIT_OF_FP))
		return STEP_BAD;
	if (fp == 0 && in_chain)
		return STEP_END;
	if (fp % 8 != 0 || fp < u->regs.r[SN_REG_SP])
		return STEP_BAD;
	if (!stack_word(u, fp, &up) || !stack_word(u, fp + 8, &ra))
		return is_cut && fp < u->stack_hi + BEYOND_MAX ? STEP_OFF : STEP_BAD;
	ra = plain_pc(ra);
	if (ra == 0)
		return STEP_END;
	if (sn_modules_find(u->modules, ra) == NULL)
		return STEP_BAD;
	u->regs.r[SN_REG_PC] = ra;
	u->regs.r[SN_REG_SP] = fp + 16;
	u->regs.r[SN_REG_FP] = up;
	u->valid = BIT_OF_PC | BIT_OF_SP | BIT_OF_FP;	/* what such a frame did with the others nobody knows */
	return STEP_FRAME;
}

/* How the frame in hand was reached. */
struct walk {
	bool exact;	/* PC is that of an instruction to come, not a return address */
	bool by_fp;	/* guess_by_fp led here */
	bool is_cut;
	bool elsewhere;	/* a signal came from a stack that was not copied */
};

static enum step
step_without_cfi(struct sn_unwinder *u, struct walk *w)
{
	bool jit = u->here.module != NULL && u->here.module->kind == SN_MODULE_ANON;
	struct sn_regs regs = u->regs;
	enum step step;

	/* JIT code has frames, and pointers to code among its values: there the chain is the better guess */
	if (w->exact && !jit && guess_leaf(u)) {
		w->by_fp = false;
		return STEP_FRAME;
	}
	step = guess_by_fp(u, w->by_fp, w->is_cut);
	w->by_fp = true;
	if (step == STEP_BAD && w->exact && jit) {
		u->regs = regs;
		if (guess_leaf(u)) {
			w->by_fp = false;
			return STEP_FRAME;
		}
	}
	return step;
}

/* From the frame in hand to its caller. */
static enum step
step_once(struct sn_unwinder *u, struct walk *w)
{
	uint64_t sp = u->regs.r[SN_REG_SP];
	bool signal = false;
	enum step step;

	if (w->elsewhere)
		return STEP_OFF;
	if (u->here.err == 0) {
		signal = u->here.cfi.signal;
		step = step_by_cfi(u);
		w->by_fp = false;
		if (step == STEP_BAD && u->no_info)
			step = step_without_cfi(u, w);
	} else {
		step = step_without_cfi(u, w);
	}
	if (step != STEP_FRAME)
		return step;
	/* A stack grows downwards, so a caller is above; only a signal may have come from another stack. */
	if (!(u->valid & BIT_OF_SP) || (!signal && u->regs.r[SN_REG_SP] < sp + (w->exact ? 0 : 1)))
		return STEP_BAD;
	if (sn_modules_find(u->modules, u->regs.r[SN_REG_PC]) == NULL)
		return STEP_BAD;
	w->exact = signal;
	w->elsewhere = signal && (u->regs.r[SN_REG_SP] < u->stack_lo || u->regs.r[SN_REG_SP] > u->stack_hi);
	return STEP_FRAME;
}

/*
 * Into u->here: the frame whose PC is in regs.  A caller is looked up by the call, not by what comes after it.  A
 * signal trampoline was never called: its "return address" is its first instruction, and its FDE begins a byte
 * early for those who subtract; where it does not, nothing else covers the byte before.
 */
static void
find_frame(struct sn_unwinder *u, struct walk *w)
{
	uint64_t pc = u->regs.r[SN_REG_PC];
	struct entry before;

	look_up(u, w->exact ? pc : pc - 1);
	if (w->exact)
		return;
	if (u->here.err == 0) {
		w->exact = u->here.cfi.signal;
		return;
	}
	before = u->here;
	look_up(u, pc);
	if (u->here.err == 0 && u->here.cfi.signal)
		w->exact = true;
	else
		u->here = before;
}

static enum sn_unwind_end
end_of(enum step step, bool is_cut)
{
	if (step == STEP_END)
		return SN_UNWIND_COMPLETE;
	return step == STEP_OFF && is_cut ? SN_UNWIND_TRUNCATED : SN_UNWIND_FAILED;
}

void
sn_unwind(struct sn_unwinder *u, const struct sn_regs *regs, const uint8_t *stack, uint32_t stack_bytes,
	int stack_is_cut, uint32_t depth, struct sn_unwound *out)
{
	struct walk w = { .exact = true, .is_cut = stack_is_cut != 0 };
	enum step step;

	u->regs = *regs;
	u->regs.r[SN_REG_PC] = plain_pc(regs->r[SN_REG_PC]);
	u->valid = ALL_REGS;
	u->stack = stack;
	u->stack_lo = regs->r[SN_REG_SP];
	u->stack_hi = u->stack_lo + stack_bytes < u->stack_lo ? u->stack_lo : u->stack_lo + stack_bytes;
	u->reads_left = READS_MAX;
	if (depth == 0 || depth > SN_FRAMES_MAX)
		depth = SN_FRAMES_MAX;
	out->count = 0;
	for (;;) {
		uint64_t pc = u->regs.r[SN_REG_PC];

		find_frame(u, &w);
		out->pc[out->count++] = w.exact ? pc : pc - 1;
		step = step_once(u, &w);
		if (step != STEP_FRAME)
			break;
		if (out->count == depth) {
			out->end = SN_UNWIND_TRUNCATED;
			return;
		}
	}
	out->end = end_of(step, w.is_cut || w.elsewhere);
}

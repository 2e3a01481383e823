/* SPDX-License-Identifier: Apache-2.0
 *
 * engines.c - the engines of the stepper (see engines.h).
 *
 * Runs in:  the stepper's module.  libunwind and libgcc are copies of this name space; dl_iterate_phdr is defined here,
 *           so that libunwind sees the program's modules.
 * Memory:   one of each, kept; tables of an image are kept as long as the process lives.
 */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>
#include <setjmp.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#include "collect/unwind.h"
#include "hot/find_object.h"
#include "hot/hot.h"
#include "step/engines.h"
#include "step/maps.h"

const char *const sn_step_engine_name[ENGINES] = { "tables", "libunwind", "libgcc", "fp", "copied" };

volatile int sn_engines_running = -1;
static sigjmp_buf crash;
static const struct sn_step_base *base;
static struct sn_unwinder *unwinder;
/* libgcc's: libunwind has functions of the same names. */
static __typeof__(&_Unwind_Backtrace) libgcc_backtrace;
static __typeof__(&_Unwind_GetIP) libgcc_ip;

int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *arg);

/* Ahead of libc's, which would tell of this name space alone, and take the loader's lock. */
__attribute__((visibility("default"))) int
dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	return sn_maps_iterate(visit, arg);
}

int
sn_engines_begin(const struct sn_step_base *b)
{
	void *libgcc;
	int err;

	base = b;
	/* The loader's own: one for all name spaces. */
	sn_find_object = (sn_find_object_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "_dl_find_object");
	libgcc = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
	if (libgcc == NULL)
		return -ELIBACC;
	libgcc_backtrace = (__typeof__(libgcc_backtrace))(uintptr_t)dlsym(libgcc, "_Unwind_Backtrace");
	libgcc_ip = (__typeof__(libgcc_ip))(uintptr_t)dlsym(libgcc, "_Unwind_GetIP");
	err = sn_maps_begin(b);
	if (err != 0 || libgcc_backtrace == NULL || libgcc_ip == NULL)
		return err != 0 ? err : -ELIBACC;
	unwinder = sn_unwinder_new(sn_maps_modules());
	if (unwinder == NULL)
		return -ENOMEM;
	/* Its cache takes a return address for a leaf's PC, and is wrong behind calls that do not return. */
	(void)unw_set_caching_policy(unw_local_addr_space, UNW_CACHE_NONE);
	return sn_engines_refresh();
}

int
sn_engines_refresh(void)
{
	int err = sn_maps_refresh();

	if (err != 0)
		return err;
	sn_unwinder_flush(unwinder);
	unw_flush_cache(unw_local_addr_space, 0, 0);
	return 0;
}

bool
sn_engines_crashed(void)
{
	if (sn_engines_running < 0)
		return false;
	siglongjmp(crash, 1);
}

static void
add(struct stack *out, uint64_t pc)
{
	out->frame[out->count++] = pc;
}

static void
run_tables(const ucontext_t *uc, struct bounds b, struct stack *out, bool fp)
{
	struct sn_walk w = { .stack_lo = b.lo, .stack_hi = b.hi };

	sn_maps_tables(&w);
	out->cooked = true;
	out->count = (fp ? sn_walk_fp : sn_walk_tables)(&w, uc, out->frame, SN_FRAMES_MAX);
	out->end = w.end;
	out->guessed = w.guessed;
}

static void
run_libunwind(const ucontext_t *uc, struct stack *out)
{
	ucontext_t copy = *uc;	/* it is not const there */
	unw_cursor_t cursor;
	unw_word_t pc;

	if (unw_init_local2(&cursor, &copy, UNW_INIT_SIGNAL_FRAME) < 0)
		return;
	do {
		if (unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0 || pc < SN_PAGE)
			break;
		add(out, pc);
	} while (out->count < SN_FRAMES_MAX && unw_step(&cursor) > 0);
}

#define ENTRY_BYTES	0x80u

struct visit {
	struct stack *out;
	uint32_t below;			/* 1: in sn_step_entry, 2: in its trampoline */
};

static _Unwind_Reason_Code
visit_frame(struct _Unwind_Context *c, void *arg)
{
	struct visit *v = arg;
	uint64_t pc = libgcc_ip(c);

	/* It begins here, in the stepper: pass over all up to the trampoline of our own signal. */
	if (v->below < 2) {
		if (v->below == 1 || pc - base->entry < ENTRY_BYTES)
			v->below++;
		return _URC_NO_REASON;
	}
	if (pc < SN_PAGE || v->out->count == SN_FRAMES_MAX)
		return _URC_END_OF_STACK;
	add(v->out, pc);
	return _URC_NO_REASON;
}

static void
run_libgcc(struct stack *out)
{
	struct visit v = { out, 0 };

	(void)libgcc_backtrace(visit_frame, &v);
}

static void
run_copied(const ucontext_t *uc, struct stack *out)
{
	static struct sn_unwound unwound;
	static uint8_t copy[SN_COPY_MAX];
	struct sn_regs regs;
	struct iovec to = { copy, sizeof(copy) }, from;
	ssize_t n;

	sn_regs_from_ucontext(&regs, uc);
	from = (struct iovec){ (void *)(uintptr_t)regs.r[SN_REG_SP], sizeof(copy) };
	n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	if (n < 0)
		n = 0;
	sn_unwind(unwinder, &regs, copy, (uint32_t)n, n == sizeof(copy), SN_FRAMES_MAX, &unwound);
	out->cooked = true;
	out->count = unwound.count;
	memcpy(out->frame, unwound.pc, unwound.count * sizeof(unwound.pc[0]));
	out->end = unwound.end == SN_UNWIND_COMPLETE ? SN_WALK_COMPLETE :
		unwound.end == SN_UNWIND_TRUNCATED ? SN_WALK_TRUNCATED : SN_WALK_FAILED;
}

void
sn_engines_run(enum engine e, const ucontext_t *uc, struct bounds b, struct stack *out)
{
	out->ran = true;
	out->crashed = out->cooked = out->guessed = false;
	out->end = SN_WALK_COMPLETE;
	out->count = 0;
	if (sigsetjmp(crash, 0) != 0) {
		out->crashed = true;
		out->end = SN_WALK_FAILED;
		sn_engines_running = -1;
		return;
	}
	sn_engines_running = e;
	switch (e) {
	case ENGINE_TABLES: run_tables(uc, b, out, false); break;
	case ENGINE_FP: run_tables(uc, b, out, true); break;
	case ENGINE_LIBUNWIND: run_libunwind(uc, out); break;
	case ENGINE_LIBGCC: run_libgcc(out); break;
	case ENGINE_COPIED: run_copied(uc, out); break;
	case ENGINES: break;
	}
	sn_engines_running = -1;
}

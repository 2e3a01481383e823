/* SPDX-License-Identifier: Apache-2.0
 *
 * module.c - the stepper: after each instruction of the program, compare what the engines say with what is true.
 *
 * Runs in:  SIGTRAP's handler, on the stepper's stack and under its lock, in a name space of its own: malloc and stdio
 *           here are not the program's.
 * System calls that would end the stepping or that it must know of are done in the program's stead: masks never get
 * SIGTRAP (a trap that is blocked kills), handlers get a wrapper that sets the trap flag again.
 *
 * STEP_SKIP=N     compare nothing in the first N steps
 * STEP_EVERY=N    then compare each N-th
 * STEP_MAX=N      end the program's stepping after N comparisons (0: never)
 * STEP_REFS=N     libunwind and libgcc at each N-th comparison (1)
 * STEP_COPIED=N   the copied way at each N-th comparison (16)
 * STEP_FP=1       frame pointers too, where the program keeps one
 * STEP_SPOIL=N    at the N-th comparison, spoil the rule of the program that is in force
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "step/report.h"

#define THREADS_MAX	64u
#define TRAP_FLAG	0x100

struct thread {
	pid_t tid;		/* 0: free */
	struct bounds stack;
	struct shadow shadow;
};

/* As the kernel has it. */
struct kernel_action {
	uint64_t handler, flags, restorer, mask;
};

static const struct sn_step_base *base;
static struct thread thread[THREADS_MAX];
static pid_t pid;
static uint64_t start_pc;	/* the program's entry */
static bool dirty;		/* the mappings changed */
static bool finished;
static uint64_t skip, every = 1, max, refs = 1, copied = 16, spoil;
static bool fp;
static struct truth truth;
static struct stack stack[ENGINES];

__attribute__((visibility("default"))) int sn_step_begin(const struct sn_step_base *base);
__attribute__((visibility("default"))) void sn_step_trap(ucontext_t *uc);

static uint64_t
number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

static void
on_fault(int sig)
{
	(void)sn_engines_crashed();	/* does not come back if an engine did it */
	(void)signal(sig, SIG_DFL);
}

int
sn_step_begin(const struct sn_step_base *b)
{
	struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	int err;

	base = b;
	pid = getpid();
	start_pc = getauxval(AT_ENTRY);
	skip = number("STEP_SKIP", 0);
	every = number("STEP_EVERY", 1);
	max = number("STEP_MAX", 0);
	refs = number("STEP_REFS", 1);
	copied = number("STEP_COPIED", 16);
	fp = number("STEP_FP", 0) != 0;
	spoil = number("STEP_SPOIL", 0);
	if (every == 0 || refs == 0 || copied == 0)
		return -EINVAL;
	err = sn_engines_begin(b);
	if (err == 0)
		err = sn_report_begin();
	if (err == 0 && (sigaction(SIGSEGV, &sa, NULL) != 0 || sigaction(SIGBUS, &sa, NULL) != 0))
		err = -errno;
	return err;
}

static void
finish(void)
{
	if (finished)
		return;
	finished = true;
	sn_report_write();
}

/* The thread's own record.  NULL: a child that shares or copied our memory, or one thread too many. */
static struct thread *
this_thread(uint64_t sp)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct thread *free_one = NULL;
	static bool first = true;

	for (uint32_t i = 0; i < THREADS_MAX; i++) {
		if (thread[i].tid == tid)
			return &thread[i];
		if (thread[i].tid == 0 && free_one == NULL)
			free_one = &thread[i];
	}
	if (syscall(SYS_getpid) != pid || free_one == NULL || sn_shadow_new(&free_one->shadow, !first) != 0)
		return NULL;
	first = false;
	free_one->tid = tid;
	if (sn_engines_refresh() != 0)
		abort();
	free_one->stack = sn_engines_bounds(sp);
	return free_one;
}

/* Right until where?  Frames that are the same are not looked at twice: how many of truth's frames s has. */
static uint32_t
same_frames(const struct stack *s)
{
	const uint64_t *want = s->cooked ? truth.cooked : truth.raw;
	uint32_t i = 0;

	while (i < s->count && i < truth.count && s->frame[i] == want[i])
		i++;
	return i;
}

static enum verdict
judge(const struct stack *s, uint32_t same)
{
	if (s->crashed)
		return VERDICT_CRASH;
	if (same == truth.count && (s->count == same || !truth.complete))
		return VERDICT_RIGHT;
	if (same == s->count && (!s->cooked || s->end != SN_WALK_COMPLETE))
		return VERDICT_SHORT;
	return s->guessed ? VERDICT_GUESS : VERDICT_WRONG;
}

/* Beyond what the judge knows: the tables' frames against another engine's.  How many are the same. */
static uint32_t
common(const struct stack *t, const struct stack *ref)
{
	uint32_t i = 0;

	while (i < t->count && i < ref->count && (t->frame[i] == ref->frame[i] || t->frame[i] == ref->frame[i] - 1))
		i++;
	return i;
}

/* Where the judge does not know all: do the tables agree with libunwind or with libgcc? */
static enum verdict
compare_references(uint32_t *same)
{
	const struct stack *t = &stack[ENGINE_TABLES];
	bool is_short = false;

	for (int e = ENGINE_LIBUNWIND; e <= ENGINE_LIBGCC; e++) {
		uint32_t n = common(t, &stack[e]);

		if (n == t->count && n == stack[e].count)
			return VERDICT_RIGHT;
		if (n == t->count && t->end != SN_WALK_COMPLETE)
			is_short = true;
		if (n > *same)
			*same = n;
	}
	if (is_short)
		return VERDICT_SHORT;
	return t->guessed ? VERDICT_GUESS : VERDICT_DIFFERS;
}

static bool
wants(enum engine e, uint64_t n, const ucontext_t *uc)
{
	uint64_t pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	const struct sn_module *m;

	switch (e) {
	case ENGINE_LIBUNWIND: case ENGINE_LIBGCC:
		return n % refs == 0;
	case ENGINE_COPIED:	/* and where auto takes it */
		return n % copied == 0 || stack[ENGINE_TABLES].end == SN_WALK_UNKNOWN;
	case ENGINE_FP:
		m = fp ? sn_engines_module(pc) : NULL;
		return m != NULL && m->is_main && sn_engines_cfa(pc) == SN_CFA_FP;
	default:
		return true;
	}
}

/* Frame pointers are kept in the program alone: what they say of its callers in libraries is no matter. */
static void
leave_to_program(struct stack *s)
{
	const struct sn_module *m;
	uint32_t i = 0;

	while (i < truth.count && (m = sn_engines_module(truth.cooked[i])) != NULL && m->is_main)
		i++;
	if (i < truth.count && s->count > i && same_frames(s) >= i) {
		memcpy(s->frame + i, truth.cooked + i, (truth.count - i) * sizeof(s->frame[0]));
		s->count = truth.count;
		s->end = SN_WALK_COMPLETE;
	}
}

/* The tables' frames beyond truth's stand for it in a report. */
static void
note(enum engine e, enum verdict v, uint32_t same)
{
	struct truth *t = &truth;

	for (uint32_t i = t->count; i < same && i < stack[e].count; i++)
		t->raw[i] = t->cooked[i] = stack[e].frame[i];
	sn_report_event(e, v, &stack[e], same, t);
}

/* Did an engine that goes by the same CFI find the same wrong frame? */
static bool
is_misled(const ucontext_t *uc, const struct thread *t, uint32_t same)
{
	uint64_t got = stack[ENGINE_TABLES].frame[same];

	for (enum engine e = ENGINE_LIBUNWIND; e <= ENGINE_LIBGCC; e++) {
		struct stack *ref = &stack[e];

		sn_engines_run(e, uc, t->stack, ref);
		if (same_frames(ref) == same && same < ref->count &&
		    (ref->frame[same] == got || ref->frame[same] - 1 == got))
			return true;
	}
	return false;
}

static bool
compare_one(enum engine e, const struct thread *t, const ucontext_t *uc)
{
	struct stack *s = &stack[e];
	enum verdict v;
	uint32_t same;

	sn_engines_run(e, uc, t->stack, s);
	if (e == ENGINE_FP)
		leave_to_program(s);
	same = same_frames(s);
	v = judge(s, same);
	if (e == ENGINE_TABLES && v == VERDICT_WRONG && same < s->count && is_misled(uc, t, same))
		v = VERDICT_MISLED;
	/* The copied way says when the copy ended first: that is its nature, and no difference. */
	if (e == ENGINE_COPIED && v == VERDICT_SHORT && s->end == SN_WALK_TRUNCATED) {
		sn_step_totals.count[e][VERDICT_SHORT]++;
		return true;
	}
	sn_step_totals.count[e][v]++;
	if (v != VERDICT_RIGHT)
		note(e, v, same);
	return v == VERDICT_RIGHT;
}

/* The stepper's own libraries end before the program's: their exit handlers are stepped, and no matter. */
static bool
is_ours(void)
{
	static bool seen;
	bool ours = sn_engines_is_ours(truth.raw[0]);

	seen |= ours;
	for (uint32_t i = 1; seen && !ours && i < truth.count; i++)
		ours = sn_engines_is_ours(truth.raw[i]);
	return ours;
}

static void
compare(const struct thread *t, const ucontext_t *uc)
{
	struct totals *sum = &sn_step_totals;
	uint64_t n = sum->compared;
	bool right = true, refs_ran = wants(ENGINE_LIBUNWIND, n, uc);
	uint32_t same;
	enum verdict v;

	sn_shadow_truth(&t->shadow, uc, &truth);
	if (is_ours())
		return;
	sum->compared++;
	if (spoil > 0 && n >= spoil && sn_engines_spoil(truth.raw[0]))
		spoil = 0;
	for (enum engine e = 0; e < ENGINES; e++)
		if (wants(e, n, uc))
			right &= compare_one(e, t, uc);
	sum->frames += stack[ENGINE_TABLES].count;
	if (stack[ENGINE_TABLES].count > sum->frames_max)
		sum->frames_max = stack[ENGINE_TABLES].count;
	sum->judged += truth.complete;
	same = same_frames(&stack[ENGINE_TABLES]);
	if (!truth.complete && refs_ran && same == truth.count) {
		v = compare_references(&same);
		if (v != VERDICT_RIGHT) {
			right = false;
			sum->count[ENGINE_TABLES][VERDICT_RIGHT]--;
			sum->count[ENGINE_TABLES][v]++;
			note(ENGINE_TABLES, v, same);
		}
	}
	sum->all_right += right;
}

static uint64_t
trap_bit(int sig)
{
	return UINT64_C(1) << (sig - 1);
}

static uint64_t *
arg(uint64_t address)
{
	return (uint64_t *)(uintptr_t)address;
}

/* rt_sigprocmask, on the mask that is in force again when the handler returns. */
static bool
do_mask(ucontext_t *uc)
{
	const greg_t *r = uc->uc_mcontext.gregs;
	uint64_t *mask = (uint64_t *)(void *)&uc->uc_sigmask, was = *mask, set;

	if (r[REG_R10] != 8)
		return false;
	if (r[REG_RSI] != 0) {
		set = *arg((uint64_t)r[REG_RSI]);
		if (r[REG_RDI] == SIG_BLOCK)
			*mask |= set;
		else if (r[REG_RDI] == SIG_UNBLOCK)
			*mask &= ~set;
		else if (r[REG_RDI] == SIG_SETMASK)
			*mask = set;
		else
			return false;
		*mask &= ~(trap_bit(SIGTRAP) | trap_bit(SIGKILL) | trap_bit(SIGSTOP));
	}
	if (r[REG_RDX] != 0)
		*arg((uint64_t)r[REG_RDX]) = was;
	uc->uc_mcontext.gregs[REG_RAX] = 0;
	return true;
}

/* rt_sigaction, with the wrapper before the program's handler.  What ours are for is left to us. */
static bool
do_action(ucontext_t *uc)
{
	const greg_t *r = uc->uc_mcontext.gregs;
	struct kernel_action act, old, *in = (struct kernel_action *)arg((uint64_t)r[REG_RSI]),
		*out = (struct kernel_action *)arg((uint64_t)r[REG_RDX]);
	int64_t sig = r[REG_RDI];
	uint64_t was;

	if (sig <= 0 || sig >= SN_STEP_SIGNALS || r[REG_R10] != 8)
		return false;
	if (sig == SIGTRAP || sig == SIGSEGV || sig == SIGBUS) {
		if (out != NULL)
			memset(out, 0, sizeof(*out));
		uc->uc_mcontext.gregs[REG_RAX] = 0;
		return true;
	}
	was = base->handlers[sig];
	if (in != NULL) {
		act = *in;
		if (act.handler > (uint64_t)(uintptr_t)SIG_IGN) {
			base->handlers[sig] = act.handler;
			act.handler = base->wrapper;
		}
		act.mask &= ~trap_bit(SIGTRAP);
	}
	if (syscall(SYS_rt_sigaction, sig, in != NULL ? &act : NULL, &old, 8) != 0) {
		uc->uc_mcontext.gregs[REG_RAX] = -errno;
		return true;
	}
	if (old.handler == base->wrapper)
		old.handler = was;
	if (out != NULL)
		*out = old;
	uc->uc_mcontext.gregs[REG_RAX] = 0;
	return true;
}

/* The instruction that is next is a system call.  true: it was done here, and is not to run. */
static bool
system_call(struct thread *t, ucontext_t *uc)
{
	const greg_t *r = uc->uc_mcontext.gregs;

	switch (r[REG_RAX]) {
	case SYS_rt_sigprocmask:
		return do_mask(uc);
	case SYS_rt_sigaction:
		return do_action(uc);
	case SYS_exit_group:
		finish();
		return false;
	case SYS_exit:
		t->tid = 0;
		return false;
	case SYS_mmap: case SYS_mprotect:
		dirty |= (r[REG_RDX] & PROT_EXEC) != 0 || sn_engines_covers((uint64_t)r[REG_RDI], (uint64_t)r[REG_RSI]);
		return false;
	case SYS_munmap: case SYS_mremap:
		dirty |= sn_engines_covers((uint64_t)r[REG_RDI], (uint64_t)r[REG_RSI]);
		return false;
	default:
		return false;
	}
}

void
sn_step_trap(ucontext_t *uc)
{
	struct thread *t = finished ? NULL : this_thread((uint64_t)uc->uc_mcontext.gregs[REG_RSP]);
	struct totals *sum = &sn_step_totals;

	if (t == NULL) {
		uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
		return;
	}
	sum->steps++;
	if (dirty) {
		dirty = false;
		if (sn_engines_refresh() != 0)
			abort();
	}
	sn_shadow_follow(&t->shadow, base, uc, start_pc);
	if (sum->steps > skip && sum->steps % every == 0)
		compare(t, uc);
	if (max > 0 && sum->compared >= max)
		finish();
	while (sn_decode((uint64_t)uc->uc_mcontext.gregs[REG_RIP]) == INSN_SYSCALL && system_call(t, uc))
		uc->uc_mcontext.gregs[REG_RIP] += 2;
	sn_shadow_next(&t->shadow, uc);
}

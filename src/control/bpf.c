/* SPDX-License-Identifier: Apache-2.0
 *
 * bpf.c - what will a seccomp filter say to a system call?  The program is about to install it.
 *
 * Runs in:  the application thread that installs it.
 * Memory:   a copy on the stack, a piece at a time; none is kept.
 * Why:      our handler ends with rt_sigreturn.  A program that has no handlers may forbid that, and would die of
 *           our next signal.
 * When it cannot be read or understood: as if it forbade it.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

#include "base/syscall.h"
#include "control/internal.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

/* Programs are short of that, loops cannot be: each step goes forward. */
struct machine {
	uint32_t a, x, m[BPF_MEMWORDS];
	uint32_t answer;
	bool done, bad;
};

/* The program's pointer may be wrong: then the kernel will say so to it. */
static int
fetch(const void *from, void *to, size_t bytes)
{
	struct iovec here = { to, bytes }, there = { (void *)(uintptr_t)from, bytes };
	long n = sn_syscall6(SYS_process_vm_readv, sn_syscall0(SYS_getpid), (long)&here, 1, (long)&there, 1, 0);

	return n == (long)bytes ? 0 : n < 0 ? (int)n : -EFAULT;
}

static void
load(struct machine *m, const struct sock_filter *f, const struct seccomp_data *data)
{
	uint32_t value = f->k;

	switch (BPF_MODE(f->code)) {
	case BPF_ABS:
		m->bad |= f->k > sizeof(*data) - sizeof(value);
		if (!m->bad)
			memcpy(&value, (const char *)data + f->k, sizeof(value));
		break;
	case BPF_LEN:
		value = sizeof(*data);
		break;
	case BPF_MEM:
		value = m->m[f->k % BPF_MEMWORDS];
		break;
	default:
		m->bad |= BPF_MODE(f->code) != BPF_IMM;
	}
	*(BPF_CLASS(f->code) == BPF_LDX ? &m->x : &m->a) = value;
}

static void
compute(struct machine *m, const struct sock_filter *f)
{
	uint32_t by = BPF_SRC(f->code) == BPF_X ? m->x : f->k;

	switch (BPF_OP(f->code)) {
	case BPF_ADD: m->a += by; break;
	case BPF_SUB: m->a -= by; break;
	case BPF_MUL: m->a *= by; break;
	case BPF_DIV: m->a = by != 0 ? m->a / by : 0; break;
	case BPF_AND: m->a &= by; break;
	case BPF_OR: m->a |= by; break;
	case BPF_XOR: m->a ^= by; break;
	case BPF_LSH: m->a = by < 32 ? m->a << by : 0; break;
	case BPF_RSH: m->a = by < 32 ? m->a >> by : 0; break;
	case BPF_NEG: m->a = -m->a; break;
	default: m->bad = true;
	}
}

static uint32_t
jump(const struct machine *m, const struct sock_filter *f)
{
	uint32_t with = BPF_SRC(f->code) == BPF_X ? m->x : f->k;
	bool is;

	switch (BPF_OP(f->code)) {
	case BPF_JA: return f->k;
	case BPF_JEQ: is = m->a == with; break;
	case BPF_JGT: is = m->a > with; break;
	case BPF_JGE: is = m->a >= with; break;
	default: is = (m->a & with) != 0; break;
	}
	return is ? f->jt : f->jf;
}

/* One step.  How many instructions it skips. */
static uint32_t
step(struct machine *m, const struct sock_filter *f, const struct seccomp_data *data)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
	case BPF_LDX:
		load(m, f, data);
		return 0;
	case BPF_ST:
		m->m[f->k % BPF_MEMWORDS] = m->a;
		return 0;
	case BPF_STX:
		m->m[f->k % BPF_MEMWORDS] = m->x;
		return 0;
	case BPF_ALU:
		compute(m, f);
		return 0;
	case BPF_JMP:
		return jump(m, f);
	case BPF_RET:
		m->answer = BPF_RVAL(f->code) == BPF_A ? m->a : f->k;
		m->done = true;
		return 0;
	default:
		if (BPF_MISCOP(f->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		return 0;
	}
}

int
sn_bpf_passes(const void *fprog, long number)
{
	struct seccomp_data data = { .nr = (int)number, .arch = ARCH };
	struct machine m = { 0 };
	struct sock_fprog prog;
	int err = fetch(fprog, &prog, sizeof(prog));

	if (err == 0 && prog.len == 0)
		err = -EINVAL;
	for (uint32_t at = 0; err == 0 && at < prog.len && !m.done && !m.bad; at++) {
		struct sock_filter f;

		err = fetch(prog.filter + at, &f, sizeof(f));
		if (err == 0)
			at += step(&m, &f, &data);
	}
	if (err < 0)
		return err;
	return m.done && !m.bad && ((m.answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW ||
	    (m.answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_LOG);
}

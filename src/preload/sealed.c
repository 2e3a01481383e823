/* SPDX-License-Identifier: Apache-2.0
 *
 * sealed.c - the program installs a seccomp filter: it was not made for our system calls, and may kill for them.
 * And the other calls of syscall() that we answer for: masks, actions, exec.
 *
 * Runs in:  application threads.
 * Rule:     from then on application threads make no system call of ours.  A filter that all threads get (TSYNC)
 *           would cover the collector too: that one ends before, for good.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/control.h"
#include "preload/preload.h"

typedef long syscall_fn(long n, ...);

void *sn_real_syscall;
static void *real_prctl;

void
sn_preload_resolve_sealed(void)
{
	(void)sn_preload_next(&sn_real_syscall, "syscall");
	(void)sn_preload_next(&real_prctl, "prctl");
}

__attribute__((visibility("default"))) int
prctl(int option, ...)
{
	int (*fn)(int, ...) = (int (*)(int, ...))sn_preload_next(&real_prctl, "prctl");
	unsigned long a, b, c, d;
	uint32_t before;
	va_list ap;
	int ret;

	va_start(ap, option);
	a = va_arg(ap, unsigned long);
	b = va_arg(ap, unsigned long);
	c = va_arg(ap, unsigned long);
	d = va_arg(ap, unsigned long);
	va_end(ap);
	if (option != PR_SET_SECCOMP || (a == SECCOMP_MODE_FILTER && b == 0))
		return fn(option, a, b, c, d);
	before = sn_control_seal(a == SECCOMP_MODE_FILTER ? (const void *)b : NULL, false);
	ret = fn(option, a, b, c, d);
	if (ret < 0)
		sn_control_unseal(before);
	return ret;
}

/* Programs ask by a mask at an address whether that can be read: the answer must not be a fault of ours. */
static bool
is_readable(const void *set)
{
	return sn_syscall4(SYS_rt_sigprocmask, -1, set, NULL, sizeof(uint64_t)) != -EFAULT;
}

static long
result(long ret)
{
	if (ret >= 0)
		return ret;
	errno = (int)-ret;
	return -1;
}

static long
exec_slow(syscall_fn *fn, long n, long a, long b, long c, long d, long e)
{
	struct sn_exec x;
	long ret;

	sn_control_exec_begin(&x, n == SYS_execve ? (const char *)a : NULL, false);
	ret = fn(n, a, b, c, d, e);
	sn_control_exec_failed(&x);
	return ret;
}

/* Nothing for us to translate: the kernel is to say what is wrong with it. */
static bool
is_plain(long n, long a, long b, long c, long size)
{
	if (size != (long)sizeof(uint64_t))
		return true;
	if (n == SYS_rt_sigprocmask && a != SIG_BLOCK && a != SIG_UNBLOCK && a != SIG_SETMASK)
		return true;
	if (sn_control_is_sealed())
		return false;
	return (b != 0 && !is_readable((const void *)b)) || (c != 0 && !is_readable((const void *)c));
}

long
sn_syscall_slow(long n, long a, long b, long c, long d, long e, long f)
{
	syscall_fn *fn = (syscall_fn *)sn_preload_next(&sn_real_syscall, "syscall");
	uint32_t before;
	long ret;

	if (n == SYS_execve || n == SYS_execveat)
		return exec_slow(fn, n, a, b, c, d, e);
	if ((n == SYS_rt_sigprocmask || n == SYS_rt_sigaction) && !is_plain(n, a, b, c, d))
		return result(n == SYS_rt_sigprocmask ?
			sn_mask_call((int)a, (const uint64_t *)b, (uint64_t *)c) :
			sn_control_raw_sigaction((int)a, (const void *)b, (void *)c));
	/* Without a filter it is a question: libseccomp asks so which flags the kernel knows. */
	if (n != SYS_seccomp || (a != SECCOMP_SET_MODE_STRICT && (a != SECCOMP_SET_MODE_FILTER || c == 0)))
		return fn(n, a, b, c, d, e, f);
	before = sn_control_seal(a == SECCOMP_SET_MODE_FILTER ? (const void *)c : NULL,
		a == SECCOMP_SET_MODE_FILTER && (b & SECCOMP_FILTER_FLAG_TSYNC) != 0);
	ret = fn(n, a, b, c, d, e, f);
	if (ret != 0 && a != SECCOMP_SET_MODE_FILTER)
		sn_control_unseal(before);
	else if (ret < 0 || (ret > 0 && (b & SECCOMP_FILTER_FLAG_NEW_LISTENER) == 0))
		sn_control_unseal(before);	/* positive: the thread that could not follow */
	return ret;
}

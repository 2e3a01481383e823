/* SPDX-License-Identifier: Apache-2.0
 *
 * sealed.c - the program installs a seccomp filter: it was not made for our system calls, and may kill for them.
 *
 * Runs in:  application threads.
 * Rule:     from then on application threads make no system call of ours.  A filter that all threads get (TSYNC)
 *           would cover the collector too: that one ends before, for good.
 */
#include <linux/seccomp.h>
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
	va_list ap;

	va_start(ap, option);
	a = va_arg(ap, unsigned long);
	b = va_arg(ap, unsigned long);
	c = va_arg(ap, unsigned long);
	d = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_SECCOMP)
		sn_control_seal(false);
	return fn(option, a, b, c, d);
}

long
sn_syscall_slow(long n, long a, long b, long c, long d, long e, long f)
{
	syscall_fn *fn = (syscall_fn *)sn_preload_next(&sn_real_syscall, "syscall");

	if (n == SYS_seccomp && (a == SECCOMP_SET_MODE_STRICT || a == SECCOMP_SET_MODE_FILTER))
		sn_control_seal(a == SECCOMP_SET_MODE_FILTER && (b & SECCOMP_FILTER_FLAG_TSYNC) != 0);
	return fn(n, a, b, c, d, e, f);
}

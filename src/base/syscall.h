/* SPDX-License-Identifier: Apache-2.0
 *
 * syscall.h - system calls without libc: no errno, no cancellation point, no TLS.
 *
 * Runs in:  anywhere, also in threads made by a raw clone() that share their creator's TLS,
 *           and in a forked child of a program with threads.
 * Result:   as the kernel gives it: negative errno on error.
 */
#ifndef SN_BASE_SYSCALL_H
#define SN_BASE_SYSCALL_H

#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long
sn_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
		: "=a"(ret)
		: "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return ret;
}

#elif defined(__aarch64__)

static inline long
sn_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
		: "+r"(x0)
		: "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
		: "memory");
	return x0;
}

#endif

#define sn_syscall0(n)			sn_syscall6((n), 0, 0, 0, 0, 0, 0)
#define sn_syscall1(n, a)		sn_syscall6((n), (long)(a), 0, 0, 0, 0, 0)
#define sn_syscall2(n, a, b)		sn_syscall6((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define sn_syscall3(n, a, b, c)		sn_syscall6((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sn_syscall4(n, a, b, c, d)	sn_syscall6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define sn_syscall5(n, a, b, c, d, e) \
	sn_syscall6((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

#endif

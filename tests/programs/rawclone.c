/* SPDX-License-Identifier: Apache-2.0
 *
 * rawclone.c - a thread made by the clone system call, behind the back of the thread library.
 *
 * Usage:    rawclone [CPU_MILLISECONDS]
 * Tells:    `raw NS` (CPU time that the raw thread used), `tid N`.
 * The thread shares the TLS of main, which sleeps in a futex meanwhile; it calls no libc function that uses TLS.
 */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"

#define STACK_BYTES	(256 * 1024)

static uint64_t budget_ns;
static volatile uint64_t used_ns;
static volatile int raw_tid = -1;

static NOINLINE uint64_t
raw_hot(uint64_t n)
{
	BURN(n);
	return n + 4;
}

static NOINLINE int
raw_thread(void *arg)
{
	uint64_t ns;

	(void)arg;
	while ((ns = thread_cpu_ns()) < budget_ns)
		(void)raw_hot(200000);
	used_ns = ns;
	return 0;
}

int
main(int argc, char **argv)
{
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	pid_t tid;
	int seen;

	budget_ns = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u;
	if (stack == MAP_FAILED)
		return 2;
	/* glibc's clone() is the system call and nothing more: no thread library, no TLS of its own. */
	tid = clone(raw_thread, stack + STACK_BYTES, flags, NULL, &raw_tid, NULL, &raw_tid);
	if (tid < 0)
		return 3;
	/* The kernel clears raw_tid when the thread is gone. */
	while ((seen = raw_tid) != 0)
		(void)syscall(SYS_futex, &raw_tid, FUTEX_WAIT, seen, NULL, NULL, 0);
	(void)printf("raw %llu\ntid %d\n", (unsigned long long)used_ns, (int)tid);
	return 0;
}

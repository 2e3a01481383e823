/* SPDX-License-Identifier: Apache-2.0
 *
 * altstack.c - burns in signal handlers on alternate stacks of every odd kind.  What it prints depends on nothing but
 * its arguments.
 *
 * Usage:    altstack MODE [CPU_MILLISECONDS]
 *	small		8 KiB between pages that cannot be read
 *	nested		a second signal on the same 16 KiB
 *	carved		in a frame of the thread's own stack
 *	unmapped	disabled and unmapped after each signal
 *	reused		a stack of its own in the lower part of it, the rest of which is unmapped
 *	overflow	the program's own handler of stack overflows: what it is told, and where it goes on
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "burn.h"

#define PAGE 4096u
#define SMALL 8192u

static volatile sig_atomic_t outer, inner;
static uint64_t end_ns, slice = 20000;

static NOINLINE void
burn_on_alternate_stack(void)
{
	BURN(slice);
	STAY();
}

static void
on_outer(int sig)
{
	(void)sig;
	outer++;
	burn_on_alternate_stack();
}

static void
on_inner(int sig)
{
	(void)sig;
	inner++;
	burn_on_alternate_stack();
}

static void
on_outer_with_inner(int sig)
{
	on_outer(sig);
	(void)raise(SIGUSR2);
	burn_on_alternate_stack();
}

static void
handle(int sig, void (*fn)(int))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = fn;
	sa.sa_flags = SA_ONSTACK;
	(void)sigaction(sig, &sa, NULL);
}

/* bytes that can be used between two pages that cannot. */
static char *
between_guards(size_t bytes)
{
	char *m = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || mprotect(m + PAGE, bytes, PROT_READ | PROT_WRITE) != 0)
		exit(77);
	return m + PAGE;
}

static void
set_stack(void *sp, size_t bytes)
{
	stack_t s = { .ss_sp = sp, .ss_size = bytes };

	if (sigaltstack(&s, NULL) != 0)
		exit(77);
}

static void
drop_stack(void)
{
	stack_t s = { .ss_flags = SS_DISABLE };

	(void)sigaltstack(&s, NULL);
}

static NOINLINE void
raise_until_the_end(void)
{
	while (process_cpu_ns() < end_ns) {
		(void)raise(SIGUSR1);
		STAY();
	}
}

static int
small(void)
{
	set_stack(between_guards(SMALL), SMALL);
	handle(SIGUSR1, on_outer);
	raise_until_the_end();
	return outer == 0;
}

static int
nested(void)
{
	set_stack(between_guards(2 * SMALL), 2 * SMALL);
	handle(SIGUSR1, on_outer_with_inner);
	handle(SIGUSR2, on_inner);
	raise_until_the_end();
	return outer == 0 || inner != outer;
}

static NOINLINE int
carved(void)
{
	char room[3 * SMALL];

	memset(room, 0x55, sizeof(room));
	set_stack(room, sizeof(room));
	handle(SIGUSR1, on_outer_with_inner);
	handle(SIGUSR2, on_inner);
	raise_until_the_end();
	drop_stack();
	return outer == 0 || inner != outer;
}

static int
unmapped(void)
{
	handle(SIGUSR1, on_outer);
	while (process_cpu_ns() < end_ns) {
		char *m = mmap(NULL, 4 * SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (m == MAP_FAILED)
			return 77;
		set_stack(m, 4 * SMALL);
		(void)raise(SIGUSR1);
		drop_stack();
		(void)munmap(m, 4 * SMALL);
		BURN(slice);
	}
	return outer == 0;
}

static ucontext_t here, there;
static char *registered;

static void
burn_in_coroutine(void)
{
	char *gap = registered + 3 * SMALL;

	if (munmap(gap, 13 * SMALL) != 0)
		exit(77);
	while (process_cpu_ns() < end_ns)
		BURN(slice);
	if (mmap(gap, 13 * SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != gap)
		exit(77);
}

/* Whoever runs within the bounds of the alternate stack is on it, as the kernel sees it: it delivers right there. */
static int
reused(void)
{
	registered = mmap(NULL, 16 * SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (registered == MAP_FAILED)
		return 77;
	set_stack(registered, 16 * SMALL);
	(void)getcontext(&there);
	there.uc_stack.ss_sp = registered;
	there.uc_stack.ss_size = 3 * SMALL;
	there.uc_link = &here;
	makecontext(&there, burn_in_coroutine, 0);
	(void)swapcontext(&here, &there);
	drop_stack();
	return 0;
}

static struct {
	sigjmp_buf back;
	char *guard_lo, *guard_hi;
	int good, bad;
} overflow;

static void
on_overflow(int sig, siginfo_t *info, void *context)
{
	char *at = info->si_addr;

	(void)context;
	if (sig == SIGSEGV && info->si_signo == SIGSEGV && info->si_code == SEGV_ACCERR && info->si_errno == 0 &&
	    at >= overflow.guard_lo && at < overflow.guard_hi)
		overflow.good++;
	else
		overflow.bad++;
	burn_on_alternate_stack();
	siglongjmp(overflow.back, 1);
}

static NOINLINE uint64_t
recurse(volatile char *above)
{
	volatile char mine[512];

	mine[0] = above[0];
	BURN(2000);
	return mine[0] == 1 ? 1 + recurse(mine) : 0;
}

static void *
overflow_thread(void *unused)
{
	volatile char first = 1;
	volatile int rounds = 0;

	(void)unused;
	set_stack(between_guards(2 * SMALL), 2 * SMALL);
	while (rounds < 100) {
		rounds++;
		if (sigsetjmp(overflow.back, 1) == 0)
			(void)recurse(&first);
	}
	drop_stack();
	return NULL;
}

static int
overflows(void)
{
	size_t bytes = 256 * 1024;
	char *stack = mmap(NULL, bytes + 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction sa;
	pthread_attr_t attr;
	pthread_t t;

	if (stack == MAP_FAILED || mprotect(stack + 16 * PAGE, bytes, PROT_READ | PROT_WRITE) != 0)
		return 77;
	overflow.guard_lo = stack;
	overflow.guard_hi = stack + 16 * PAGE;
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_overflow;
	sa.sa_flags = SA_ONSTACK | SA_SIGINFO;
	(void)sigaction(SIGSEGV, &sa, NULL);
	(void)pthread_attr_init(&attr);
	if (pthread_attr_setstack(&attr, stack + 16 * PAGE, bytes) != 0 ||
	    pthread_create(&t, &attr, overflow_thread, NULL) != 0)
		return 77;
	(void)pthread_join(t, NULL);
	(void)printf("overflows %d, others %d\n", overflow.good, overflow.bad);
	return overflow.bad != 0;
}

int
main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } modes[] = {
		{ "small", small }, { "nested", nested }, { "carved", carved }, { "unmapped", unmapped },
		{ "reused", reused }, { "overflow", overflows },
	};
	const char *mode = argc > 1 ? argv[1] : "";
	int status = 2;

	slice = burn_turns_per_us() * 50;
	end_ns = process_cpu_ns() + (uint64_t)(argc > 2 ? atoi(argv[2]) : 300) * 1000000u;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(mode, modes[i].name) == 0)
			status = modes[i].run();
	(void)printf("%s: %d\n", mode, status);
	return status;
}

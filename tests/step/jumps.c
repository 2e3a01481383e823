/* SPDX-License-Identifier: Apache-2.0
 *
 * jumps.c - stacks that change by other means than call and return: signals within signals, on the same stack and on an
 * alternate one, longjmp out of both, coroutines on stacks of their own that switch among each other.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define NOINLINE	__attribute__((noinline))
#define NO_TAIL_CALL	__asm__ volatile("" : : : "memory")

static volatile uint64_t sink;
static sigjmp_buf out;
static ucontext_t main_context, one, two;

static NOINLINE uint64_t
work(unsigned n)
{
	uint64_t x = n < 2 ? n : work(n - 1) + work(n - 2);

	NO_TAIL_CALL;
	return x;
}

static void
inner(int sig)
{
	sink += work(4) + (uint64_t)sig;
}

static void
outer(int sig, siginfo_t *info, void *uc)
{
	sink += work(3) + (uint64_t)info->si_signo;
	(void)raise(SIGUSR2);
	sink += uc != NULL ? (uint64_t)sig : 0;
}

static void
leaves(int sig)
{
	sink += work(3);
	siglongjmp(out, sig);
}

static NOINLINE void
deep(unsigned n, int sig)
{
	volatile char room[64] = { 0 };

	if (n == 0)
		(void)raise(sig);
	else
		deep(n - 1, sig);
	sink += (uint64_t)room[n % 64];
	NO_TAIL_CALL;
}

static void
handle(int sig, int flags, void (*plain)(int), void (*full)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_flags = flags };

	if (full != NULL)
		sa.sa_sigaction = full;
	else
		sa.sa_handler = plain;
	(void)sigfillset(&sa.sa_mask);
	(void)sigdelset(&sa.sa_mask, SIGUSR2);
	(void)sigaction(sig, &sa, NULL);
}

static void
signals(void)
{
	static unsigned char alt[128 << 10] __attribute__((aligned(16)));
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };

	handle(SIGUSR1, SA_SIGINFO, NULL, outer);
	handle(SIGUSR2, 0, inner, NULL);
	handle(SIGALRM, 0, leaves, NULL);
	deep(3, SIGUSR1);
	if (sigsetjmp(out, 1) == 0)
		deep(4, SIGALRM);
	(void)sigaltstack(&ss, NULL);
	handle(SIGUSR1, SA_SIGINFO | SA_ONSTACK, NULL, outer);
	handle(SIGALRM, SA_ONSTACK, leaves, NULL);
	deep(3, SIGUSR1);
	if (sigsetjmp(out, 1) == 0)
		deep(4, SIGALRM);
	deep(2, SIGUSR1);
}

static void
first(void)
{
	for (unsigned i = 0; i < 3; i++) {
		sink += work(i);
		(void)swapcontext(&one, &two);
	}
}

static void
second(void)
{
	for (unsigned i = 0; i < 3; i++) {
		sink += work(i + 1);
		if (i == 1)
			(void)raise(SIGUSR2);
		(void)swapcontext(&two, &one);
	}
}

static void
coroutines(void)
{
	char *stacks = malloc(2 * (64 << 10));

	if (stacks == NULL)
		return;
	(void)getcontext(&one);
	(void)getcontext(&two);
	one.uc_stack = (stack_t){ .ss_sp = stacks, .ss_size = 64 << 10 };
	two.uc_stack = (stack_t){ .ss_sp = stacks + (64 << 10), .ss_size = 64 << 10 };
	one.uc_link = two.uc_link = &main_context;
	makecontext(&one, first, 0);
	makecontext(&two, second, 0);
	(void)swapcontext(&main_context, &one);
	sink += work(5);
	free(stacks);
}

int
main(void)
{
	signals();
	coroutines();
	signals();
	return sink == 0;
}

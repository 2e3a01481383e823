/* SPDX-License-Identifier: Apache-2.0
 *
 * ownprof.c - a program with a profiler of its own by SIGPROF, begun in the middle; and one that hides from ours.
 *
 * Usage:    ownprof timer         ITIMER_PROF in the middle of 2 s of work in two threads
 *           ownprof blocked       a thread blocks all signals by a bare system call for 1 CPU second, then goes on
 *           ownprof masked        a thread does so by pthread_sigmask
 *           ownprof bare-action   puts an action in place by a bare system call, and works
 * Tells:    timer: `periods N of M` (M: what its CPU time makes of 20 ms), `strange 0`, `left OK`; all: `rusage
 *           NANOSECONDS`.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "burn.h"

static volatile sig_atomic_t seen, strange;
static volatile sig_atomic_t periods;

/* Only from ITIMER_PROF (the kernel itself) or the program's own POSIX timer. */
static void
note(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)context;
	if (si->si_code == SI_KERNEL)
		seen++;
	else if (si->si_code == SI_TIMER && si->si_value.sival_int == 4711)
		periods += 1 + si->si_overrun;
	else
		strange++;
}

static NOINLINE void
work(uint64_t ms)
{
	uint64_t end = thread_cpu_ns() + ms * 1000000u;

	while (thread_cpu_ns() < end)
		BURN(10000);
	STAY();
}

static NOINLINE void
hidden_work(uint64_t ms)
{
	uint64_t end = thread_cpu_ns() + ms * 1000000u;

	while (thread_cpu_ns() < end)
		BURN(10001);
	STAY();
}

static NOINLINE void
next_work(uint64_t ms)
{
	uint64_t end = thread_cpu_ns() + ms * 1000000u;

	while (thread_cpu_ns() < end)
		BURN(10002);
	STAY();
}

static void *
in_thread(void *arg)
{
	work((uint64_t)(uintptr_t)arg);
	return NULL;
}

static long
bare_call(long n, long a, const void *b, void *c)
{
#if defined(__x86_64__)
	register long size __asm__("r10") = 8;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(size) : "rcx", "r11", "memory");
	return ret;
#else
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = (long)b;
	register long x2 __asm__("x2") = (long)c;
	register long x3 __asm__("x3") = 8;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#endif
}

static void *
hide(void *arg)
{
	uint64_t all = ~0ull, was = 0;

	(void)bare_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &was);
	hidden_work(1000);
	(void)bare_call(SYS_rt_sigprocmask, SIG_SETMASK, &was, NULL);
	next_work(300);
	return arg;
}

/* What the process used in periods of 20 ms, and how often the two timers told of it. */
static int
do_timer(void)
{
	struct itimerval each = { { 0, 20000 }, { 0, 20000 } }, off = { { 0, 0 }, { 0, 0 } }, now;
	struct itimerspec exact = { { 0, 20000000 }, { 0, 20000000 } };
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF, .sigev_value.sival_int = 4711 };
	uint64_t began, took;
	pthread_t t;
	timer_t timer;

	work(300);
	(void)sigaction(SIGPROF, &sa, NULL);
	if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &ev, &timer) < 0)
		return 1;
	began = process_cpu_ns();
	(void)timer_settime(timer, 0, &exact, NULL);
	(void)setitimer(ITIMER_PROF, &each, NULL);
	(void)pthread_create(&t, NULL, in_thread, (void *)800);
	work(800);
	(void)pthread_join(t, NULL);
	(void)getitimer(ITIMER_PROF, &now);
	(void)timer_delete(timer);
	took = process_cpu_ns() - began;
	(void)setitimer(ITIMER_PROF, &off, NULL);
	(void)printf("periods %d of %d\n", (int)periods, (int)(took / 20000000u));
	(void)printf("strange %d, ITIMER_PROF %s\n", (int)strange, seen > 0 ? "heard" : "silent");
	(void)printf("left %s\n", now.it_interval.tv_usec == 20000 && now.it_value.tv_sec == 0 &&
		now.it_value.tv_usec <= 24000 ? "OK" : "odd");
	work(300);
	return 0;
}

static int
do_blocked(void)
{
	pthread_t t;

	(void)pthread_create(&t, NULL, hide, NULL);
	(void)pthread_join(t, NULL);
	return 0;
}

static void *
mask_all(void *arg)
{
	sigset_t all, was;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &was);
	hidden_work(1000);
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	return arg;
}

/* As libraries with threads of their own do: no signal is meant for them. */
static int
do_masked(void)
{
	pthread_t t;

	(void)pthread_create(&t, NULL, mask_all, NULL);
	(void)pthread_join(t, NULL);
	return 0;
}

/* A handler by a bare system call: its own signals reach it, before and after ours is back. */
static int
do_bare_action(void)
{
	struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; }
		ign = { .handler = (void *)SIG_IGN };
	struct sigaction now;

	(void)bare_call(SYS_rt_sigaction, SIGPROF, &ign, NULL);
	work(1200);
	(void)sigaction(SIGPROF, NULL, &now);
	(void)printf("ignored %d\n", now.sa_handler == SIG_IGN);
	(void)raise(SIGPROF);
	work(300);
	return 0;
}

int
main(int argc, char **argv)
{
	struct rusage u;
	int err = 2;

	if (argc > 1 && strcmp(argv[1], "timer") == 0)
		err = do_timer();
	else if (argc > 1 && strcmp(argv[1], "blocked") == 0)
		err = do_blocked();
	else if (argc > 1 && strcmp(argv[1], "masked") == 0)
		err = do_masked();
	else if (argc > 1 && strcmp(argv[1], "bare-action") == 0)
		err = do_bare_action();
	(void)getrusage(RUSAGE_SELF, &u);
	(void)printf("rusage %lld\n", (long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
		(long long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000);
	return err;
}

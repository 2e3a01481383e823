/* SPDX-License-Identifier: Apache-2.0
 *
 * manners.c - what programs do that a profiler in them must not spoil, one a word of the command line.
 *
 * Usage:    manners WORD [ARG…]
 * Tells:    a line that must be the same with and without sonde; status 0 when all is as it was.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "burn.h"

static uint64_t
cpu_ns(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static NOINLINE void
burn_ms(clockid_t clock, uint64_t ms)
{
	uint64_t end = cpu_ns(clock) + ms * 1000000u;

	while (cpu_ns(clock) < end)
		BURN(10000);
}

static NOINLINE void *
burn_in_thread(void *arg)
{
	burn_ms(CLOCK_THREAD_CPUTIME_ID, (uint64_t)(uintptr_t)arg);
	return NULL;
}

/* Blocks all signals, burns, then waits for any: must get its own alarm, not a profiler's signal. */
static int
do_sigwait(char **arg)
{
	sigset_t all;
	int sig = 0;

	(void)arg;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 60);
	(void)raise(SIGALRM);
	(void)sigwait(&all, &sig);
	return printf("sigwait got %d\n", sig) < 0;
}

/* Ignoring counts, whatever SA_SIGINFO says. */
static int
do_ignore(char **arg)
{
	struct sigaction sa = { .sa_handler = SIG_IGN, .sa_flags = SA_SIGINFO };

	(void)arg;
	(void)sigaction(SIGPROF, &sa, NULL);
	(void)raise(SIGPROF);
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 30);
	return puts("ignored") < 0;
}

static volatile sig_atomic_t seen;

static void
note(int sig)
{
	(void)sig;
	seen++;
}

/* signal() after siginterrupt(): the read must end early. */
static int
do_interrupt(char **arg)
{
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	int fds[2];
	ssize_t n;
	char c;

	(void)arg;
	if (pipe(fds) < 0)
		return 1;
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	(void)siginterrupt(SIGALRM, 1);
	(void)signal(SIGALRM, note);
	(void)setitimer(ITIMER_REAL, &soon, NULL);
	n = read(fds[0], &c, 1);
	return printf("read %zd errno %d\n", n, n < 0 ? errno : 0) < 0;
}

/* The program's own handler of SIGPROF: sees its signals, and is what a query answers. */
static int
do_own_handler(char **arg)
{
	struct itimerval each = { { 0, 20000 }, { 0, 20000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = note, .sa_flags = SA_RESTART }, old;

	(void)arg;
	(void)sigaction(SIGPROF, &sa, &old);
	printf("before %d\n", old.sa_handler == SIG_DFL);
	(void)setitimer(ITIMER_PROF, &each, NULL);
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 200);
	(void)setitimer(ITIMER_PROF, &off, NULL);
	(void)sigaction(SIGPROF, NULL, &old);
	return printf("now %d seen %d\n", old.sa_handler == note, seen >= 5 && seen <= 15) < 0;
}

/* An error of dlopen is still there after the first thread was made. */
static int
do_dlerror(char **arg)
{
	pthread_t t;

	(void)arg;
	(void)dlopen("/no/such/library.so", RTLD_NOW);
	(void)pthread_create(&t, NULL, burn_in_thread, NULL);
	(void)pthread_join(t, NULL);
	return printf("dlerror %s\n", dlerror() != NULL ? "kept" : "gone") < 0;
}

/* main ends by pthread_exit while a thread goes on. */
static int
do_main_exit(char **arg)
{
	pthread_t t;

	(void)arg;
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 400);
	(void)pthread_create(&t, NULL, burn_in_thread, (void *)900);
	pthread_exit(NULL);
}

/* N programs in one process id, each with a little work. */
static int
do_exec_self(char **arg)
{
	int left = atoi(arg[0]);
	char text[16];

	burn_ms(CLOCK_THREAD_CPUTIME_ID, 60);
	if (left == 0)
		return puts("executed") < 0;
	(void)snprintf(text, sizeof(text), "%d", left - 1);
	(void)execl("/proc/self/exe", "manners", "exec-self", text, (char *)NULL);
	return 1;
}

/* The process id goes on with a program that knows nothing of sonde, and has busy threads. */
static int
do_exec_clean(char **arg)
{
	static char *none[] = { NULL };
	pthread_t t[2];

	if (arg[0] != NULL) {
		for (int i = 0; i < 2; i++)
			(void)pthread_create(&t[i], NULL, burn_in_thread, (void *)900);
		for (int i = 0; i < 2; i++)
			(void)pthread_join(t[i], NULL);
		return puts("alive") < 0;
	}
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 100);
	(void)execle("/proc/self/exe", "manners", "exec-clean", "again", (char *)NULL, none);
	return 1;
}

static ucontext_t back, there;

static void
in_coroutine(void)
{
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 200);
}

/* A stack of the program's own, small, between guard pages, after it raised its stack limit. */
static int
do_coroutine(char **arg)
{
	struct rlimit rl = { 64u << 20, RLIM_INFINITY };
	size_t page = 4096, bytes = 16 * page;
	char *at = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	(void)setrlimit(RLIMIT_STACK, &rl);
	if (at == MAP_FAILED || mprotect(at + page, bytes, PROT_READ | PROT_WRITE) < 0 || getcontext(&there) < 0)
		return 1;
	there.uc_stack.ss_sp = at + page;
	there.uc_stack.ss_size = bytes;
	there.uc_link = &back;
	makecontext(&there, in_coroutine, 0);
	return swapcontext(&back, &there) < 0 || puts("coroutine done") < 0;
}

static void *
in_coroutine_thread(void *arg)
{
	return (void *)(intptr_t)do_coroutine(arg);
}

/* The same in a thread that was made after the limit was raised. */
static int
do_thread_coroutine(char **arg)
{
	struct rlimit rl = { 64u << 20, RLIM_INFINITY };
	void *failed;
	pthread_t t;

	(void)setrlimit(RLIMIT_STACK, &rl);
	if (pthread_create(&t, NULL, in_coroutine_thread, arg) != 0)
		return 1;
	(void)pthread_join(t, &failed);
	return failed != NULL;
}

/* Address space that is the program's: locked, or limited. */
static int
do_memory(char **arg)
{
	struct rlimit rl = { 1500u << 20, 1500u << 20 };
	void *p;

	(void)arg;
	if (setrlimit(RLIMIT_AS, &rl) < 0)
		return 1;
	p = malloc(900u << 20);
	return printf("900 MiB %s\n", p != NULL ? "had" : "refused") < 0;
}

/* Many threads at a time: more than the first chunk of rings has room for. */
static int
do_many_threads(char **arg)
{
	static pthread_t t[200];
	int n = 0;

	(void)arg;
	for (int i = 0; i < 200; i++)
		n += pthread_create(&t[i], NULL, burn_in_thread, (void *)5) == 0;
	for (int i = 0; i < n; i++)
		(void)pthread_join(t[i], NULL);
	return printf("threads %d\n", n) < 0;
}

static const struct {
	const char *word;
	int (*run)(char **arg);
} table[] = {
	{ "sigwait", do_sigwait }, { "ignore", do_ignore }, { "interrupt", do_interrupt },
	{ "own-handler", do_own_handler }, { "dlerror", do_dlerror }, { "main-exit", do_main_exit },
	{ "exec-self", do_exec_self }, { "exec-clean", do_exec_clean }, { "coroutine", do_coroutine },
	{ "thread-coroutine", do_thread_coroutine }, { "memory", do_memory }, { "many-threads", do_many_threads },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(argv[1], table[i].word) == 0)
			return table[i].run(argv + 2);
	(void)fprintf(stderr, "manners: which?\n");
	return 2;
}

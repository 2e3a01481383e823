/* SPDX-License-Identifier: Apache-2.0
 *
 * ends.c - every way in which a process ends, after 100 ms of CPU time in ends_hot.
 *
 * Usage:    ends WAY: says on stdout what the program may see of its signals, then ends that way.
 * Truth:    what is printed, the status and the signal are the same with and without sonde.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <dlfcn.h>
#include <spawn.h>

#include "burn.h"

#define HOT_MS 100

extern char **environ;

static NOINLINE void
ends_hot(unsigned ms)
{
	uint64_t end = thread_cpu_ns() + ms * 1000000ull;

	while (thread_cpu_ns() < end)
		BURN(10000);
	STAY();
}

static const int watched[] = { SIGTERM, SIGINT, SIGHUP };

static void
on_signal(int sig)
{
	(void)sig;
}

static void
say_action(const char *when, int sig)
{
	struct sigaction a;
	const char *is = "another";

	if (sigaction(sig, NULL, &a) < 0)
		is = strerror(errno);
	else if (a.sa_handler == SIG_DFL)
		is = "default";
	else if (a.sa_handler == SIG_IGN)
		is = "ignore";
	else if (a.sa_handler == on_signal)
		is = "own";
	(void)printf("%s %d %s %x\n", when, sig, is, a.sa_handler == SIG_DFL ? (unsigned)a.sa_flags : 0);
}

static const char *
word_of(__sighandler_t h)
{
	return h == SIG_DFL ? "default" : h == SIG_IGN ? "ignore" : h == on_signal ? "own" : "another";
}

/* What a program sees that asks for the action of a signal and changes it. */
static void
say_all_actions(void)
{
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		struct sigaction own = { .sa_handler = on_signal }, was;
		int sig = watched[i];

		say_action("at first", sig);
		if (sigaction(sig, NULL, &was) < 0 || was.sa_handler == SIG_IGN)
			continue;			/* inherited: it stays */
		(void)printf("signal %s", word_of(signal(sig, SIG_IGN)));
		(void)printf(" %s", word_of(signal(sig, on_signal)));
		(void)printf(" %s", word_of(signal(sig, SIG_DFL)));
		(void)printf(" %s\n", word_of(signal(sig, SIG_DFL)));
		(void)sigaction(sig, &own, &was);
		(void)printf("sigaction %s", word_of(was.sa_handler));
		(void)sigaction(sig, &was, &own);
		(void)printf(" %s\n", word_of(own.sa_handler));
		say_action("at last", sig);
	}
	(void)fflush(stdout);
}

/* ---- ways ---- */

static void
die_of(int sig)
{
	(void)kill(getpid(), sig);
	(void)printf("survived %d\n", sig);
}

static void
say_at_exit(void)
{
	(void)printf("exit handler\n");
	(void)fflush(stdout);
}

static void
say_at_quick_exit(void)
{
	static const char text[] = "quick exit handler\n";

	ends_hot(20);
	if (write(1, text, sizeof(text) - 1) < 0)
		_exit(99);
}

static void
exit_again(void)
{
	exit(9);
}

static void
exit_in_handler(int sig)
{
	exit(sig);
}

static sigjmp_buf back;

static void
jump_back(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

/* A handler of SIGABRT jumps away, and the program goes on to its usual end. */
static void
abort_and_live(void)
{
	(void)signal(SIGABRT, jump_back);
	if (sigsetjmp(back, 1) == 0)
		abort();
	(void)printf("lives on\n");
	ends_hot(HOT_MS);
	exit(4);
}

static void *
burn_and_say(void *arg)
{
	ends_hot(HOT_MS);
	(void)printf("worker %d", (int)(uintptr_t)arg);		/* flushed by the exit() of the last thread */
	return NULL;
}

static void
main_leaves(bool last_by_exit)
{
	pthread_t t;

	if (pthread_create(&t, NULL, burn_and_say, (void *)1) != 0)
		_exit(98);
	if (last_by_exit)
		(void)pthread_join(t, NULL);
	pthread_exit(NULL);
}

static void *
exit_too(void *arg)
{
	(void)pthread_barrier_wait(arg);
	exit(6);
}

static void
exit_twice(void)
{
	static pthread_barrier_t both;
	pthread_t t;

	(void)pthread_barrier_init(&both, NULL, 2);
	if (pthread_create(&t, NULL, exit_too, &both) != 0)
		_exit(98);
	(void)exit_too(&both);
}

/* Children of every kind end: the parent's profile is still whole, and theirs are nobody's business. */
static void
child_ends(const char *how)
{
	char *argv[] = { (char *)"true", NULL };
	int status = -1;
	pid_t pid = -1;

	if (strcmp(how, "spawn") == 0) {
		if (posix_spawnp(&pid, "true", NULL, NULL, argv, environ) != 0)
			_exit(97);
	} else if (strncmp(how, "vfork", 5) == 0) {
		pid = vfork();
		if (pid == 0 && strcmp(how, "vfork-term") == 0)
			(void)raise(SIGTERM);
		if (pid == 0)
			_exit(3);
	} else {
		pid = fork();
		if (pid == 0) {
			say_action("in the child", SIGTERM);
			(void)fflush(stdout);
			(void)raise(SIGTERM);
			_exit(3);
		}
	}
	(void)waitpid(pid, &status, 0);
	(void)printf("child %x\n", (unsigned)status);
	ends_hot(HOT_MS);
	exit(5);
}

/* Signals that are let in for the time of one call only: the action comes at once. */
static void
die_in_sigsuspend(void)
{
	sigset_t all, none;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGPROF);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)raise(SIGTERM);
	(void)sigemptyset(&none);
	(void)sigsuspend(&none);
	(void)printf("survived\n");
}

static void *
wait_for_ever(void *arg)
{
	for (;;)
		(void)pause();
	return arg;
}

/* The thread that gets the signal is in the middle of malloc, as far as it can be had. */
static void *
allocate(void *arg)
{
	for (;;)
		free(malloc(1 + (size_t)rand() % 300000));
	return arg;
}

static void
die_with_threads(void *(*fn)(void *))
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		if (pthread_create(&t, NULL, fn, NULL) != 0)
			_exit(98);
	ends_hot(50);
	die_of(SIGINT);
}

static void
ignore_then_die(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	die_of(SIGTERM);
	(void)fflush(stdout);
	(void)signal(SIGTERM, on_signal);
	die_of(SIGTERM);
	(void)fflush(stdout);
	(void)signal(SIGTERM, SIG_DFL);
	die_of(SIGTERM);
}

/* The first process of a pid name space: the default actions do not reach it. */
static void
live_as_first(void)
{
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		die_of(watched[i]);
	say_action("after all", SIGTERM);
	ends_hot(HOT_MS);
	exit(8);
}

/* As a server that is told to write its profile, and works on. */
static void
wait_for_usr1(void)
{
	sigset_t set;
	int sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	say_action("dump", SIGUSR2);
	(void)printf("ready\n");
	(void)fflush(stdout);
	(void)sigwait(&set, &sig);
	ends_hot(HOT_MS);
	exit(0);
}

/* An action of its own for the signal that sonde writes its file at. */
static void
have_own_usr2(void)
{
	say_action("before", SIGUSR2);
	(void)printf("signal %s\n", word_of(signal(SIGUSR2, on_signal)));
	die_of(SIGUSR2);
	say_action("after", SIGUSR2);
}

static void
flush_and_exec(char **argv)
{
	char *again[] = { argv[0], (char *)"second", NULL };
	int (*write_now)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "sonde_flush");

	if (write_now != NULL && write_now() != 0)
		_exit(96);
	(void)execv("/proc/self/exe", again);
	_exit(95);
}

static const struct {
	const char *word;
	int signal;
} by_signal[] = {
	{ "term", SIGTERM }, { "int", SIGINT }, { "hup", SIGHUP }, { "kill", SIGKILL }, { "segv", SIGSEGV },
	{ "usr1", SIGUSR1 }, { "quit", SIGQUIT },
};

static void
end_by(const char *way, char **argv)
{
	for (size_t i = 0; i < sizeof(by_signal) / sizeof(by_signal[0]); i++)
		if (strcmp(way, by_signal[i].word) == 0)
			die_of(by_signal[i].signal);
	if (strcmp(way, "exit") == 0 || strcmp(way, "second") == 0)
		exit(3);
	if (strcmp(way, "_exit") == 0)
		_exit(3);
	if (strcmp(way, "_Exit") == 0)
		_Exit(3);
	if (strcmp(way, "quick_exit") == 0)
		quick_exit(3);
	if (strcmp(way, "abort") == 0)
		abort();
	if (strcmp(way, "abort-and-live") == 0)
		abort_and_live();
	if (strcmp(way, "raise") == 0)
		(void)raise(SIGTERM);
	if (strcmp(way, "main-leaves") == 0 || strcmp(way, "last-leaves") == 0)
		main_leaves(way[0] == 'l');
	if (strcmp(way, "exit-in-exit") == 0 && atexit(exit_again) == 0)
		exit(3);
	if (strcmp(way, "exit-twice") == 0)
		exit_twice();
	if (strcmp(way, "exit-in-handler") == 0 && signal(SIGUSR1, exit_in_handler) != SIG_ERR)
		(void)raise(SIGUSR1);
	if (strncmp(way, "child-", 6) == 0)
		child_ends(way + 6);
	if (strcmp(way, "sigsuspend") == 0)
		die_in_sigsuspend();
	if (strcmp(way, "threads") == 0)
		die_with_threads(wait_for_ever);
	if (strcmp(way, "in-malloc") == 0)
		die_with_threads(allocate);
	if (strcmp(way, "ignore-then-die") == 0)
		ignore_then_die();
	if (strcmp(way, "first") == 0)
		live_as_first();
	if (strcmp(way, "wait") == 0)
		wait_for_usr1();
	if (strcmp(way, "own-usr2") == 0)
		have_own_usr2();
	if (strcmp(way, "flush-and-exec") == 0)
		flush_and_exec(argv);
	if (strcmp(way, "exec-fails") == 0) {
		(void)execl("/nonexistent/program", "program", (char *)NULL);
		(void)printf("exec %s\n", strerror(errno));
		ends_hot(HOT_MS);
	}
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	say_all_actions();
	if (atexit(say_at_exit) != 0 || at_quick_exit(say_at_quick_exit) != 0)
		return 2;
	ends_hot(HOT_MS);
	(void)fflush(stdout);
	end_by(argv[1], argv);
	return 7;			/* "return", and what has survived */
}

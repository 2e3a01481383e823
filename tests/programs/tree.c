/* SPDX-License-Identifier: Apache-2.0
 *
 * tree.c - many processes that come and go, each by one way of making a child, and what the kernel says that all of
 * them used.
 *
 * Usage:    tree HOW COUNT [MAX_MILLISECONDS [AT_ONCE]]
 *           HOW: fork, clone (raw), clone3 (raw), libclone, exec (fork and exec), vfork, spawn, chain (exec itself)
 *           tree burn MILLISECONDS [EXECS]   what the children exec: burns until its process has used so much,
 *                                            then execs itself as often as told
 * Tells:    `process PID NANOSECONDS` and `died PID STATUS` of children, `tree NANOSECONDS` (user and system time of
 *           this thread and all children), `dead N`.  Every fourth child burns nothing.
 */
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

extern char **environ;

static NOINLINE uint64_t
tree_hot(uint64_t n)
{
	BURN(n);
	return n + 21;
}

static void
burn_up_to(uint64_t ms)
{
	while (process_cpu_ns() < ms * 1000000u)
		(void)tree_hot(20000);
}

static int
in_libclone(void *arg)
{
	burn_up_to(*(uint64_t *)arg);
	exit(0);
}

/* The words of struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, and no more of it. */
static long
raw_clone3(void)
{
	uint64_t args[8] = { 0, 0, 0, 0, SIGCHLD };

	return syscall(SYS_clone3, args, sizeof(args));
}

static pid_t
make_image(const char *how, char **args)
{
	pid_t pid;

	if (strcmp(how, "spawn") == 0)
		return posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ) == 0 ? pid : -1;
	pid = strcmp(how, "vfork") == 0 ? vfork() : fork();
	if (pid == 0) {
		(void)execv("/proc/self/exe", args);
		_exit(127);
	}
	return pid;
}

static pid_t
make_child(const char *how, uint64_t ms)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	char text[24];
	char *args[] = { "tree", "burn", text, NULL };
	pid_t pid;

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)ms);
	if (strcmp(how, "fork") == 0)
		pid = fork();
	else if (strcmp(how, "clone") == 0)
		pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	else if (strcmp(how, "clone3") == 0)
		pid = (pid_t)raw_clone3();
	else if (strcmp(how, "libclone") == 0)
		return clone(in_libclone, stack + sizeof(stack), SIGCHLD, &ms);
	else
		return make_image(how, args);
	if (pid == 0) {
		burn_up_to(ms);
		exit(0);
	}
	return pid;
}

static uint64_t children_ns;

static uint64_t
ns_of(const struct rusage *u)
{
	return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000u +
	    (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000u;
}

static int
reap(int *living, int *dead)
{
	struct rusage u;
	int status;
	pid_t pid = wait4(-1, &status, 0, &u);

	if (pid < 0)
		return -1;
	/* Nothing may lie in a buffer that the next child has too. */
	(void)dprintf(STDOUT_FILENO, "process %d %llu\n", (int)pid, (unsigned long long)ns_of(&u));
	children_ns += ns_of(&u);
	--*living;
	if (status != 0) {
		(void)dprintf(STDOUT_FILENO, "died %d %#x\n", (int)pid, (unsigned)status);
		++*dead;
	}
	return 0;
}

static void
tell(int dead)
{
	/* The thread's clock: the process may have a thread, and a child, that are not its own. */
	(void)printf("tree %llu\ndead %d\n", (unsigned long long)(thread_cpu_ns() + children_ns), dead);
	(void)fflush(stdout);
}

/* The process that execs itself: its clock goes on, and so do its children's sums. */
static int
chain(uint64_t ms, long left)
{
	char so_far[24], less[24];

	burn_up_to(ms);
	if (left <= 0)
		return 0;
	(void)snprintf(so_far, sizeof(so_far), "%llu", (unsigned long long)(process_cpu_ns() / 1000000u + 3));
	(void)snprintf(less, sizeof(less), "%ld", left - 1);
	(void)execl("/proc/self/exe", "tree", "burn", so_far, less, (char *)NULL);
	return 1;
}

int
main(int argc, char **argv)
{
	int count, max_ms, at_once, living = 0, dead = 0;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "burn") == 0)
		return chain(strtoull(argv[2], NULL, 10), argc > 3 ? atol(argv[3]) : 0);
	count = atoi(argv[2]);
	max_ms = argc > 3 ? atoi(argv[3]) : 20;
	at_once = argc > 4 ? atoi(argv[4]) : 4;
	if (strcmp(argv[1], "chain") == 0) {
		char *args[] = { "tree", "burn", "1", argv[2], NULL };

		if (posix_spawn(&(pid_t){ 0 }, "/proc/self/exe", NULL, NULL, args, environ) != 0)
			return 3;
		count = 0;
		living = 1;
	}
	for (int i = 0; i < count; i++) {
		while (living >= at_once && reap(&living, &dead) == 0)
			;
		if (make_child(argv[1], i % 4 == 0 ? 0 : 1 + (uint64_t)(i * 7 % max_ms)) < 0)
			return 3;
		living++;
	}
	while (living > 0 && reap(&living, &dead) == 0)
		;
	tell(dead);
	return dead == 0 ? 0 : 4;
}

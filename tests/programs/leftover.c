/* SPDX-License-Identifier: Apache-2.0
 *
 * leftover.c - what a program finds that was started by another one, in an environment without LD_PRELOAD: timers,
 * descriptors, signals, mappings, limits.  Whatever differs between a run with sonde and one without was left by it.
 *
 * Usage:    leftover HOW ROUNDS      HOW: fork, vfork, spawn, exec (replaces this program, ROUNDS times)
 *           leftover look [LEFT]     what is started: tells, and execs itself as often as is left
 * The program burns while it starts the next one, also in a second thread.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

static char *no_environment[] = { "PATH=/usr/bin:/bin", NULL };

/* Lines of a file of /proc that hold one of the words; all of them without words. */
static void
show_lines(const char *path, const char *const words[])
{
	char line[4096];
	FILE *f = fopen(path, "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		bool wanted = words[0] == NULL;

		for (int i = 0; words[i] != NULL; i++)
			wanted |= strstr(line, words[i]) != NULL;
		if (wanted)
			(void)printf("%s: %s", path, line);
	}
	if (f != NULL)
		(void)fclose(f);
}

static void
show_descriptors(void)
{
	for (int fd = 0; fd < 256; fd++) {
		char path[32], to[256];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, to, sizeof(to) - 1);
		if (n <= 0)
			continue;
		to[n] = '\0';
		to[strcspn(to, "[")] = '\0';		/* numbers of pipes and sockets differ */
		(void)printf("fd %d %s\n", fd, fd > 2 ? to : "");
	}
}

static void
show_rest(void)
{
	struct itimerval it;
	stack_t alt;

	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
		if (getitimer(which, &it) == 0)
			(void)printf("itimer %d %ld\n", which, (long)(it.it_value.tv_sec + it.it_value.tv_usec));
	if (sigaltstack(NULL, &alt) == 0)
		(void)printf("altstack %d\n", alt.ss_flags);
	(void)printf("dumpable %d slack %d policy %d\n", prctl(PR_GET_DUMPABLE), prctl(PR_GET_TIMERSLACK),
		sched_getscheduler(0));
}

static void
look(void)
{
	static const char *const all[] = { NULL };
	static const char *const ours[] = { "libsonde", "memfd:", "/dev/zero", NULL };
	static const char *const state[] = { "SigPnd", "SigBlk", "SigIgn", "SigCgt", "ShdPnd", "Cap", "NoNewPrivs",
		"Seccomp", "Threads", "Umask", NULL };

	show_lines("/proc/self/timers", all);
	show_lines("/proc/self/maps", ours);
	show_lines("/proc/self/status", state);
	show_lines("/proc/self/limits", all);
	show_lines("/proc/self/oom_score_adj", all);
	show_descriptors();
	show_rest();
	(void)fflush(stdout);
}

static NOINLINE void *
burn_on(void *arg)
{
	for (;;)
		BURN(100000);
	return arg;
}

static void
burn_a_little(void)
{
	uint64_t until = thread_cpu_ns() + 6000000;

	while (thread_cpu_ns() < until)
		BURN(20000);
}

static int
start(const char *how)
{
	char *args[] = { "leftover", "look", NULL };
	int status = -1;
	pid_t pid;

	if (strcmp(how, "spawn") == 0) {
		if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, no_environment) != 0)
			return -1;
	} else {
		pid = strcmp(how, "vfork") == 0 ? vfork() : fork();
		if (pid == 0) {
			if (strcmp(how, "fork") == 0)
				burn_a_little();
			(void)execve("/proc/self/exe", args, no_environment);
			_exit(127);
		}
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

int
main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t thread;

	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "look") == 0)
		look();
	if (strcmp(argv[1], "look") == 0 && rounds <= 0)
		return 0;
	if (pthread_create(&thread, NULL, burn_on, NULL) != 0)
		return 3;
	burn_a_little();
	if (strcmp(argv[1], "look") == 0 || strcmp(argv[1], "exec") == 0) {
		char left[24];
		char *args[] = { "leftover", "look", left, NULL };

		(void)snprintf(left, sizeof(left), "%d", rounds - 1);
		(void)execve("/proc/self/exe", args, no_environment);
		return 4;
	}
	for (int i = 0; i < rounds; i++) {
		burn_a_little();
		if (start(argv[1]) != 0)
			return 5;
	}
	return 0;
}

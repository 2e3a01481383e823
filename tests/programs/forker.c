/* SPDX-License-Identifier: Apache-2.0
 *
 * forker.c - children with work of their own: forked ones burn in child_hot, an idle one sleeps,
 * one execs what it was told; a last one may replace the program itself.
 *
 * Usage:    forker [-n BURNING_CHILDREN] [-m CPU_MILLISECONDS_EACH] [-i] [-e PROGRAM] [-E] [-- ARGS of PROGRAM]
 *           -i  one idle child too; -e  a child execs PROGRAM; -E  the program itself execs it, at its end
 * Tells:    `child PID burn|idle|exec`, `parent PID`; status 0 if every child ended with 0.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

static NOINLINE uint64_t
child_hot(uint64_t n)
{
	BURN(n);
	return n + 5;
}

static NOINLINE uint64_t
parent_hot(uint64_t n)
{
	BURN(n);
	return n + 6;
}

static void
burn_for(uint64_t (*fn)(uint64_t), uint64_t ms)
{
	uint64_t end = process_cpu_ns() + ms * 1000000u;

	while (process_cpu_ns() < end)
		(void)fn(200000);
}

static int
child(const char *what, uint64_t ms, const char *program, char **args)
{
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (pid > 0) {
		(void)printf("child %d %s\n", (int)pid, what);
		(void)fflush(stdout);
		return 0;
	}
	if (*what == 'b') {
		burn_for(child_hot, ms);
		linger();
	} else if (*what == 'i') {
		(void)usleep(100000);
	} else {
		(void)execv(program, args);
		_exit(127);
	}
	exit(0);
}

int
main(int argc, char **argv)
{
	const char *program = NULL;
	int burning = 2, idle = 0, self = 0, bad = 0, status, c;
	uint64_t ms = 400;

	while ((c = getopt(argc, argv, "n:m:ie:E")) != -1) {
		switch (c) {
		case 'n': burning = atoi(optarg); break;
		case 'm': ms = (uint64_t)atoi(optarg); break;
		case 'i': idle = 1; break;
		case 'e': program = optarg; break;
		case 'E': self = 1; break;
		default: return 2;
		}
	}
	argv[optind - 1] = (char *)(program != NULL ? program : "forker");
	(void)printf("parent %d\n", (int)getpid());
	(void)fflush(stdout);
	for (int i = 0; i < burning; i++)
		bad |= child("burn", ms, NULL, NULL);
	if (idle)
		bad |= child("idle", ms, NULL, NULL);
	if (program != NULL && !self)
		bad |= child("exec", ms, program, argv + optind - 1);
	burn_for(parent_hot, ms);
	linger();
	while (wait(&status) > 0)
		bad |= status;
	if (program != NULL && self && bad == 0)
		(void)execv(program, argv + optind - 1);
	return bad == 0 ? 0 : 5;
}

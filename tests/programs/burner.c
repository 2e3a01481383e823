/* SPDX-License-Identifier: Apache-2.0
 *
 * burner.c - burns CPU in burner_hot and ends as it is told; counts the signals that reach it.
 *
 * Usage:    burner [-m CPU_MILLISECONDS] [-x STATUS] [-k SIGNAL] [-r READY_FILE] [-q]
 *           -k  end by that signal instead; -r  create the file once it runs;
 *           -q  trap TERM, INT, HUP, USR1 and USR2, end at once with 40 + the signal's number
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "burn.h"

static volatile sig_atomic_t got;

static void
on_signal(int sig)
{
	got = sig;
}

static NOINLINE uint64_t
burner_hot(uint64_t n)
{
	BURN(n);
	return n + 9;
}

static void
trap_signals(void)
{
	static const int which[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_handler = on_signal };

	for (unsigned i = 0; i < sizeof(which) / sizeof(which[0]); i++)
		(void)sigaction(which[i], &sa, NULL);
}

static void
end_by_signal(int sig)
{
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

int
main(int argc, char **argv)
{
	uint64_t ms = 500;
	int status = 0, sig = 0, c, fd;
	const char *ready = NULL;

	while ((c = getopt(argc, argv, "m:x:k:r:q")) != -1) {
		switch (c) {
		case 'm': ms = (uint64_t)atoll(optarg); break;
		case 'x': status = atoi(optarg); break;
		case 'k': sig = atoi(optarg); break;
		case 'r': ready = optarg; break;
		case 'q': trap_signals(); break;
		default: return 2;
		}
	}
	if (ready != NULL && (fd = open(ready, O_WRONLY | O_CREAT, 0644)) >= 0)
		(void)close(fd);
	while (process_cpu_ns() < ms * 1000000u && got == 0)
		(void)burner_hot(200000);
	if (sig != 0)
		end_by_signal(sig);
	return got != 0 ? 40 + got : status;
}

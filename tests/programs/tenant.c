/* SPDX-License-Identifier: Apache-2.0
 *
 * tenant.c - a program that does what it says and no more, wherever it runs: CPU time in main, in threads and in a
 * forked child.
 *
 * Usage:    tenant [MILLISECONDS_EACH [THREADS]]
 * Tells:    one line that is the same with and without sonde; status 5 when all went well.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

#include "burn.h"

#define THREADS_MAX 1000

static uint64_t each_ns;

static NOINLINE void
tenant_hot(void)
{
	uint64_t end = thread_cpu_ns() + each_ns;

	while (thread_cpu_ns() < end)
		BURN(10000);
	STAY();
}

static void *
work(void *arg)
{
	tenant_hot();
	return arg;
}

int
main(int argc, char **argv)
{
	static pthread_t t[THREADS_MAX];
	int threads = argc > 2 ? atoi(argv[2]) : 2, made = 0, status = -1;
	pid_t pid;

	each_ns = (uint64_t)(argc > 1 ? atoi(argv[1]) : 100) * 1000000u;
	while (made < threads && made < THREADS_MAX && pthread_create(&t[made], NULL, work, NULL) == 0)
		made++;
	tenant_hot();
	for (int i = 0; i < made; i++)
		(void)pthread_join(t[i], NULL);
	pid = fork();
	if (pid == 0) {
		tenant_hot();
		_exit(3);
	}
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	(void)printf("threads %d child %d others %d\n", made, status, waitpid(-1, NULL, WNOHANG) < 0 ? errno : 0);
	return 5;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.c - start a program under a seccomp filter, as container runtimes and systemd do.
 *
 * Usage:    confine ACTION CALL[,CALL…] PROGRAM [ARG…]
 *           ACTION  eperm, enosys, kill or trap; CALL  a name of the table below, or all of them
 * Status:   127 when the program cannot be started, 77 where the kernel has no filters.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 64

#define ROW(name) { #name, SYS_##name }
static const struct {
	const char *name;
	int number;
} table[] = {
	ROW(timer_create), ROW(timer_settime), ROW(timer_delete), ROW(memfd_create), ROW(perf_event_open),
	ROW(socket), ROW(connect), ROW(bind), ROW(listen), ROW(accept4), ROW(sendmsg), ROW(recvmsg), ROW(sendto),
	ROW(getsockopt), ROW(setsockopt),
	ROW(process_vm_readv), ROW(rt_tgsigqueueinfo), ROW(unshare), ROW(close_range), ROW(pidfd_open),
	ROW(capset), ROW(capget), ROW(epoll_create1), ROW(eventfd2), ROW(signalfd4),
	ROW(sched_setscheduler), ROW(sched_getscheduler), ROW(tgkill), ROW(mkdirat), ROW(waitid), ROW(ptrace),
	ROW(timerfd_create), ROW(prlimit64),
};
#define TABLE (sizeof(table) / sizeof(table[0]))

static int
action_of(const char *word, unsigned *action)
{
	if (strcmp(word, "eperm") == 0)
		*action = SECCOMP_RET_ERRNO | EPERM;
	else if (strcmp(word, "enosys") == 0)
		*action = SECCOMP_RET_ERRNO | ENOSYS;
	else if (strcmp(word, "kill") == 0)
		*action = SECCOMP_RET_KILL_PROCESS;
	else if (strcmp(word, "trap") == 0)
		*action = SECCOMP_RET_TRAP;
	else
		return -1;
	return 0;
}

/* The numbers of the calls in the list.  How many; 0 for a name that is not in the table. */
static unsigned
numbers_of(const char *list, int numbers[CALLS_MAX])
{
	unsigned n = 0;

	/* What the C library needs at each start is left alone. */
	for (size_t i = 0; strcmp(list, "all") == 0 && i < TABLE; i++)
		if (table[i].number != SYS_prlimit64)
			numbers[n++] = table[i].number;
	while (n == 0 || (*list != '\0' && strcmp(list, "all") != 0)) {
		size_t len = strcspn(list, ","), i = 0;

		while (i < TABLE && (strlen(table[i].name) != len || strncmp(table[i].name, list, len) != 0))
			i++;
		if (i == TABLE || n == CALLS_MAX)
			return 0;
		numbers[n++] = table[i].number;
		list += len + (list[len] == ',');
	}
	return n;
}

static int
install(const int *numbers, unsigned n, unsigned action)
{
	struct sock_filter filter[CALLS_MAX + 3];
	struct sock_fprog prog = { .len = (unsigned short)(n + 3), .filter = filter };

	filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < n; i++)
		filter[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i],
			(unsigned char)(n - i), 0);
	filter[n + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[n + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

int
main(int argc, char **argv)
{
	int numbers[CALLS_MAX];
	unsigned action, n;

	if (argc < 4 || action_of(argv[1], &action) < 0 || (n = numbers_of(argv[2], numbers)) == 0) {
		(void)fprintf(stderr, "usage: confine eperm|enosys|kill|trap CALL[,CALL…]|all PROGRAM [ARG…]\n");
		return 2;
	}
	if (install(numbers, n, action) < 0) {
		perror("confine: seccomp");
		return 77;
	}
	(void)execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}

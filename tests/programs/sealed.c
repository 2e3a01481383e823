/* SPDX-License-Identifier: Apache-2.0
 *
 * sealed.c - a program that lets itself do next to nothing from some point on, and dies of anything else.
 *
 * Usage:    sealed HOW
 *           prctl, seccomp, all (TSYNC)   a filter, in the middle; a thread before it, one after it, a forked child
 *                                         that installs its own first thing
 *           noreturn                      the same, and no signal handler may return either
 *           strict                        read, write, exit and sigreturn only
 *           question                      asks which flags the kernel knows, as libseccomp does, and has no filter
 *           vfork                         a vfork child has a filter, and runs another program
 *           refused                       one that the kernel does not take
 * Tells:    what came of it, the same with and without sonde.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "burn.h"

#define CHILD_MS	150
#define BEFORE_MS	200
#define AFTER_MS	600		/* long enough for the collector to meet a thread that it does not know */

static NOINLINE void
burn_ms(uint64_t ms)
{
	uint64_t end = thread_cpu_ns() + ms * 1000000u;

	while (thread_cpu_ns() < end)
		BURN(100000);
}

static void *
work(void *arg)
{
	burn_ms((uint64_t)(uintptr_t)arg);
	return arg;
}

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static long
install(const char *how)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_rt_sigreturn), ALLOW(SYS_write), ALLOW(SYS_exit), ALLOW(SYS_exit_group), ALLOW(SYS_futex),
		ALLOW(SYS_clock_gettime), ALLOW(SYS_newfstatat), ALLOW(SYS_fstat), ALLOW(SYS_brk), ALLOW(SYS_mmap),
		ALLOW(SYS_munmap), ALLOW(SYS_mprotect), ALLOW(SYS_madvise), ALLOW(SYS_rt_sigprocmask),
		ALLOW(SYS_clone3), ALLOW(SYS_set_robust_list), ALLOW(SYS_rseq), ALLOW(SYS_getrandom),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

	if (strcmp(how, "noreturn") == 0)
		filter[1].k = SYS_write;
	if (strcmp(how, "vfork") == 0)
		filter[sizeof(filter) / sizeof(filter[0]) - 1].k = SECCOMP_RET_ALLOW;
	if (strcmp(how, "refused") == 0)
		prog.len = 0;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (strcmp(how, "question") == 0)
		return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, NULL) +
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0);
	if (strcmp(how, "prctl") == 0)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		strcmp(how, "all") == 0 || strcmp(how, "noreturn") == 0 ? SECCOMP_FILTER_FLAG_TSYNC : 0, &prog);
}

/* Nothing but what the mode lets pass: not even the end of a process. */
static int
be_strict(void)
{
	static const char line[] = "strict to the end\n";
	uint64_t turns = burn_turns_per_us();

	burn_ms(50);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
		return 1;
	BURN(turns * 1000 * AFTER_MS);
	if (write(1, line, sizeof(line) - 1) < 0)
		return 1;
	(void)syscall(SYS_exit, 3);
	return 1;
}

/* As servers do with their workers: the filter comes before the first tick of the child. */
static int
sealed_child(const char *how)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)install(how);
		burn_ms(CHILD_MS);
		_exit(7);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int
sealed_vfork_child(char *self)
{
	char *next[] = { self, "child", NULL };
	int status = -1;
	pid_t pid = vfork();

	if (pid == 0) {
		(void)install("vfork");
		(void)execv("/proc/self/exe", next);
		_exit(1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int
main(int argc, char **argv)
{
	pthread_t before, after;
	int child, made;
	long ret;

	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "strict") == 0)
		return be_strict();
	if (strcmp(argv[1], "child") == 0)
		return 7;
	child = strcmp(argv[1], "vfork") == 0 ? sealed_vfork_child(argv[0]) : sealed_child(argv[1]);
	if (pthread_create(&before, NULL, work, (void *)BEFORE_MS) != 0)
		return 3;
	burn_ms(20);
	ret = strcmp(argv[1], "vfork") == 0 ? 0 : install(argv[1]);
	burn_ms(50);
	made = pthread_create(&after, NULL, work, (void *)AFTER_MS);
	if (made == 0)
		(void)pthread_join(after, NULL);
	(void)pthread_join(before, NULL);
	return printf("filter %ld child %d thread %d\n", ret, child, made) < 0;
}

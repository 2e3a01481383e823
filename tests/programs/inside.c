/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.c - what a program may do to itself that a thread of somebody else's in it could spoil.
 *
 * Usage: inside WHAT [ARG]: says on stdout what came of it; the same with and without sonde.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

static NOINLINE void
burn_ms(unsigned ms)
{
	struct timespec ts;
	uint64_t end, now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	for (end = now + ms * 1000000ull; now < end;) {
		BURN(10000);
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
		now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
}

static void *
burn_a_little(void *arg)
{
	burn_ms((unsigned)(uintptr_t)arg);
	return NULL;
}

/* Close all descriptors but one that is far up, open files: their numbers and bytes must be the usual ones. */
static int
do_descriptors(char **arg)
{
	char name[4096], text[64], back[64];
	int out = fcntl(1, F_DUPFD, 1500), wrong = 0;

	for (int fd = 0; fd < 1024; fd++)
		(void)close(fd);
	for (int i = 0; i < 20; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "%s/f%d", arg[0], i);
		fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		wrong += fd != i;
		(void)snprintf(text, sizeof(text), "this is file %d", i);
		wrong += write(fd, text, sizeof(text)) != (ssize_t)sizeof(text);
		burn_ms(10);
	}
	for (int i = 0; i < 20; i++) {
		(void)snprintf(text, sizeof(text), "this is file %d", i);
		memset(back, 0, sizeof(back));
		wrong += pread(i, back, sizeof(back), 0) != (ssize_t)sizeof(back) || strcmp(back, text) != 0;
		wrong += lseek(i, 0, SEEK_END) != (off_t)sizeof(text);
	}
	return dprintf(out, "descriptors wrong %d\n", wrong) < 0;
}

static void *
say_at_the_end(void *arg)
{
	burn_ms((unsigned)(uintptr_t)arg);
	(void)printf("the worker's last word");		/* stays in stdio's buffer until exit() */
	return NULL;
}

/* main goes by pthread_exit; the process ends with the last worker, and what it printed is flushed. */
static int
do_last_worker(char **arg)
{
	pthread_t t;

	(void)arg;
	for (uintptr_t i = 1; i <= 3; i++)
		if (pthread_create(&t, NULL, i == 3 ? say_at_the_end : burn_a_little, (void *)(i * 5)) != 0)
			return 1;
	pthread_exit(NULL);
}

static int
do_unshare(char **arg)
{
	int flags = (int)strtol(arg[0], NULL, 0);
	int ret = unshare(flags);
	int err = errno;

	(void)printf("unshare %d %s uid %d\n", ret, ret < 0 ? strerror(err) : "", (int)getuid());
	burn_ms(20);
	return 0;
}

static int
do_setns(char **arg)
{
	int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	int ret = setns(fd, 0);

	(void)printf("setns %d %s\n", ret, ret < 0 ? strerror(errno) : "");
	burn_ms(20);
	return 0;
}

static void *
wait_for_byte(void *arg)
{
	char c;

	while (read(*(int *)arg, &c, 1) < 0 && errno == EINTR)
		;
	return NULL;
}

/* Give up root, and take it back, in a program of several threads. */
static int
do_set_ids(char **arg)
{
	int fds[2];
	pthread_t t[4];
	gid_t one = 65534;

	(void)arg;
	if (pipe(fds) < 0)
		return 1;
	for (int i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, wait_for_byte, &fds[0]) != 0)
			return 1;
	(void)printf("%d ", setgroups(1, &one));
	for (int i = 0; i < 5; i++) {
		(void)printf("%d ", seteuid(65534));
		burn_ms(5);
		(void)printf("%d ", seteuid(0));
	}
	(void)printf("%d ", setresgid(65534, 65534, 65534));
	(void)printf("%d ", setuid(65534));
	(void)printf("%d ", setuid(0));
	burn_ms(20);
	(void)printf("uid %d %d gid %d\n", (int)getuid(), (int)geteuid(), (int)getgid());
	(void)close(fds[1]);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(t[i], NULL);
	return 0;
}

static void
append(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(9);
	(void)close(fd);
}

/* The daemon writes to a file, works, and ends with 3 descriptors as it began. */
static int
be_a_daemon(const char *file)
{
	char text[64];
	int fd = open("/dev/null", O_RDONLY);

	burn_ms(60);
	(void)snprintf(text, sizeof(text), "daemon next descriptor %d\n", fd);
	append(file, text);
	return 0;
}

static int
do_daemon(char **arg)
{
	if (daemon(1, 0) < 0)
		return 1;
	return be_a_daemon(arg[0]);
}

/* Both parent and daemon have something to tell, in different folders. */
static int
do_daemon_in_root(char **arg)
{
	burn_ms(100);
	return daemon(0, 0) < 0 ? 1 : be_a_daemon(arg[0]);
}

static int
do_double_fork(char **arg)
{
	int unused;
	pid_t pid = fork();

	if (pid > 0)
		return waitpid(pid, &unused, 0) != pid || unused != 0;
	if (setsid() < 0)
		_exit(2);
	pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	exit(be_a_daemon(arg[0]));
}

static void *
loop(void *arg)
{
	for (;;) {
		burn_ms(1);
		pthread_testcancel();
	}
	return arg;
}

/* Threads that come, are cancelled, and are there when exit() runs. */
static int
do_races(char **arg)
{
	pthread_t t[16];

	(void)arg;
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 16; i++)
			if (pthread_create(&t[i], NULL, loop, NULL) != 0)
				return 1;
		for (int i = 0; i < 16; i++)
			(void)pthread_cancel(t[i]);
		for (int i = 0; i < 16 && round < 3; i++)
			(void)pthread_join(t[i], NULL);
	}
	(void)printf("raced");
	return 0;
}

/* Threads with the smallest stacks. */
static int
do_small_stacks(char **arg)
{
	pthread_attr_t attr;
	pthread_t t[32];
	int n = 0;

	(void)arg;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, 16384);
	for (int i = 0; i < 32; i++)
		n += pthread_create(&t[i], &attr, burn_a_little, (void *)10) == 0;
	for (int i = 0; i < 32; i++)
		(void)pthread_join(t[i], NULL);
	return printf("%d small stacks\n", n) < 0;
}

static int
do_terminate(char **arg)
{
	burn_ms(20);
	(void)printf("said before ");
	(void)fflush(stdout);
	(void)kill(getpid(), (int)strtol(arg[0], NULL, 10));
	return 0;
}

/* Allow what this program does from here on, kill for anything else; prctl, seccomp, or seccomp for all threads. */
static int
do_sandbox(char **arg)
{
#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_write), ALLOW(SYS_exit), ALLOW(SYS_exit_group), ALLOW(SYS_futex), ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_clock_gettime), ALLOW(SYS_newfstatat), ALLOW(SYS_fstat), ALLOW(SYS_brk), ALLOW(SYS_mmap),
		ALLOW(SYS_munmap), ALLOW(SYS_mprotect), ALLOW(SYS_madvise), ALLOW(SYS_rt_sigprocmask),
		ALLOW(SYS_clone3),
		ALLOW(SYS_set_robust_list), ALLOW(SYS_rseq), ALLOW(SYS_rt_sigaction), ALLOW(SYS_getrandom),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };
	pthread_t t;
	long ret;

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (strcmp(arg[0], "prctl") == 0)
		ret = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
	else
		ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, strcmp(arg[0], "all") == 0 ?
			SECCOMP_FILTER_FLAG_TSYNC : 0, &prog);
	(void)printf("filter %ld\n", ret);
	burn_ms(50);
	if (pthread_create(&t, NULL, burn_a_little, (void *)20) == 0)
		(void)pthread_join(t, NULL);
	return printf("in the sandbox\n") < 0;
}

static volatile int starts_done;

static void *
start_profiler(void *arg)
{
	int (*begin)(const void *) = (int (*)(const void *))(uintptr_t)arg;

	(void)begin(NULL);
	starts_done = 1;
	return NULL;
}

/* Children forked while another thread is starting the profiler: each can load a library, which needs the loader. */
static int
do_fork_while_starting(char **arg)
{
	void *begin = dlsym(RTLD_DEFAULT, "sonde_start");	/* without sonde there is none */
	int failed = 0, status, n = 0;
	pid_t pids[40];
	pthread_t t;

	if (begin != NULL && pthread_create(&t, NULL, start_profiler, begin) != 0)
		return 1;
	(void)usleep((useconds_t)atoi(arg[0]));
	for (; n < 40 && !(starts_done && n > 8); n++) {
		pids[n] = fork();
		if (pids[n] == 0) {
			(void)alarm(10);
			exit(dlopen("libz.so.1", RTLD_NOW) != NULL ? 7 : 8);
		}
	}
	for (int i = 0; i < n; i++)
		failed += pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 7;
	if (begin != NULL)
		(void)pthread_join(t, NULL);
	return printf("children failed %d\n", failed) < 0;
}

/* Many children, in the middle of whatever the collector does. */
static int
do_forks(char **arg)
{
	int failed = 0, status;

	for (int i = 0; i < atoi(arg[0]); i++) {
		pid_t pid = fork();

		if (pid == 0) {
			free(malloc(100000));
			if (i % 3 == 0)
				(void)execl("/bin/true", "true", (char *)NULL);
			if (i % 3 == 1)
				_exit(0);
			exit(0);
		}
		failed += pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	}
	return printf("children failed %d\n", failed) < 0;
}

static const struct {
	const char *word;
	int (*run)(char **arg);
} table[] = {
	{ "descriptors", do_descriptors }, { "last-worker", do_last_worker }, { "unshare", do_unshare },
	{ "setns", do_setns }, { "set-ids", do_set_ids }, { "daemon", do_daemon },
	{ "daemon-in-root", do_daemon_in_root }, { "double-fork", do_double_fork },
	{ "races", do_races }, { "small-stacks", do_small_stacks }, { "terminate", do_terminate },
	{ "sandbox", do_sandbox }, { "fork-while-starting", do_fork_while_starting }, { "forks", do_forks },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(argv[1], table[i].word) == 0)
			return table[i].run(argv + 2);
	(void)fprintf(stderr, "inside: which?\n");
	return 2;
}

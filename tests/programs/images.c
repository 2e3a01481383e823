/* SPDX-License-Identifier: Apache-2.0
 *
 * images.c - what children and new images find of the signal that a profiler takes.
 *
 * Usage:    images WORD [SIGNAL]      SIGNAL is that of the profiler, by number; SIGPROF if not told
 * Tells:    what each call answered; the same with and without sonde.  Status 0.
 */
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ownsignal.h"

extern char **environ;

/* Is the signal blocked, ignored, as the kernel has it?  By cat, which no profiler is in. */
static int
show_status(void)
{
	static const char *const names[] = { "SigBlk:", "SigIgn:", "SigCgt:" };
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		for (int i = 0; i < 2; i++)
			if (strncmp(line, names[i], 7) == 0)
				(void)printf("%s %d ", names[i],
					(int)(strtoull(line + 7, NULL, 16) >> (sig - 1) & 1));
	(void)printf("\n");
	if (f != NULL)
		(void)fclose(f);
	return fflush(stdout);
}

static char **
status_args(char **args, char *number)
{
	static char self[] = "images", word[] = "status";

	(void)snprintf(number, 8, "%d", sig);
	args[0] = self;
	args[1] = word;
	args[2] = number;
	args[3] = NULL;
	return args;
}

static char *none[] = { NULL };

static void
wait_child(const char *how, pid_t pid)
{
	int status = 0;

	(void)waitpid(pid, &status, 0);
	if (status != 0)
		(void)printf("%s: status %x\n", how, (unsigned)status);
	(void)fflush(stdout);
}

static void
start_all(const char *when)
{
	char number[8], *args[4];
	posix_spawnattr_t attr;
	sigset_t set = only(sig), empty;
	pid_t pid;

	(void)printf("%s\n", when);
	(void)fflush(stdout);
	(void)status_args(args, number);
	pid = fork();
	if (pid == 0) {
		(void)execve("/proc/self/exe", args, none);
		_exit(127);
	}
	wait_child("fork, execve", pid);
	pid = vfork();
	if (pid == 0) {
		(void)execle("/proc/self/exe", "images", "status", number, (char *)NULL, none);
		_exit(127);
	}
	wait_child("vfork, execle", pid);
	pid = fork();
	if (pid == 0) {
		(void)execl("/no/such/program", "images", (char *)NULL);
		environ = none;
		(void)execlp("/proc/self/exe", "images", "status", number, (char *)NULL);
		_exit(127);
	}
	wait_child("fork, execlp", pid);
	pid = fork();
	if (pid == 0) {
		(void)syscall(SYS_execve, "/proc/self/exe", args, none);
		_exit(127);
	}
	wait_child("fork, system call", pid);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, none) == 0)
		wait_child("posix_spawn", pid);
	(void)posix_spawnattr_init(&attr);
	(void)sigemptyset(&empty);
	(void)posix_spawnattr_setsigmask(&attr, &empty);
	(void)posix_spawnattr_setsigdefault(&attr, &set);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (posix_spawnp(&pid, "/proc/self/exe", NULL, &attr, args, none) == 0)
		wait_child("posix_spawnp", pid);
	(void)posix_spawnattr_setsigmask(&attr, &set);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (posix_spawnp(&pid, "/proc/self/exe", NULL, &attr, args, none) == 0)
		wait_child("posix_spawnp", pid);
}

static int
do_start(void)
{
	sigset_t set = only(sig);

	start_all("as it was");
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	start_all("blocked");
	show_mask("after");
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)signal(sig, SIG_IGN);
	start_all("ignored");
	show_action("after");
	burn_ms(50);
	set_action(note, 0, 0);
	start_all("caught");
	(void)raise(sig);
	(void)printf("seen %d\n", (int)seen);
	return 0;
}

/* The same program again, with what it inherits; profiled as this one is. */
static int
do_inherit(void)
{
	sigset_t set = only(sig);
	char number[8];

	(void)snprintf(number, sizeof(number), "%d", sig);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(sig, SIG_IGN);
	(void)execl("/proc/self/exe", "images", "inherited", number, (char *)NULL);
	return 1;
}

static int
do_inherited(void)
{
	sigset_t set = only(sig);

	show_mask("inherited");
	show_action("inherited");
	burn_ms(100);
	(void)raise(sig);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	show_mask("unblocked");
	set_action(note, 0, 0);
	(void)raise(sig);
	(void)printf("seen %d\n", (int)seen);
	return 0;
}

/* What a vfork child does to its mask and actions is its own affair. */
static int
do_vfork(void)
{
	sigset_t set = only(sig), now;
	struct sigaction a = { .sa_handler = SIG_DFL }, old;
	volatile int said = 0;
	pid_t pid;

	set_action(note, SA_RESTART, 0);
	pid = vfork();
	if (pid == 0) {
		(void)sigaction(sig, NULL, &old);
		said = old.sa_handler == note;
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
		(void)sigaction(sig, &a, NULL);
		(void)sigaction(sig, NULL, &old);
		(void)sigprocmask(SIG_BLOCK, NULL, &now);
		said = said * 100 + (old.sa_handler == SIG_DFL) * 10 + sigismember(&now, sig);
		_exit(0);
	}
	wait_child("vfork", pid);
	(void)printf("child says %d\n", said);
	show_mask("parent");
	show_action("parent");
	(void)raise(sig);
	burn_ms(60);
	(void)printf("seen %d\n", (int)seen);
	return 0;
}

/* A forked child resets the signal, as shells and servers do, then works. */
static int
do_fork(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		set_action(SIG_DFL, 0, 0);
		burn_ms(200);
		show_action("child");
		_exit(fflush(stdout));
	}
	wait_child("fork", pid);
	return 0;
}

/* A child with a session of its own may get a collector of its own; the signal is still ignored there. */
static int
do_session(void)
{
	pid_t pid;

	(void)signal(sig, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		(void)setsid();
		(void)raise(sig);
		burn_ms(60);
		show_action("child");
		_exit(fflush(stdout));
	}
	wait_child("session", pid);
	return 0;
}

/* N programs one after the other in a process id, each with a little work; no late signal may end one. */
static int
do_chain(void)
{
	const char *text = getenv("LEFT");
	int left = text != NULL ? atoi(text) : 200;
	char next[16];

	burn_ms(6);
	if (left == 0)
		return puts("chained") < 0;
	(void)snprintf(next, sizeof(next), "%d", left - 1);
	(void)setenv("LEFT", next, 1);
	(void)execlp("/proc/self/exe", "images", "chain", (char *)NULL);
	return 1;
}

static const struct {
	const char *word;
	int (*run)(void);
} table[] = {
	{ "start", do_start },
	{ "status", show_status },
	{ "inherit", do_inherit },
	{ "inherited", do_inherited },
	{ "vfork", do_vfork },
	{ "fork", do_fork },
	{ "chain", do_chain },
	{ "session", do_session },
};

int
main(int argc, char **argv)
{
	if (argc > 2)
		sig = atoi(argv[2]);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(argv[1], table[i].word) == 0)
			return table[i].run();
	(void)fprintf(stderr, "images: which?\n");
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * exec.c - each exec and each spawn between sn_control_exec_begin and sn_control_exec_failed.
 *
 * Runs in:  application threads, children of fork and vfork: no memory is written but the stack.
 * Memory:   arguments in a list are put in order on the stack, as libc does.
 */
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "base/syscall.h"
#include "control/control.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))

enum real { REAL_EXECVE, REAL_EXECVPE, REAL_FEXECVE, REAL_EXECVEAT, REAL_SPAWN, REAL_SPAWNP, REAL_COUNT };

static const char *const names[REAL_COUNT] = {
	"execve", "execvpe", "fexecve", "execveat", "posix_spawn", "posix_spawnp",
};
static void *functions[REAL_COUNT];

typedef int exec_fn(const char *, char *const *, char *const *);
typedef int spawn_fn(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	char *const *, char *const *);

void
sn_preload_resolve_exec(void)
{
	for (int i = 0; i < REAL_COUNT; i++)
		(void)sn_preload_next(&functions[i], names[i]);
}

static void *
real(enum real which)
{
	return sn_preload_next(&functions[which], names[which]);
}

static int
exec_by(enum real which, const char *path, char *const *argv, char *const *envp)
{
	exec_fn *fn = (exec_fn *)real(which);
	struct sn_exec e;
	int ret;

	sn_control_exec_begin(&e, which == REAL_EXECVE ? path : NULL, false);
	ret = fn(path, argv, envp);
	sn_control_exec_failed(&e);
	return ret;
}

SN_EXPORT int
execve(const char *path, char *const *argv, char *const *envp)
{
	return exec_by(REAL_EXECVE, path, argv, envp);
}

SN_EXPORT int
execv(const char *path, char *const *argv)
{
	return exec_by(REAL_EXECVE, path, argv, environ);
}

SN_EXPORT int
execvpe(const char *file, char *const *argv, char *const *envp)
{
	return exec_by(REAL_EXECVPE, file, argv, envp);
}

SN_EXPORT int
execvp(const char *file, char *const *argv)
{
	return exec_by(REAL_EXECVPE, file, argv, environ);
}

SN_EXPORT int
fexecve(int fd, char *const *argv, char *const *envp)
{
	struct sn_exec e;
	int ret;

	sn_control_exec_begin(&e, NULL, false);
	ret = ((int (*)(int, char *const *, char *const *))real(REAL_FEXECVE))(fd, argv, envp);
	sn_control_exec_failed(&e);
	return ret;
}

/* Came with glibc 2.34. */
SN_EXPORT int
execveat(int fd, const char *path, char *const *argv, char *const *envp, int flags)
{
	struct sn_exec e;
	long ret;

	sn_control_exec_begin(&e, NULL, false);
	ret = sn_syscall5(SYS_execveat, fd, path, argv, envp, flags);
	sn_control_exec_failed(&e);
	errno = (int)-ret;
	return -1;
}

/* How many arguments follow the first, up to the NULL. */
static size_t
count(va_list ap)
{
	size_t n = 0;

	while (va_arg(ap, char *) != NULL)
		n++;
	return n;
}

static void
collect(char **argv, const char *first, va_list *ap)
{
	argv[0] = (char *)(uintptr_t)first;
	for (size_t i = 0; argv[i] != NULL; i++)
		argv[i + 1] = va_arg(*ap, char *);
}

static size_t
length(const char *first, va_list ap)
{
	return first == NULL ? 1 : 2 + count(ap);
}

static int
exec_list(enum real which, const char *path, const char *arg, va_list ap, bool has_environment)
{
	va_list again;
	size_t n;

	va_copy(again, ap);
	n = length(arg, again);
	va_end(again);
	{
		char *argv[n];

		va_copy(again, ap);
		collect(argv, arg, &again);
		va_end(again);
		if (!has_environment)
			return exec_by(which, path, argv, environ);
		for (size_t i = 1; i < n; i++)
			(void)va_arg(ap, char *);	/* up to the NULL: what follows is the environment */
		return exec_by(which, path, argv, va_arg(ap, char *const *));
	}
}

SN_EXPORT int
execl(const char *path, const char *arg, ...)
{
	va_list ap;
	int ret;

	va_start(ap, arg);
	ret = exec_list(REAL_EXECVE, path, arg, ap, false);
	va_end(ap);
	return ret;
}

SN_EXPORT int
execlp(const char *file, const char *arg, ...)
{
	va_list ap;
	int ret;

	va_start(ap, arg);
	ret = exec_list(REAL_EXECVPE, file, arg, ap, false);
	va_end(ap);
	return ret;
}

SN_EXPORT int
execle(const char *path, const char *arg, ...)
{
	va_list ap;
	int ret;

	va_start(ap, arg);
	ret = exec_list(REAL_EXECVE, path, arg, ap, true);
	va_end(ap);
	return ret;
}

static int
spawn_by(enum real which, pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attr, char *const *argv, char *const *envp)
{
	struct sn_exec e;
	int err;

	sn_control_exec_begin(&e, NULL, true);
	err = ((spawn_fn *)real(which))(pid, file, actions, attr, argv, envp);
	sn_control_exec_failed(&e);
	return err;
}

SN_EXPORT int
posix_spawn(pid_t *restrict pid, const char *restrict path, const posix_spawn_file_actions_t *restrict actions,
	const posix_spawnattr_t *restrict attr, char *const *restrict argv, char *const *restrict envp)
{
	return spawn_by(REAL_SPAWN, pid, path, actions, attr, argv, envp);
}

SN_EXPORT int
posix_spawnp(pid_t *restrict pid, const char *restrict file, const posix_spawn_file_actions_t *restrict actions,
	const posix_spawnattr_t *restrict attr, char *const *restrict argv, char *const *restrict envp)
{
	return spawn_by(REAL_SPAWNP, pid, file, actions, attr, argv, envp);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * trial.c - try the system calls of ours under a filter that may kill for them (see trial.h).
 *
 * Runs in:  constructor, profiler_start(), the sonde command; the child of a raw clone.
 * Memory:   one page, shared with the child while it lives, says how far it came.
 * How:      each call is made so that it does nothing (a bad descriptor, no address).  The child has its own memory: a
 *           core of one that shared ours would end us too before Linux 5.16.  It has no exit signal, so that the
 *           program's wait() never meets it.
 * Limit:    a filter that kills for clone kills here; it cannot be asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "base/trial.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

#define G SN_TRIAL_GUEST
#define H SN_TRIAL_HOST
#define R SN_TRIAL_RUN
#define NOWHERE (-1)			/* a descriptor that nobody has */

struct row {
	const char *name;
	long number;
	uint8_t who;			/* makes the call */
	uint8_t needs;			/* … and can do nothing without */
	long args[5];
};

/* wait4 first: by it we know that the child may be waited for. */
static const struct row table[] = {
	{ "wait4", SYS_wait4, G | H | R, 0, { NOWHERE, 0, WNOHANG | (long)__WALL } },
	{ "gettid", SYS_gettid, G | H | R, 0, { 0 } },
	{ "getppid", SYS_getppid, G | H | R, 0, { 0 } },
	{ "getuid", SYS_getuid, G | H | R, 0, { 0 } },
	{ "geteuid", SYS_geteuid, G | H | R, 0, { 0 } },
	{ "getgid", SYS_getgid, H | R, 0, { 0 } },
	{ "getegid", SYS_getegid, H | R, 0, { 0 } },
	{ "getresuid", SYS_getresuid, H, 0, { 0 } },
	{ "getresgid", SYS_getresgid, H, 0, { 0 } },
	{ "timer_create", SYS_timer_create, G | H, G | H, { -1000 } },
	{ "timer_settime", SYS_timer_settime, G | H, G | H, { NOWHERE } },
	{ "timer_delete", SYS_timer_delete, G | H, 0, { NOWHERE } },
	{ "tgkill", SYS_tgkill, G | H, 0, { NOWHERE, NOWHERE } },
	{ "nanosleep", SYS_nanosleep, G | H, 0, { 0 } },
	{ "sched_yield", SYS_sched_yield, G | H, 0, { 0 } },
	{ "sched_getscheduler", SYS_sched_getscheduler, H, 0, { NOWHERE } },
	{ "sched_setscheduler", SYS_sched_setscheduler, H, 0, { NOWHERE } },
	{ "madvise", SYS_madvise, G | H | R, 0, { 1, 0, MADV_WIPEONFORK } },
	{ "mincore", SYS_mincore, G | H | R, 0, { 1 } },
	{ "getdents64", SYS_getdents64, G | H | R, 0, { NOWHERE } },
	{ "readlinkat", SYS_readlinkat, G | H | R, 0, { NOWHERE } },
	{ "getrandom", SYS_getrandom, G | H | R, 0, { 0 } },
	{ "prctl", SYS_prctl, G | H | R, 0, { PR_GET_NAME } },
	{ "prctl", SYS_prctl, H, 0, { PR_SET_NO_NEW_PRIVS, 0 } },
	{ "socket", SYS_socket, G | H | R, G | H | R, { AF_UNIX, NOWHERE } },
	{ "setsockopt", SYS_setsockopt, G | H | R, 0, { NOWHERE } },
	{ "getsockopt", SYS_getsockopt, G | H | R, G | H | R, { NOWHERE } },
	{ "connect", SYS_connect, G | H | R, G, { NOWHERE } },
	{ "sendto", SYS_sendto, G | H, G, { NOWHERE } },
	{ "ppoll", SYS_ppoll, G | H, G, { 0, 1 } },
	{ "recvmsg", SYS_recvmsg, G | H | R, G, { NOWHERE } },
	{ "bind", SYS_bind, H | R, H | R, { NOWHERE } },
	{ "listen", SYS_listen, H | R, H | R, { NOWHERE } },
	{ "accept4", SYS_accept4, H | R, H | R, { NOWHERE } },
	{ "recvfrom", SYS_recvfrom, H | R, H | R, { NOWHERE } },
	{ "sendmsg", SYS_sendmsg, H | R, H | R, { NOWHERE } },
	{ "memfd_create", SYS_memfd_create, H | R, R, { 0 } },
	{ "ftruncate", SYS_ftruncate, H | R, R, { NOWHERE } },
	{ "signalfd4", SYS_signalfd4, R, R, { NOWHERE } },
	{ "waitid", SYS_waitid, G | H | R, R, { P_ALL, 0, 0, WNOHANG | WEXITED | WNOWAIT } },
	{ "epoll_create1", SYS_epoll_create1, H | R, 0, { NOWHERE } },
	{ "epoll_ctl", SYS_epoll_ctl, H | R, 0, { NOWHERE } },
	{ "epoll_pwait", SYS_epoll_pwait, H | R, 0, { NOWHERE } },
#ifdef SYS_epoll_wait
	{ "epoll_wait", SYS_epoll_wait, H | R, 0, { NOWHERE } },
#endif
	{ "eventfd2", SYS_eventfd2, H | R, 0, { 0, NOWHERE } },
	{ "pipe2", SYS_pipe2, H | R, 0, { 0 } },
	{ "dup3", SYS_dup3, H | R, 0, { NOWHERE, NOWHERE } },
#ifdef SYS_dup2
	{ "dup2", SYS_dup2, H | R, 0, { NOWHERE, NOWHERE } },
#endif
	{ "fcntl", SYS_fcntl, H | R, 0, { NOWHERE } },
	{ "ioctl", SYS_ioctl, H | R, 0, { NOWHERE } },
	{ "lseek", SYS_lseek, H | R, 0, { NOWHERE } },
	{ "pread64", SYS_pread64, H | R, 0, { NOWHERE } },
	{ "pwrite64", SYS_pwrite64, H | R, 0, { NOWHERE } },
	{ "fsync", SYS_fsync, H | R, 0, { NOWHERE } },
	{ "fchmod", SYS_fchmod, H | R, 0, { NOWHERE } },
	{ "mkdirat", SYS_mkdirat, H | R, 0, { NOWHERE } },
	{ "unlinkat", SYS_unlinkat, H | R, 0, { NOWHERE } },
	{ "renameat", SYS_renameat, H | R, 0, { NOWHERE } },
#ifdef SYS_mkdir
	{ "mkdir", SYS_mkdir, H | R, 0, { 0 } },
	{ "unlink", SYS_unlink, H | R, 0, { 0 } },
	{ "rename", SYS_rename, H | R, 0, { 0 } },
	{ "readlink", SYS_readlink, H | R, 0, { 0 } },
#endif
	{ "getcwd", SYS_getcwd, H | R, 0, { 0 } },
	{ "sysinfo", SYS_sysinfo, H | R, 0, { 0 } },
	{ "pidfd_open", SYS_pidfd_open, H | R, 0, { NOWHERE } },
	{ "kill", SYS_kill, H | R, 0, { 0x7fffffff, 0 } },
	{ "rt_sigpending", SYS_rt_sigpending, H | R, 0, { 0, NOWHERE } },
	{ "rt_sigtimedwait", SYS_rt_sigtimedwait, H | R, 0, { 0, 0, 0, NOWHERE } },
	{ "rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, R, 0, { NOWHERE } },
	{ "capget", SYS_capget, H, 0, { 0 } },
	{ "capset", SYS_capset, H, 0, { 0 } },
	{ "unshare", SYS_unshare, H, 0, { CLONE_FS } },
	{ "execve", SYS_execve, H | R, 0, { 0 } },
	{ "prlimit64", SYS_prlimit64, H | R, 0, { 0, NOWHERE } },
	{ "setrlimit", SYS_setrlimit, H | R, 0, { NOWHERE } },
	{ "getrusage", SYS_getrusage, H | R, 0, { NOWHERE } },
	{ "setsid", SYS_setsid, R, 0, { 0 } },
	{ "clone3", SYS_clone3, H, 0, { 0 } },
	{ "clone", SYS_clone, H, H, { CLONE_THREAD } },
};
#define ROWS (sizeof(table) / sizeof(table[0]))

bool
sn_trial_is_filtered(void)
{
	static const char word[] = "\nSeccomp:\t";
	char buf[2048 + sizeof(word) + 1];
	size_t kept = 0;
	bool filtered = true;
	long fd = sn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return true;
	while ((n = sn_syscall3(SYS_read, fd, buf + kept, 2048)) > 0) {
		size_t len = kept + (size_t)n;
		const char *at = memmem(buf, len, word, sizeof(word) - 1);

		if (at != NULL && at + sizeof(word) - 1 < buf + len) {
			filtered = at[sizeof(word) - 1] != '0';
			break;
		}
		kept = len < sizeof(word) ? len : sizeof(word);	/* the line may be cut by the end of a read */
		memmove(buf, buf + len - kept, kept);
	}
	(void)sn_syscall1(SYS_close, fd);
	return filtered;
}

struct report {
	uint32_t next;			/* the row that is tried; ROWS: all were */
	uint32_t refused_row;
	int32_t refused;		/* -errno, 0: nothing that counts */
};

static bool
is_refusal(long ret)
{
	return ret == -EPERM || ret == -EACCES || ret == -ENOSYS;
}

/* Either of two ways to a descriptor table of its own will do for the thread. */
static void
try_own_table(struct report *r)
{
	long one = sn_syscall3(SYS_close_range, ~0u - 1, ~0u, 0);
	long other = sn_syscall1(SYS_unshare, CLONE_FILES);

	if (one < 0 && other < 0 && r->refused == 0) {
		r->refused = (int32_t)other;
		r->refused_row = ROWS;
	}
}

static void
try_all(unsigned who, struct report *r)
{
	(void)sn_syscall2(SYS_prctl, PR_SET_DUMPABLE, 0);	/* no core file of the trial */
	for (uint32_t i = 0; i < ROWS; i++) {
		const struct row *w = &table[i];
		long ret;

		if ((w->who & who) == 0)
			continue;
		SN_STORE_RELEASE(&r->next, i);
		ret = sn_syscall5(w->number, w->args[0], w->args[1], w->args[2], w->args[3], w->args[4]);
		if ((w->needs & who) != 0 && is_refusal(ret) && r->refused == 0) {
			r->refused = (int32_t)ret;
			r->refused_row = i;
		}
	}
	SN_STORE_RELEASE(&r->next, (uint32_t)ROWS);
	if ((who & SN_TRIAL_HOST) != 0)
		try_own_table(r);
	SN_STORE_RELEASE(&r->next, (uint32_t)ROWS + 1);
}

static const char *
name_of(uint32_t row)
{
	return row < ROWS ? table[row].name : "close_range and unshare";
}

static int
conclude(const struct report *r, char *why, size_t size)
{
	uint32_t next = SN_LOAD_ACQUIRE(&r->next);

	if (next <= ROWS) {
		(void)snprintf(why, size, "the seccomp filter kills for %s", name_of(next));
		return -EPERM;
	}
	if (r->refused < 0)
		(void)snprintf(why, size, "the seccomp filter refuses %s: %s", name_of(r->refused_row),
			strerror(-r->refused));
	return r->refused;
}

int
sn_trial_run(unsigned who, char *why, size_t size)
{
	struct report *r;
	long at = sn_syscall6(SYS_mmap, 0, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long pid;
	int err;

	why[0] = '\0';
	if (at < 0 && at >= -4095) {
		(void)snprintf(why, size, "what the seccomp filter allows cannot be tried: %s", strerror((int)-at));
		return (int)at;
	}
	r = (struct report *)at;
	pid = sn_syscall5(SYS_clone, CLONE_VFORK, 0, 0, 0, 0);
	if (pid == 0) {
		try_all(who, r);
		for (;;)
			(void)sn_syscall1(SYS_exit_group, 0);
	}
	if (pid < 0) {
		(void)snprintf(why, size, "what the seccomp filter allows cannot be tried: clone: %s",
			strerror((int)-pid));
		err = (int)pid;
	} else {
		err = conclude(r, why, size);
		/* Where that is what it died of, a zombie is better than to die too. */
		while (SN_LOAD_ACQUIRE(&r->next) != 0 && sn_syscall4(SYS_wait4, pid, 0, __WALL, 0) == -EINTR)
			;
	}
	(void)sn_syscall2(SYS_munmap, at, sizeof(*r));
	return err;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * alone.c - calls that a process with one more thread would answer otherwise: the collector inside is
 * not there while they run.
 *
 * Runs in:  application threads.  Without a collector inside each is the real function and one load.
 * Why:      unshare and setns refuse a process of several threads.  glibc makes all threads follow set*id and aborts
 *           when one fails where another did not: see control/ids.c.
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/syscall.h"
#include "control/control.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))
#define NS_TYPE_OF 0xb703	/* NS_GET_NSTYPE of linux/nsfs.h */

/* Kinds of a name space, and of what is shared, that one thread alone may leave. */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define NEEDS_ONE_THREAD \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWTIME | CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_FS)

enum { REAL_UNSHARE, REAL_SETNS, REAL_SETUID, REAL_SETGID, REAL_SETEUID, REAL_SETEGID, REAL_SETREUID, REAL_SETREGID,
	REAL_SETRESUID, REAL_SETRESGID, REAL_SETGROUPS, REAL_INITGROUPS, REAL_SETSID, REAL_DAEMON, REAL_FORK,
	REAL_COUNT };

static const char *const names[REAL_COUNT] = {
	"unshare", "setns", "setuid", "setgid", "seteuid", "setegid", "setreuid", "setregid",
	"setresuid", "setresgid", "setgroups", "initgroups", "setsid", "daemon", "fork",
};
static void *functions[REAL_COUNT];

void
sn_preload_resolve_alone(void)
{
	for (int i = 0; i < REAL_COUNT; i++)
		(void)sn_preload_next(&functions[i], names[i]);
}

static void *
real(int which)
{
	return sn_preload_next(&functions[which], names[which]);
}

SN_EXPORT int
unshare(int flags)
{
	bool paused = (flags & NEEDS_ONE_THREAD) != 0 && sn_control_pause();
	int ret = ((int (*)(int))real(REAL_UNSHARE))(flags);

	sn_control_resume(paused);
	return ret;
}

static bool
setns_needs_one(int fd, int type)
{
	long found = type != 0 ? type : sn_syscall2(SYS_ioctl, fd, NS_TYPE_OF);

	return found > 0 && (found & NEEDS_ONE_THREAD) != 0;
}

SN_EXPORT int
setns(int fd, int type)
{
	bool paused = !sn_control_is_sealed() && sn_control_is_inside() && setns_needs_one(fd, type) &&
	    sn_control_pause();
	int ret = ((int (*)(int, int))real(REAL_SETNS))(fd, type);

	sn_control_resume(paused);
	return ret;
}

#define SN_SET_ID(name, which, parameters, types, arguments) \
	SN_EXPORT int \
	name parameters \
	{ \
		bool paused = sn_control_pause_for_ids(); \
		int ret = ((int (*) types)real(which)) arguments; \
		int saved = errno; \
		\
		sn_control_resume_with_ids(paused); \
		errno = saved; \
		return ret; \
	}

SN_SET_ID(setuid, REAL_SETUID, (uid_t id), (uid_t), (id))
SN_SET_ID(setgid, REAL_SETGID, (gid_t id), (gid_t), (id))
SN_SET_ID(seteuid, REAL_SETEUID, (uid_t id), (uid_t), (id))
SN_SET_ID(setegid, REAL_SETEGID, (gid_t id), (gid_t), (id))
SN_SET_ID(setreuid, REAL_SETREUID, (uid_t r, uid_t e), (uid_t, uid_t), (r, e))
SN_SET_ID(setregid, REAL_SETREGID, (gid_t r, gid_t e), (gid_t, gid_t), (r, e))
SN_SET_ID(setresuid, REAL_SETRESUID, (uid_t r, uid_t e, uid_t s), (uid_t, uid_t, uid_t), (r, e, s))
SN_SET_ID(setresgid, REAL_SETRESGID, (gid_t r, gid_t e, gid_t s), (gid_t, gid_t, gid_t), (r, e, s))
SN_SET_ID(setgroups, REAL_SETGROUPS, (size_t n, const gid_t *list), (size_t, const gid_t *), (n, list))
SN_SET_ID(initgroups, REAL_INITGROUPS, (const char *user, gid_t group), (const char *, gid_t), (user, group))

/* Who leads a session of its own outlives its parent, and the collector in it. */
SN_EXPORT pid_t
setsid(void)
{
	pid_t ret = ((pid_t (*)(void))real(REAL_SETSID))();

	if (ret >= 0)
		sn_control_settle();
	return ret;
}

/* Its parent leaves by an _exit that nobody sees: what it sampled is written before. */
SN_EXPORT int
daemon(int nochdir, int noclose)
{
	bool left = sn_control_leave();
	int ret = ((int (*)(int, int))real(REAL_DAEMON))(nochdir, noclose);

	if (ret == 0)
		sn_control_settle();
	else
		sn_control_return(left);
	return ret;
}

SN_EXPORT pid_t
fork(void)
{
	pid_t ret = ((pid_t (*)(void))real(REAL_FORK))();

	if (ret == 0)
		sn_control_forked();
	return ret;
}

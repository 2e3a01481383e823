/* SPDX-License-Identifier: Apache-2.0
 *
 * family.c - forked children of a program with a collector inside: whose collector is theirs.
 *
 * Runs in:  child of a fork, application threads.
 * Rule:     a child asks its parent's collector, which costs next to nothing.  One that will outlive its parent
 *           (it calls setsid or daemon, or its parent just did and forks again) gets its own.  Never from a hook
 *           of fork, and never if its parent had more threads: one of them may have held the loader's lock.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/syscall.h"
#include "control/internal.h"

#define JUST_NOW_NS SN_NS_PER_SEC

static struct {
	int32_t pid;			/* of this child */
	bool of_inside;			/* an ancestor had the collector inside */
	bool may_load;			/* its parent had this one thread */
	bool settles;			/* its parent settled just now */
	uint64_t settled_ns;		/* when this process did, or its ancestor */
} family;

void
sn_family_note(bool is_inside, int32_t threads)
{
	bool was_alone = family.pid == 0 || family.may_load;

	family.pid = (int32_t)sn_syscall0(SYS_getpid);
	family.of_inside |= is_inside;
	family.may_load = was_alone && threads <= 1;
	family.settles = family.of_inside && family.may_load && family.settled_ns != 0 &&
	    sn_clock_mono_ns() - family.settled_ns < JUST_NOW_NS && sn_module_may_open();
}

bool
sn_family_settles(void)
{
	return family.settles;
}

/* Links of the folder of tasks. */
int32_t
sn_family_threads(void)
{
	struct stat st;

	if (stat("/proc/self/task", &st) < 0 || st.st_nlink < 3)
		return 1;
	return (int32_t)st.st_nlink - 2;
}

void
sn_control_settle(void)
{
	int saved = errno;
	int err;

	if (sn_control_is_sealed() || !family.of_inside || !family.may_load ||
	    family.pid != (int32_t)sn_syscall0(SYS_getpid) ||
	    sn_inside_has_segment() || sn_inside_threads() > 1 || !sn_module_may_open())
		return;
	sn_control_leave_guest();
	family.settled_ns = sn_clock_mono_ns();
	sn_inside_host()->is_forked = 1;
	err = sn_inside_start(&sn_inside_host()->options);
	if (err < 0)
		sn_log(SN_LOG_FILE, "process %d runs unprofiled: %s", (int)family.pid, strerror(-err));
	errno = saved;
}

void
sn_control_forked(void)
{
	if (family.settles)
		sn_control_settle();
}

bool
sn_control_leave(void)
{
	if (!sn_inside_runs() || sn_inside_threads() > 1 || !sn_module_may_open())
		return false;
	if (sn_control_join() < 0)
		return false;
	sn_control_set_socket("");		/* nobody is there to be asked */
	family.settled_ns = 0;
	return true;
}

void
sn_control_return(bool left)
{
	struct sn_options o;

	if (!left)
		return;
	o = sn_inside_host()->options;
	(void)sn_control_begin(&o);
}

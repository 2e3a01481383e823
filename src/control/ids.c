/* SPDX-License-Identifier: Apache-2.0
 *
 * ids.c - may the collector's thread stay while the program changes its user or groups?
 *
 * Runs in:  application threads, around set*id.
 * Why:      glibc has every thread make the same call, and aborts when one is refused where another was not.  Ours
 *           keeps CAP_SETUID and CAP_SETGID for that, as far as the program has them, and so follows, as a rule; a
 *           pause costs 2 ms, and servers that change their user for each request exist.
 * When the two would be answered differently (capabilities or ids were changed for one thread alone): a pause.
 */
#include <linux/capability.h>
#include <string.h>
#include <sys/types.h>

#include "base/syscall.h"
#include "control/internal.h"

#define SN_ID_CAPS	(1u << CAP_SETUID | 1u << CAP_SETGID)

struct ids {
	uid_t u[3];
	gid_t g[3];
};

/* As libc's calls left them for all threads. */
static struct ids known;

static void
read_ids(struct ids *i)
{
	(void)sn_syscall3(SYS_getresuid, &i->u[0], &i->u[1], &i->u[2]);
	(void)sn_syscall3(SYS_getresgid, &i->g[0], &i->g[1], &i->g[2]);
}

/* The two capabilities that count, of a thread (0: the caller); what cannot be read is like nothing. */
static uint32_t
id_caps(int32_t tid)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = tid };
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (sn_syscall2(SYS_capget, &head, data) < 0)
		return ~0u - (uint32_t)(tid != 0);
	return data[0].effective & SN_ID_CAPS;
}

void
sn_ids_note(void)
{
	read_ids(&known);
}

/* A thread that was started a moment ago says its id first thing. */
static int32_t
await_tid(void)
{
	int32_t tid;

	for (int i = 0; (tid = sn_inside_tid()) == 0 && i < 10000; i++)
		(void)sn_syscall0(SYS_sched_yield);
	return tid;
}

/* Would a call of this thread be answered to the collector's thread as to this one? */
static bool
will_follow(int32_t tid)
{
	struct ids now;

	memset(&now, 0, sizeof(now));
	read_ids(&now);
	return tid != 0 && memcmp(&now, &known, sizeof(now)) == 0 && id_caps(0) == id_caps(tid);
}

bool
sn_control_pause_for_ids(void)
{
	return !sn_control_is_sealed() && sn_inside_runs() && !will_follow(await_tid()) && sn_control_pause();
}

void
sn_control_resume_with_ids(bool paused)
{
	sn_control_resume(paused);
	if (!paused && !sn_control_is_sealed() && sn_inside_runs())
		sn_ids_note();
}

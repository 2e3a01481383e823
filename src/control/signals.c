/* SPDX-License-Identifier: Apache-2.0
 *
 * signals.c - the program's own use of our signal.
 *
 * Runs in:  application threads.
 * Why:      GNU sort, PHP and others install a handler for SIGPROF; with it in place of ours, our
 *           timers would end them.  A vfork child shares our memory: its calls go to libc.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/control.h"
#include "hot/hot.h"

int
sn_real_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	static void *cache;
	void *fn = SN_LOAD_RELAXED(&cache);

	if (fn == NULL) {
		fn = dlsym(RTLD_NEXT, "sigaction");
		SN_STORE_RELAXED(&cache, fn);
	}
	if (fn == NULL) {
		errno = ENOSYS;
		return -1;
	}
	return ((int (*)(int, const struct sigaction *, struct sigaction *))fn)(sig, new, old);
}

bool
sn_control_owns(int sig)
{
	const struct sn_live_state *live = sn_live();

	return live != NULL && sig == (int)live->options.signal &&
	    live->segment.shared->pid_inside == (uint64_t)sn_syscall0(SYS_getpid);
}

const sigset_t *
sn_control_without_ours(const sigset_t *set, sigset_t *copy)
{
	const struct sn_live_state *live = sn_live();

	if (live == NULL || set == NULL || sigismember(set, (int)live->options.signal) != 1)
		return set;
	*copy = *set;
	(void)sigdelset(copy, (int)live->options.signal);
	return copy;
}

int
sn_control_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	uint32_t index = SN_LOAD_ACQUIRE(&sn_foreign_index) & 1;
	struct sigaction wish;

	if (sn_ends_watches(sig))
		return sn_ends_sigaction(sig, new, old);
	if (!sn_control_owns(sig))
		return sn_real_sigaction(sig, new, old);
	if (new != NULL)
		wish = *new;		/* new and old may be the same */
	if (old != NULL)
		*old = sn_foreign_action[index];
	if (new != NULL) {
		sn_foreign_action[1 - index] = wish;
		SN_STORE_RELEASE(&sn_foreign_index, 1 - index);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * seal.c - the program installs a seccomp filter that was not made for us: what of ours goes on.
 *
 * Runs in:  the application thread that installs it, before it does.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/log.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"

bool
sn_control_is_sealed(void)
{
	return SN_LOAD_RELAXED(&sn_seal) != 0;
}

/* No timer, no signal that is on its way: to ignore one is what takes it back from all threads. */
static void
mute(const struct sn_live_state *live)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int sig = (int)live->options.signal;
	uint64_t mask = 0;

	sn_log(SN_LOG_FILE, "process %ld restricts itself so that none of its signal handlers could do their work: "
		"not sampled any more", sn_syscall0(SYS_getpid));
	sn_slots_mute(live);
	(void)sn_real_sigaction(sig, &ignore, NULL);
	(void)sn_real_sigaction(sig, sn_foreign_action(), NULL);
	/* Masks are what the program asked for from here on; those of other threads stay as they are. */
	if (sn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof(mask)) == 0) {
		mask = sn_mask_to_program(mask);
		(void)sn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	}
	SN_STORE_RELEASE(&sn_own_signal, 0u);
}

/* A vfork child: the filter is its own, the word would stay with its parent.  What it runs next begins afresh. */
static bool
shares_memory(void)
{
	struct sn_live_state *live = sn_live();

	return live != NULL && live->segment.shared->pid_inside != (uint64_t)sn_syscall0(SYS_getpid);
}

uint32_t
sn_control_seal(const void *fprog, bool all_threads)
{
	uint32_t before = SN_LOAD_ACQUIRE(&sn_seal), now = SN_SEALED;
	int passes = 1;
	struct sn_live_state *live;

	if (before != 0 || shares_memory())
		return before;
	(void)sn_lazy_join();		/* a forked child that waits for its first tick could not ask any more */
	live = sn_live();
	if (fprog == NULL)
		now = SN_STRICT;
	else if (live != NULL)
		passes = sn_bpf_passes(fprog, SYS_rt_sigreturn);
	if (passes == -EFAULT || passes == -EINVAL)
		return before;		/* as the kernel will say */
	if (passes != 1)
		now = SN_MUTED;
	if (all_threads && sn_control_is_inside()) {
		sn_log(SN_LOG_FILE, "process %ld installs a seccomp filter for all threads: not profiled any more",
			sn_syscall0(SYS_getpid));
		(void)sn_control_join();
	}
	if (live != NULL)		/* events and ITIMER_PROF need a system call before an exec, timers none */
		sn_engine_give_way(live, SN_WHY_SEALED);
	sn_ends_seal();
	SN_STORE_RELEASE(&sn_seal, now);
	if (now >= SN_MUTED && live != NULL)
		mute(live);
	return before;
}

void
sn_control_unseal(uint32_t before)
{
	/* Who was muted has neither timers nor our handler any more. */
	if (SN_LOAD_ACQUIRE(&sn_seal) != SN_SEALED)
		return;
	SN_STORE_RELEASE(&sn_seal, before);
	if (before == 0)
		sn_ends_unseal();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * handler.c - what SIGPROF does.
 *
 * Runs in:  the signal handler, on any thread, also on one made by a raw clone() that shares
 *           its creator's TLS: the slot comes from siginfo, and errno is kept.
 */
#include <errno.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "hot/hot.h"

static struct sn_live_page never_live;

struct sn_live_page *sn_live_page = &never_live;
struct sigaction sn_foreign_action[2];
uint32_t sn_foreign_index;
uint32_t sn_newest_cookie;
sn_first_tick_fn *sn_first_tick;

/* The default action of SIGPROF and real-time signals is to end the process: so be it. */
static void
die_of(int sig)
{
	struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } dfl = { 0 };

	(void)sn_syscall4(SYS_rt_sigaction, sig, &dfl, NULL, sizeof(dfl.mask));
	(void)sn_syscall3(SYS_tgkill, sn_syscall0(SYS_getpid), sn_syscall0(SYS_gettid), sig);
}

/* Not ours: it goes where it would have gone without us. */
static void
pass_on(int sig, siginfo_t *si, void *ucontext)
{
	const struct sigaction *a = &sn_foreign_action[SN_LOAD_ACQUIRE(&sn_foreign_index) & 1];

	if (a->sa_handler == SIG_IGN)		/* these two count whatever SA_SIGINFO says, as in the kernel */
		return;
	if (a->sa_handler == SIG_DFL)
		die_of(sig);
	else if (a->sa_flags & SA_SIGINFO)
		a->sa_sigaction(sig, si, ucontext);
	else
		a->sa_handler(sig);
}

/* Wishes are rare: one load on the common path. */
static bool
has_wishes(const struct sn_segment *s)
{
	return SN_LOAD_RELAXED(&s->wishes->posted) != SN_LOAD_RELAXED(&s->shared->wishes_done);
}

void
sn_handler(int sig, siginfo_t *si, void *ucontext)
{
	int saved = errno;
	struct sn_live_state *live = sn_live();
	uint64_t value = (uint64_t)(uintptr_t)si->si_value.sival_ptr;
	bool is_nudge = si->si_code == SI_QUEUE && (uint32_t)value == SN_NUDGE;
	bool ours = is_nudge ||
	    (si->si_code == SI_TIMER && (value >> 32) == sn_newest_cookie && sn_newest_cookie != 0);

	if (!ours) {
		pass_on(sig, si, ucontext);
	} else if (live != NULL) {
		uint32_t slot = (uint32_t)value;

		/* A nudge goes to a thread that has no timer yet: only the wishes. */
		if (!is_nudge && slot < live->segment.nslots)
			sn_cpu_tick(live, slot, si->si_overrun, ucontext);
		if (has_wishes(&live->segment))
			sn_wishes_obey(live);
	} else if (si->si_code == SI_TIMER && (uint32_t)value == SN_NO_SLOT && sn_first_tick != NULL) {
		sn_first_tick(si->si_overrun, ucontext);
	}
	errno = saved;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * signals.c - the program's own use of our signal.
 *
 * Runs in:  application threads, signal handlers; sn_signals_recheck also on the collector's thread inside.
 * Why:      GNU sort, PHP and others install a handler for SIGPROF; with it in place of ours, our
 *           timers would end them.  A vfork child shares our memory, but has actions of its own: its calls go to libc.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"
#include "source/source.h"

#if defined(__x86_64__)
#define SA_RESTORER_BIT	0x04000000	/* libc sets it, and queries show it */
#else
#define SA_RESTORER_BIT	0
#endif

/* struct sigaction as rt_sigaction has it. */
struct kernel_action {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

static struct {
	int32_t owner;		/* the process whose actions these are; a vfork child has another id */
	uint32_t interrupts;	/* siginterrupt: what signal() does to our signal is not to restart calls */
	uint32_t spawning;	/* threads that have put SIG_IGN in the place of our handler for a moment */
	void *restorer;		/* libc's */
} signals;

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
sn_control_is_own(int sig)
{
	return sig > 0 && (uint32_t)sig == SN_LOAD_RELAXED(&sn_own_signal);
}

/* In a sealed program nobody can ask; its vfork children are taken for it. */
static bool
is_owner(void)
{
	return sn_control_is_sealed() || signals.owner == (int32_t)sn_syscall0(SYS_getpid);
}

bool
sn_control_owns(int sig)
{
	return sn_control_is_own(sig) && is_owner();
}

/*
 * All signals wait: a record must not be left half written.  On the alternate stack, unless the program's own
 * handler is not to be there: it may leave it by a jump, or need more room.  Always SA_RESTART, because it is mostly
 * we who interrupt; foreign.c does without it for the program.
 */
static int
install(int sig, struct sigaction *old)
{
	const struct sigaction *a = sn_foreign_action();
	bool has_own = a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN;
	struct sigaction sa = { .sa_sigaction = sn_handler, .sa_flags = SA_SIGINFO | SA_RESTART };

	if (!has_own || (a->sa_flags & SA_ONSTACK))
		sa.sa_flags |= SA_ONSTACK;
	(void)sigfillset(&sa.sa_mask);
	return sn_real_sigaction(sig, &sa, old) < 0 ? -errno : 0;
}

int
sn_signals_install(int sig)
{
	struct sigaction was, now;
	bool fresh = !sn_control_is_own(sig);
	int err = install(sig, &was);

	if (err < 0)
		return err;
	if (was.sa_sigaction != sn_handler)
		sn_foreign_set(&was);
	if (sn_real_sigaction(sig, NULL, &now) == 0)
		signals.restorer = (void *)now.sa_restorer;
	signals.owner = (int32_t)sn_syscall0(SYS_getpid);
	SN_STORE_RELEASE(&sn_own_signal, (uint32_t)sig);
	sn_own_signal_through((uint32_t)sig, fresh);
	return 0;
}

void
sn_signals_forked(void)
{
	signals.owner = (int32_t)sn_syscall0(SYS_getpid);
	signals.spawning = 0;
}

void
sn_signals_recheck(void)
{
	uint32_t sig = SN_LOAD_ACQUIRE(&sn_own_signal);
	struct sigaction now;

	if (sig == 0 || !is_owner() || SN_LOAD_ACQUIRE(&signals.spawning) != 0 ||
	    sn_real_sigaction((int)sig, NULL, &now) < 0 || now.sa_sigaction == sn_handler)
		return;
	sn_foreign_set(&now);		/* by a system call of the program's own */
	(void)install((int)sig, NULL);
}

/* What the kernel would have kept of an action, and would answer. */
static struct sigaction
as_kept(const struct sigaction *new)
{
	struct sigaction a = *new;
	uint64_t mask;

	__builtin_memcpy(&mask, &new->sa_mask, sizeof(mask));
	mask &= ~(sn_signal_bit(SIGKILL) | sn_signal_bit(SIGSTOP));
	__builtin_memcpy(&a.sa_mask, &mask, sizeof(mask));
	return a;
}

/* Only what libc writes. */
static void
answer(struct sigaction *old, const struct sigaction *a)
{
	old->sa_handler = a->sa_handler;
	old->sa_flags = a->sa_flags;
	old->sa_restorer = a->sa_restorer;
	__builtin_memcpy(&old->sa_mask, &a->sa_mask, sizeof(uint64_t));
}

/*
 * The kernel drops instances that are pending when they begin to be ignored.  Not by SIG_IGN: before Linux 6.13 a
 * timer whose signal is dropped so never runs again.
 */
static void
drop_pending(int sig)
{
	const uint64_t own = sn_signal_bit((uint32_t)sig);
	const struct timespec now = { 0 };

	while (sn_syscall4(SYS_rt_sigtimedwait, &own, NULL, &now, sizeof(own)) > 0)
		;
}

static void
own_action(int sig, const struct sigaction *new, struct sigaction *old)
{
	struct sigaction was = *sn_foreign_action(), wish;

	if (new != NULL)
		wish = as_kept(new);		/* new and old may be the same */
	if (old != NULL)
		answer(old, &was);
	if (new == NULL)
		return;
	sn_foreign_set(&wish);
	if (sn_control_is_sealed())
		return;
	if (wish.sa_handler == SIG_IGN)
		drop_pending(sig);
	(void)install(sig, NULL);	/* on which stack; and ours, if it was not */
}

static int
other_action(int sig, const struct sigaction *new, struct sigaction *old)
{
	struct sigaction copy;
	int err;

	if (new != NULL) {
		copy = *new;
		sn_control_set_to_kernel(&copy.sa_mask);
	}
	if (sn_ends_watches(sig))
		err = sn_ends_sigaction(sig, new != NULL ? &copy : NULL, old);
	else
		err = sn_real_sigaction(sig, new != NULL ? &copy : NULL, old);
	if (err == 0 && old != NULL) {
		if (sn_control_is_own(sig) && old->sa_sigaction == sn_handler)
			answer(old, sn_foreign_action());
		sn_control_set_to_program(&old->sa_mask);
	}
	return err;
}

int
sn_control_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	struct sigaction libcs;

	if (SN_LOAD_RELAXED(&sn_own_signal) == 0)
		return sn_ends_watches(sig) ? sn_ends_sigaction(sig, new, old) : sn_real_sigaction(sig, new, old);
	if (!sn_control_owns(sig))
		return other_action(sig, new, old);
	if (!sn_control_is_sealed())
		sn_signals_recheck();
	if (new != NULL) {
		libcs = *new;
		libcs.sa_flags |= SA_RESTORER_BIT;
		if (SA_RESTORER_BIT != 0)
			libcs.sa_restorer = (void (*)(void))signals.restorer;
	}
	own_action(sig, new != NULL ? &libcs : NULL, old);
	return 0;
}

static struct sigaction
from_kernel(const struct kernel_action *k)
{
	struct sigaction a = {
		.sa_handler = (__sighandler_t)(uintptr_t)k->handler,
		.sa_flags = (int)k->flags,
		.sa_restorer = (void (*)(void))(uintptr_t)k->restorer,
	};

	__builtin_memcpy(&a.sa_mask, &k->mask, sizeof(k->mask));
	return a;
}

static void
to_kernel(struct kernel_action *k, const struct sigaction *a)
{
	k->handler = (uint64_t)(uintptr_t)a->sa_handler;
	k->flags = (uint32_t)a->sa_flags;
	k->restorer = (uint64_t)(uintptr_t)a->sa_restorer;
	__builtin_memcpy(&k->mask, &a->sa_mask, sizeof(k->mask));
}

/* A signal that may have our handler in the place of its default (ends.c). */
static long
raw_ending_action(int sig, const struct kernel_action *new, struct kernel_action *old)
{
	struct sigaction a, was;
	int saved = errno, err;

	if (new != NULL)
		a = from_kernel(new);
	if (sn_ends_sigaction(sig, new != NULL ? &a : NULL, &was) < 0) {
		err = -errno;
		errno = saved;
		return err;
	}
	if (old != NULL) {
		to_kernel(old, &was);
		old->mask = sn_mask_to_program(old->mask);
	}
	return 0;
}

long
sn_control_raw_sigaction(int sig, const void *new, void *old)
{
	const struct kernel_action *kn = new;
	struct kernel_action *ko = old, copy;
	struct sigaction a, was;
	long err;

	if (sn_control_owns(sig)) {
		if (kn != NULL)
			a = from_kernel(kn);
		own_action(sig, kn != NULL ? &a : NULL, &was);
		if (ko != NULL)
			to_kernel(ko, &was);
		return 0;
	}
	if (kn != NULL) {
		copy = *kn;
		copy.mask = sn_mask_to_kernel(SIG_BLOCK, copy.mask);
	}
	if (sn_ends_watches(sig))
		return raw_ending_action(sig, kn != NULL ? &copy : NULL, ko);
	err = sn_syscall4(SYS_rt_sigaction, sig, kn != NULL ? &copy : NULL, ko, sizeof(copy.mask));
	if (err == 0 && ko != NULL)
		ko->mask = sn_mask_to_program(ko->mask);
	return err;
}

__sighandler_t
sn_control_signal(int sig, __sighandler_t handler, int flags)
{
	struct sigaction new = { .sa_handler = handler, .sa_flags = flags }, old;

	(void)sigemptyset(&new.sa_mask);
	if (flags & SA_RESTART) {		/* as BSD's signal() */
		(void)sigaddset(&new.sa_mask, sig);
		if (SN_LOAD_RELAXED(&signals.interrupts))
			new.sa_flags = 0;
	}
	return sn_control_sigaction(sig, &new, &old) < 0 ? SIG_ERR : old.sa_handler;
}

int
sn_control_siginterrupt(int sig, bool interrupts)
{
	struct sigaction a;

	if (sn_control_sigaction(sig, NULL, &a) < 0)
		return -1;
	a.sa_flags = interrupts ? a.sa_flags & ~SA_RESTART : a.sa_flags | SA_RESTART;
	SN_STORE_RELAXED(&signals.interrupts, interrupts);
	return sn_control_sigaction(sig, &a, NULL);
}

bool
sn_signals_is_ours(void)
{
	struct kernel_action now = { 0 };

	return sn_syscall4(SYS_rt_sigaction, sn_own_signal, NULL, &now, sizeof(now.mask)) == 0 &&
	    now.handler == (uint64_t)(uintptr_t)sn_handler;
}

void
sn_signals_ignore(void)
{
	struct kernel_action ign = { .handler = (uint64_t)(uintptr_t)SIG_IGN };

	if (is_owner())
		(void)SN_ADD_RELAXED(&signals.spawning, 1);
	(void)sn_syscall4(SYS_rt_sigaction, sn_own_signal, &ign, NULL, sizeof(ign.mask));
}

void
sn_signals_heed(void)
{
	if (!is_owner() || __atomic_sub_fetch(&signals.spawning, 1, __ATOMIC_ACQ_REL) == 0)
		(void)install((int)sn_own_signal, NULL);
}

/*
 * ITIMER_PROF is the program's: what carries no mark of ours goes to it.  Where it is our engine, it is found unused,
 * and given up when the program wants it.
 */
int
sn_control_setitimer(sn_setitimer_fn *real, int which, const struct itimerval *new, struct itimerval *old)
{
	struct sn_live_state *live = sn_live();

	if (which == ITIMER_PROF && live != NULL && sn_engine_takes_itimer() &&
	    live->segment.shared->pid_inside == (uint64_t)sn_syscall0(SYS_getpid))
		sn_engine_give_way(live, SN_WHY_OWN_ITIMER);
	return real(which, new, old);
}

int
sn_control_getitimer(sn_getitimer_fn *real, int which, struct itimerval *now)
{
	if (which != ITIMER_PROF || !sn_engine_takes_itimer() || now == NULL)
		return real(which, now);
	*now = (struct itimerval){ 0 };
	return 0;
}

/* libc's profiler times by ITIMER_PROF. */
uint64_t
sn_control_unseen_begin(void)
{
	struct sn_live_state *live = sn_live();
	uint64_t own = sn_signal_bit(SN_LOAD_RELAXED(&sn_own_signal)), mask = 0;

	if (own == 0 || sn_control_is_sealed() || !is_owner())
		return 0;
	if (live != NULL && sn_engine_takes_itimer())
		sn_engine_give_way(live, SN_WHY_OWN_ITIMER);
	(void)sn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &own, &mask, sizeof(mask));
	return own & ~mask;
}

/* What it puts back at its end is what it found: our handler, or the action from before us. */
void
sn_control_unseen_end(uint64_t mask)
{
	int saved = errno;

	if (!sn_control_is_sealed())
		sn_signals_recheck();
	if (mask != 0)
		(void)sn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, NULL, sizeof(mask));
	errno = saved;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * signals.c - what libc has for signal actions, of POSIX, System V and BSD, and the interval timers.
 *
 * Runs in:  application threads, signal handlers, children of any kind.
 * Order:    all real functions are looked up by the constructor; see interpose.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "control/control.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum real { REAL_SIGNAL, REAL_SYSV_SIGNAL, REAL_SIGSET, REAL_SIGINTERRUPT, REAL_SETITIMER, REAL_GETITIMER,
	REAL_SET_ATTR, REAL_GET_ATTR, REAL_COUNT };

static const char *const names[REAL_COUNT] = {
	"signal", "__sysv_signal", "sigset", "siginterrupt", "setitimer", "getitimer",
	"pthread_attr_setsigmask_np", "pthread_attr_getsigmask_np",
};
static void *functions[REAL_COUNT];

typedef __sighandler_t signal_fn(int, __sighandler_t);
typedef int set_attr_fn(pthread_attr_t *, const sigset_t *);
typedef int get_attr_fn(const pthread_attr_t *, sigset_t *);

void
sn_preload_resolve_signals(void)
{
	for (int i = 0; i < REAL_COUNT; i++)
		(void)sn_preload_next(&functions[i], names[i]);
}

static void *
real(enum real which)
{
	return sn_preload_next(&functions[which], names[which]);
}

SN_EXPORT int
sigaction(int sig, const struct sigaction *restrict new, struct sigaction *restrict old)
{
	return sn_control_sigaction(sig, new, old);
}

extern __typeof(sigaction) __sigaction SN_EXPORT __attribute__((nothrow, leaf, alias("sigaction")));

static __sighandler_t
any_signal(enum real which, int sig, __sighandler_t handler, int flags)
{
	if (!sn_control_is_own(sig) && !(sn_ends_watches(sig) && handler == SIG_DFL))
		return sn_ends_replaced(((signal_fn *)real(which))(sig, handler));
	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	return sn_control_signal(sig, handler, flags);
}

SN_EXPORT __sighandler_t
signal(int sig, __sighandler_t handler)
{
	return any_signal(REAL_SIGNAL, sig, handler, SA_RESTART);
}

SN_EXPORT __sighandler_t
__sysv_signal(int sig, __sighandler_t handler)
{
	return any_signal(REAL_SYSV_SIGNAL, sig, handler, SA_RESETHAND | SA_NODEFER);
}

extern signal_fn bsd_signal SN_EXPORT __attribute__((nothrow, leaf, alias("signal")));
extern signal_fn ssignal SN_EXPORT __attribute__((nothrow, leaf, alias("signal")));
extern signal_fn sysv_signal SN_EXPORT __attribute__((nothrow, leaf, alias("__sysv_signal")));

SN_EXPORT __sighandler_t
sigset(int sig, __sighandler_t handler)
{
	__sighandler_t was = SIG_ERR;
	struct sigaction old;
	bool held;

	if (!sn_control_is_own(sig) && !(sn_ends_watches(sig) && handler == SIG_DFL))
		return sn_ends_replaced(((signal_fn *)real(REAL_SIGSET))(sig, handler));
	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	held = sn_control_mask_has(sig);
	if (handler == SIG_HOLD) {
		if (sn_control_sigaction(sig, NULL, &old) < 0 || sighold(sig) < 0)
			return SIG_ERR;
		was = old.sa_handler;
	} else {
		was = sn_control_signal(sig, handler, 0);
		if (was == SIG_ERR || sigrelse(sig) < 0)
			return SIG_ERR;
	}
	return held ? SIG_HOLD : was;
}

SN_EXPORT int
sigignore(int sig)
{
	struct sigaction ign = { .sa_handler = SIG_IGN };

	(void)sigemptyset(&ign.sa_mask);
	return sn_control_sigaction(sig, &ign, NULL);
}

SN_EXPORT int
siginterrupt(int sig, int interrupts)
{
	if (!sn_control_is_own(sig))
		return ((int (*)(int, int))real(REAL_SIGINTERRUPT))(sig, interrupts);
	return sn_control_siginterrupt(sig, interrupts != 0);
}

SN_EXPORT int
setitimer(__itimer_which_t which, const struct itimerval *restrict new, struct itimerval *restrict old)
{
	return sn_control_setitimer((sn_setitimer_fn *)real(REAL_SETITIMER), (int)which, new, old);
}

SN_EXPORT int
getitimer(__itimer_which_t which, struct itimerval *now)
{
	return sn_control_getitimer((sn_getitimer_fn *)real(REAL_GETITIMER), (int)which, now);
}

/* The mask that a new thread begins with, set by libc itself.  Both came with glibc 2.32. */
SN_EXPORT int
pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	set_attr_fn *fn = (set_attr_fn *)real(REAL_SET_ATTR);
	sigset_t copy;

	if (fn == NULL)
		return ENOSYS;
	if (set != NULL) {
		copy = *set;
		sn_control_set_to_kernel(&copy);
	}
	return fn(attr, set != NULL ? &copy : NULL);
}

SN_EXPORT int
pthread_attr_getsigmask_np(const pthread_attr_t *attr, sigset_t *set)
{
	get_attr_fn *fn = (get_attr_fn *)real(REAL_GET_ATTR);
	int err = fn != NULL ? fn(attr, set) : ENOSYS;

	if (err == 0)
		sn_control_set_to_program(set);
	return err;
}

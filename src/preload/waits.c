/* SPDX-License-Identifier: Apache-2.0
 *
 * waits.c - calls that wait for signals, or tell which wait: ours is not among those that they return.
 *
 * Runs in:  application threads, children of any kind.  All are cancellation points, because they end in libc's own.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "control/control.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))

enum real { REAL_SIGWAIT, REAL_SIGWAITINFO, REAL_SIGTIMEDWAIT, REAL_SIGNALFD, REAL_SIGSUSPEND, REAL_SIGPENDING,
	REAL_COUNT };

static const char *const names[REAL_COUNT] = {
	"sigwait", "sigwaitinfo", "sigtimedwait", "signalfd", "sigsuspend", "sigpending",
};
static void *functions[REAL_COUNT];

void
sn_preload_resolve_waits(void)
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
wait_for(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	return sn_control_wait((sn_timedwait_fn *)real(REAL_SIGTIMEDWAIT), set, info, timeout);
}

SN_EXPORT int
sigwait(const sigset_t *restrict set, int *restrict sig)
{
	int saved = errno, err, ret;

	if (!sn_control_set_has_own(set))
		return ((int (*)(const sigset_t *, int *))real(REAL_SIGWAIT))(set, sig);
	do {
		ret = wait_for(set, NULL, NULL);
	} while (ret < 0 && errno == EINTR);
	err = errno;
	errno = saved;
	if (ret < 0)
		return err;
	*sig = ret;
	return 0;
}

SN_EXPORT int
sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
	if (!sn_control_set_has_own(set))
		return ((int (*)(const sigset_t *, siginfo_t *))real(REAL_SIGWAITINFO))(set, info);
	return wait_for(set, info, NULL);
}

SN_EXPORT int
sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info, const struct timespec *restrict timeout)
{
	return wait_for(set, info, timeout);
}

/* It would be handed our ticks; what the program sends itself by our signal cannot be read here either. */
SN_EXPORT int
signalfd(int fd, const sigset_t *set, int flags)
{
	sigset_t theirs;

	if (sn_control_set_has_own(set)) {
		theirs = *set;
		sn_control_set_drop_own(&theirs);
		set = &theirs;
	}
	return ((int (*)(int, const sigset_t *, int))real(REAL_SIGNALFD))(fd, set, flags);
}

SN_EXPORT int
sigpending(sigset_t *set)
{
	int err = ((int (*)(sigset_t *))real(REAL_SIGPENDING))(set);

	if (err == 0)
		sn_control_pending(set);
	return err;
}

SN_EXPORT int
sigsuspend(const sigset_t *set)
{
	return sn_control_suspend(set, (int (*)(const sigset_t *))real(REAL_SIGSUSPEND));
}

extern __typeof(sigsuspend) __sigsuspend SN_EXPORT __attribute__((alias("sigsuspend")));

/* X/Open's sigpause takes a signal, BSD's a mask; <signal.h> gives both the same name in C. */
int sn_pause_signal(int sig) __asm__("__xpg_sigpause") SN_EXPORT;
int sn_pause_mask(int mask) __asm__("sigpause") SN_EXPORT;
int sn_pause_either(int what, int is_signal) __asm__("__sigpause") SN_EXPORT;

int
sn_pause_signal(int sig)
{
	sigset_t set;

	(void)sigemptyset(&set);
	if (sigprocmask(SIG_BLOCK, NULL, &set) < 0 || sigdelset(&set, sig) < 0)
		return -1;
	return sigsuspend(&set);
}

int
sn_pause_mask(int mask)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (int sig = 1; sig < 32; sig++)
		if ((uint32_t)mask >> (sig - 1) & 1)
			(void)sigaddset(&set, sig);
	return sigsuspend(&set);
}

int
sn_pause_either(int what, int is_signal)
{
	return is_signal != 0 ? sn_pause_signal(what) : sn_pause_mask(what);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * masks.c - what libc has for signal masks, of POSIX, System V and BSD.
 *
 * Runs in:  application threads, signal handlers, children of any kind.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "control/control.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

SN_EXPORT int
pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	return sn_control_sigmask(how, set, old);
}

SN_EXPORT int
sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	int err = sn_control_sigmask(how, set, old);

	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

static int
one(int how, int sig)
{
	sigset_t set;

	(void)sigemptyset(&set);
	return sigaddset(&set, sig) < 0 ? -1 : sigprocmask(how, &set, NULL);
}

SN_EXPORT int
sighold(int sig)
{
	return one(SIG_BLOCK, sig);
}

SN_EXPORT int
sigrelse(int sig)
{
	return one(SIG_UNBLOCK, sig);
}

/* BSD: an int holds the first 32 signals, of which the last is libc's own. */
static int
bsd(int how, int mask)
{
	sigset_t set, old;

	(void)sigemptyset(&set);
	(void)sigemptyset(&old);
	for (int sig = 1; sig < 32; sig++)
		if ((uint32_t)mask >> (sig - 1) & 1)
			(void)sigaddset(&set, sig);
	if (sigprocmask(how, &set, &old) < 0)
		return -1;
	mask = 0;
	for (int sig = 1; sig < 32; sig++)
		if (sigismember(&old, sig) == 1)
			mask |= (int)(1u << (sig - 1));
	return mask;
}

SN_EXPORT int
sigblock(int mask)
{
	return bsd(SIG_BLOCK, mask);
}

SN_EXPORT int
sigsetmask(int mask)
{
	return bsd(SIG_SETMASK, mask);
}

SN_EXPORT int
siggetmask(void)
{
	return bsd(SIG_BLOCK, 0);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * masks.c - the program's signal masks: ours stays out of the real ones, and every answer is as if it did not.
 *
 * Runs in:  application threads, signal handlers, children of fork and vfork: raw system calls, nothing is written.
 * How:      where the program blocks our signal the proxy is blocked (hot/foreign.c): the mask itself remembers.
 * Inexact:  the proxy's own bit: it reads as blocked where ours and the last real-time signal are, as after sigfillset.
 */
#include <errno.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"

#define SIGNAL_FIRST_OF_LIBC	32	/* these two libc keeps for itself, and out of every mask */
#define SIGNAL_LAST_OF_LIBC	33
#define MASK_OF_LIBC		(3ull << (SIGNAL_FIRST_OF_LIBC - 1))

static uint64_t
own_bit(void)
{
	return sn_signal_bit(SN_LOAD_RELAXED(&sn_own_signal));
}

static uint64_t
proxy_bit(void)
{
	return sn_proxy_bit(SN_LOAD_RELAXED(&sn_own_signal));
}

/* A signal that nobody blocks by itself: with it a set was filled. */
static uint64_t
witness_bit(void)
{
	return sn_signal_bit(SN_LOAD_RELAXED(&sn_own_signal) == 64 ? 63 : 64);
}

uint64_t
sn_mask_to_kernel(int how, uint64_t set)
{
	uint64_t own = own_bit(), proxy = proxy_bit(), ret = set & ~(own | proxy);

	if (own == 0)
		return set;
	if (set & own)
		ret |= how == SIG_UNBLOCK ? own | proxy : proxy;	/* ours may be blocked for real */
	return ret;
}

uint64_t
sn_mask_to_program(uint64_t set)
{
	uint64_t own = own_bit(), proxy = proxy_bit(), ret = set & ~(own | proxy);

	if (own == 0)
		return set;
	if (set & (own | proxy))
		ret |= own;
	if ((set & proxy) != 0 && (set & witness_bit()) != 0)
		ret |= proxy;
	return ret;
}

long
sn_mask_call(int how, const uint64_t *set, uint64_t *old)
{
	uint64_t copy = 0;
	long err;

	if (set != NULL)
		copy = sn_mask_to_kernel(how, *set);	/* set and old may be the same */
	err = sn_syscall4(SYS_rt_sigprocmask, how, set != NULL ? &copy : NULL, old, sizeof(copy));
	if (err == 0 && old != NULL)
		*old = sn_mask_to_program(*old);
	return err;
}

/* The kernel's part of a set, which is all that libc writes too. */
static uint64_t
word(const sigset_t *set)
{
	uint64_t ret;

	__builtin_memcpy(&ret, set, sizeof(ret));
	return ret;
}

int
sn_control_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	uint64_t new = set != NULL ? word(set) & ~MASK_OF_LIBC : 0;

	return (int)-sn_mask_call(how, set != NULL ? &new : NULL, (uint64_t *)(void *)old);
}

bool
sn_control_mask_has(int sig)
{
	uint64_t now = 0;

	return sn_mask_call(SIG_BLOCK, NULL, &now) == 0 && (now & sn_signal_bit((uint32_t)sig)) != 0;
}

void
sn_control_set_to_kernel(sigset_t *set)
{
	uint64_t mask = sn_mask_to_kernel(SIG_BLOCK, word(set));

	__builtin_memcpy(set, &mask, sizeof(mask));
}

void
sn_control_set_to_program(sigset_t *set)
{
	uint64_t mask = sn_mask_to_program(word(set));

	__builtin_memcpy(set, &mask, sizeof(mask));
}

bool
sn_control_set_has_own(const sigset_t *set)
{
	return set != NULL && (word(set) & own_bit()) != 0;
}

void
sn_control_set_drop_own(sigset_t *set)
{
	uint64_t mask = word(set) & ~own_bit();

	__builtin_memcpy(set, &mask, sizeof(mask));
}

/*
 * A program that does without our signal is sampled while its handlers run in here.  Else ours must be blocked for
 * real before it is let in: what comes then is meant for the program, whatever the mask that it comes back to.
 */
int
sn_control_suspend(const sigset_t *set, int (*real)(const sigset_t *))
{
	uint64_t own = own_bit(), was = 0;
	__sighandler_t handler = sn_foreign_action()->sa_handler;
	sigset_t copy = *set;
	int ret, saved;

	if (own == 0 || sn_control_is_sealed())
		return real(set);
	if (handler == SIG_DFL || handler == SIG_IGN) {
		sn_control_set_to_kernel(&copy);
		return real(&copy);
	}
	if ((word(set) & own) == 0)
		(void)sn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &own, &was, sizeof(own));
	if ((word(set) & own) == 0 && (was & (own | proxy_bit())) == 0) {
		(void)sn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &own, NULL, sizeof(own));
		return real(set);
	}
	ret = real(set);
	saved = errno;
	sn_own_signal_through((uint32_t)sn_own_signal, false);
	errno = saved;
	return ret;
}

/* A tick of ours came where the program waits for its own: only the first one of a forked child is needed. */
static void
drop(const siginfo_t *si)
{
	if ((uint32_t)(uintptr_t)si->si_value.sival_ptr == SN_NO_SLOT)
		(void)sn_lazy_join();
}

static struct timespec
left_until(uint64_t until)
{
	uint64_t now = sn_clock_mono_ns(), left = until > now ? until - now : 0;

	return (struct timespec){ (time_t)(left / SN_NS_PER_SEC), (long)(left % SN_NS_PER_SEC) };
}

int
sn_control_wait(sn_timedwait_fn *real, const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	const struct timespec *wait = timeout;
	struct timespec left;
	uint64_t until = 0;
	siginfo_t got;
	int ret;

	if (!sn_control_set_has_own(set))
		return real(set, info, timeout);
	if (timeout != NULL && timeout->tv_sec < INT32_MAX)
		until = sn_clock_mono_ns() + (uint64_t)timeout->tv_sec * SN_NS_PER_SEC + (uint64_t)timeout->tv_nsec;
	while ((ret = real(set, &got, wait)) == (int)sn_own_signal && sn_signal_is_ours(&got)) {
		drop(&got);
		if (until != 0) {
			left = left_until(until);
			wait = &left;
		}
	}
	if (ret > 0 && info != NULL)
		*info = got;
	if (ret == (int)sn_own_signal && !sn_control_is_sealed()) {
		int saved = errno;

		sn_own_signal_through((uint32_t)ret, false);	/* it was held for this */
		errno = saved;
	}
	return ret;
}

/* Ours is pending and blocked for real.  Is there one that is not ours?  It stays. */
static bool
pends_foreign(uint64_t own)
{
	const struct timespec now = { 0 };
	siginfo_t si;

	while (sn_syscall4(SYS_rt_sigtimedwait, &own, &si, &now, sizeof(own)) > 0) {
		if (sn_signal_is_ours(&si)) {
			drop(&si);
			continue;
		}
		sn_foreign_again((int)sn_own_signal, &si);
		return true;
	}
	return false;
}

void
sn_control_pending(sigset_t *set)
{
	uint64_t own = own_bit(), pending = word(set);

	if ((pending & own) == 0 || sn_control_is_sealed() || pends_foreign(own))
		return;
	pending &= ~own;
	__builtin_memcpy(set, &pending, sizeof(pending));
}

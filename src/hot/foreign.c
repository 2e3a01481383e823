/* SPDX-License-Identifier: Apache-2.0
 *
 * foreign.c - instances of our signal that are not ours: they go where they would have gone without us.
 *
 * Runs in:  the signal handler.
 * Memory:   the actions that the program asked for, the newest in force.
 * The mask: our signal stays out of real masks.  Where the program blocks it, a signal that nobody uses (the proxy)
 *           is blocked in its place: so the kernel keeps the program's wish through siglongjmp, contexts, handlers,
 *           new threads and children, and the interrupted mask tells the handler.  A foreign instance that comes
 *           where the program blocks it is sent again and blocked for real: the kernel holds it until it may come.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "hot/hot.h"

#define ACTIONS 8		/* a reader may be that many changes late */

uint32_t sn_own_signal;
static struct sigaction actions[ACTIONS];
static uint32_t newest, taken;

const struct sigaction *
sn_foreign_action(void)
{
	return &actions[SN_LOAD_ACQUIRE(&newest) % ACTIONS];
}

void
sn_foreign_set(const struct sigaction *a)
{
	uint32_t ticket = SN_ADD_RELAXED(&taken, 1) + 1;

	actions[ticket % ACTIONS] = *a;
	SN_STORE_RELEASE(&newest, ticket);
}

void
sn_own_signal_through(uint32_t signal, bool fresh)
{
	uint64_t own = sn_signal_bit(signal), proxy = sn_proxy_bit(signal), was = 0;
	bool blocked;

	(void)sn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &own, &was, sizeof(was));
	blocked = (was & own) != 0;
	if (blocked != ((was & proxy) != 0) && (blocked || fresh))
		(void)sn_syscall4(SYS_rt_sigprocmask, blocked ? SIG_BLOCK : SIG_UNBLOCK, &proxy, NULL, sizeof(proxy));
}

/* The default action of SIGPROF and real-time signals is to end the process: so be it. */
static void
die_of(int sig, uint64_t *mask)
{
	struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } dfl = { 0 };

	*mask &= ~sn_signal_bit((uint32_t)sig);
	(void)sn_syscall4(SYS_rt_sigaction, sig, &dfl, NULL, sizeof(dfl.mask));
	(void)sn_syscall3(SYS_tgkill, sn_syscall0(SYS_getpid), sn_syscall0(SYS_gettid), sig);
}

void
sn_foreign_again(int sig, const siginfo_t *si)
{
	long pid = sn_syscall0(SYS_getpid);

	if (si->si_code == SI_TKILL)
		(void)sn_syscall4(SYS_rt_tgsigqueueinfo, pid, sn_syscall0(SYS_gettid), sig, si);
	else if (sn_syscall3(SYS_rt_sigqueueinfo, pid, sig, si) < 0)
		(void)sn_syscall2(SYS_kill, pid, sig);	/* to say who sent it the first thread alone is let */
}

/* Not now: the kernel keeps it until the thread lets it in, or gives it to a thread that does. */
static void
hold(int sig, const siginfo_t *si, uint64_t *mask)
{
	*mask |= sn_signal_bit((uint32_t)sig);
	sn_foreign_again(sig, si);
}

/* System calls that end with EINTR for a handler without SA_RESTART, and may begin anew at no loss. */
static bool
is_restartable(uint64_t n, uint64_t second)
{
	switch (n) {
	case SYS_read: case SYS_readv: case SYS_write: case SYS_writev: case SYS_recvfrom: case SYS_recvmsg:
	case SYS_sendto: case SYS_sendmsg: case SYS_accept: case SYS_accept4: case SYS_wait4: case SYS_waitid:
	case SYS_flock:
		return true;
	case SYS_futex:
		second &= FUTEX_CMD_MASK;
		return second == FUTEX_WAIT || second == FUTEX_WAIT_BITSET;
	default:
		return false;
	}
}

/* Our handler has SA_RESTART, the program's has not: the call that is about to be repeated ends with EINTR. */
static void
end_call(ucontext_t *uc)
{
#if defined(__x86_64__)
	greg_t *r = uc->uc_mcontext.gregs;
	const uint8_t *pc = (const uint8_t *)r[REG_RIP];

	if (!is_restartable((uint64_t)r[REG_RAX], (uint64_t)r[REG_RSI]) || pc[0] != 0x0f || pc[1] != 0x05)
		return;
	r[REG_RAX] = -EINTR;
	r[REG_RIP] += 2;
#else
	mcontext_t *m = &uc->uc_mcontext;

	if (!is_restartable(m->regs[8], m->regs[1]) || *(const uint32_t *)m->pc != 0xd4000001u)
		return;
	m->regs[0] = (uint64_t)-EINTR;
	m->pc += 4;
#endif
}

/*
 * The program's handler runs with the mask that it asked for, our signal blocked for real: siglongjmp out of it
 * then restores what a bare program would have.
 */
static void
enter_mask(const struct sigaction *a, int sig, uint64_t outer)
{
	uint64_t inner;

	__builtin_memcpy(&inner, &a->sa_mask, sizeof(inner));
	inner |= outer;
	if ((a->sa_flags & SA_NODEFER) == 0)
		inner |= sn_signal_bit((uint32_t)sig);
	if (!SN_LOAD_RELAXED(&sn_seal))
		(void)sn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &inner, NULL, sizeof(inner));
}

/* An action of its own for one instance: the default one is next, unless this is a child in our memory. */
static void
reset(const struct sigaction *a)
{
	struct sigaction dfl = *a;
	const struct sn_live_state *live = sn_live();

	if (live != NULL && !SN_LOAD_RELAXED(&sn_seal) &&
	    live->segment.shared->pid_inside != (uint64_t)sn_syscall0(SYS_getpid))
		return;
	dfl.sa_handler = SIG_DFL;
	sn_foreign_set(&dfl);
}

void
sn_foreign_deliver(int sig, siginfo_t *si, ucontext_t *uc)
{
	uint64_t own = sn_signal_bit((uint32_t)sig), proxy = sn_proxy_bit((uint32_t)sig);
	uint64_t *mask = (uint64_t *)(void *)&uc->uc_sigmask;
	struct sigaction a = *sn_foreign_action();

	/* Blocked for real and here all the same: sigsuspend or its like let it in. */
	if ((*mask & (own | proxy)) == proxy && !SN_LOAD_RELAXED(&sn_seal)) {
		hold(sig, si, mask);
		return;
	}
	if (a.sa_handler == SIG_IGN)		/* these two count whatever SA_SIGINFO says, as in the kernel */
		return;
	if (a.sa_handler == SIG_DFL) {
		die_of(sig, mask);
		return;
	}
	if (a.sa_flags & SA_RESETHAND)
		reset(&a);
	if ((a.sa_flags & SA_RESTART) == 0)
		end_call(uc);
	enter_mask(&a, sig, *mask);
	if (*mask & proxy)
		*mask |= own;			/* as the program believes it, if it looks there */
	if (a.sa_flags & SA_SIGINFO)
		a.sa_sigaction(sig, si, uc);
	else
		a.sa_handler(sig);
	*mask = (*mask & own) != 0 ? (*mask & ~own) | proxy : *mask & ~proxy;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * ends.c - the ends that run no exit handler: signals at their default action, abort, exec; and SONDE_DUMP_SIGNAL.
 *
 * Runs in:  application threads and, in them, handlers of ours: raw system calls and libc's sigaction only.  The
 *           collector inside has its own heap and blocks all signals: it works whatever the interrupted thread holds.
 * Hidden:   our handler stands where the program has the default action, and is answered as that.  What the program
 *           sets itself replaces it for good; when it sets the default again, ours comes back.
 * Children: of fork and vfork have our handler and no collector: the default action happens at once.  exec resets it.
 * When anything is doubtful (a filter, no collector, SONDE_EXIT_WAIT over): the default action.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/syscall.h"
#include "control/internal.h"

#define LOOK_NS	(SN_NS_PER_SEC / 20)	/* so often we look whether the collector is still there */

#if defined(__x86_64__)
#define RESTORER 0x04000000	/* glibc sets this flag for every action */
#else
#define RESTORER 0
#endif

static const int ending_signals[] = { SIGTERM, SIGINT, SIGHUP };
#define ENDING_COUNT (sizeof(ending_signals) / sizeof(ending_signals[0]))

static struct {
	uint64_t watched;		/* bit sig - 1; children keep it, as they keep the handlers */
	bool ending;			/* there is something to write or to remove when the process dies */
	int dump_signal;		/* 0 none */
	uint32_t dying;			/* flush_asked of the thread that dies first; 0 nobody does */
	uint64_t die_by_ns;		/* for all that die meanwhile */
	struct {			/* of the default action as the program set it */
		int flags;
		uint64_t mask;
	} seen[65];
} ends;

static void on_ending(int sig);
static void on_dump(int sig);

static bool
is_ours(const struct sigaction *a)
{
	return a->sa_handler == on_ending || a->sa_handler == on_dump;
}

static uint64_t
bit_of(int sig)
{
	return sig >= 1 && sig <= 64 ? 1ull << (sig - 1) : 0;
}

static struct sigaction
our_action(int sig)
{
	struct sigaction a = {
		.sa_handler = sig == ends.dump_signal ? on_dump : on_ending, .sa_flags = SA_RESTART | SA_ONSTACK,
	};

	(void)sigfillset(&a.sa_mask);
	return a;
}

/* ---- the collector writes ---- */

static int
await_flush(const struct sn_host *h, uint32_t asked, uint64_t until)
{
	uint32_t done;

	while ((int32_t)((done = SN_LOAD_ACQUIRE(&h->flush_done)) - asked) < 0) {
		uint64_t now = sn_clock_mono_ns();
		struct timespec ts = { 0 };

		if (SN_LOAD_ACQUIRE(&h->ready) == 2)
			return -ENOTCONN;
		if (now >= until)
			return -ETIMEDOUT;
		ts.tv_nsec = (long)(until - now < LOOK_NS ? until - now : LOOK_NS);
		(void)sn_syscall4(SYS_futex, &h->flush_done, FUTEX_WAIT_PRIVATE, done, &ts);
	}
	return 0;
}

static int
flush(enum sn_host_flush how)
{
	struct sn_host *h = sn_inside_host();
	uint32_t asked, nobody = 0;
	uint64_t until;

	if (sn_control_is_sealed() || !sn_inside_runs())
		return -ENOTCONN;
	until = sn_clock_mono_ns() + (uint64_t)h->options.exit_wait;
	if (sn_inside_is_ending()) {
		sn_inside_end();		/* exit() is under way: its file is the last one */
		return 0;
	}
	asked = SN_LOAD_ACQUIRE(&ends.dying);
	if (how == SN_FLUSH_DYING && asked != 0)	/* `timeout` sends two, and people press Ctrl-C twice */
		return await_flush(h, asked, SN_LOAD_RELAXED(&ends.die_by_ns));
	SN_STORE_RELEASE(&h->flush_how, (uint32_t)how);
	asked = __atomic_add_fetch(&h->flush_asked, 1, __ATOMIC_ACQ_REL);
	if (how == SN_FLUSH_DYING) {
		SN_STORE_RELAXED(&ends.die_by_ns, until);
		(void)SN_CAS_ACQ_REL(&ends.dying, &nobody, asked);
	}
	if (h->options.exit_wait == 0)
		return -ETIMEDOUT;		/* a process that survives finds its file all the same */
	sn_nudge(sn_inside_socket());
	return await_flush(h, asked, until);
}

int
sn_control_flush_for_death(void)
{
	int err = flush(SN_FLUSH_DYING);

	SN_STORE_RELEASE(&ends.dying, 0u);
	return err;
}

int
sn_control_flush_for_exec(void)
{
	return sn_inside_host()->options.file != NULL ? flush(SN_FLUSH_FILE) : 0;
}

/* ---- handlers ---- */

/* The kernel's own default, where ours stands for it. */
static void
give_back(int sig)
{
	struct sigaction now, dfl = { .sa_handler = SIG_DFL };

	if (sn_real_sigaction(sig, NULL, &now) == 0 && is_ours(&now))
		(void)sn_real_sigaction(sig, &dfl, NULL);
}

/*
 * What would have happened without us.  The signal may be blocked where we return to (sigsuspend, ppoll), so it
 * is let in here.  Should the program have set an action of its own meanwhile, it gets the signal.
 */
static void
take_default(int sig)
{
	uint64_t set = bit_of(sig);

	give_back(sig);
	(void)sn_syscall3(SYS_tgkill, sn_syscall0(SYS_getpid), sn_syscall0(SYS_gettid), sig);
	(void)sn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof(set));
}

/* The first process of a pid name space survives its default actions: it goes on, and so do we. */
static void
go_on(int sig)
{
	struct sigaction now, ours = our_action(sig);

	if (sn_inside_has_segment() && sn_real_sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		(void)sn_real_sigaction(sig, &ours, NULL);
}

static void
on_ending(int sig)
{
	int saved = errno;

	(void)flush(SN_FLUSH_DYING);		/* whatever came of it */
	take_default(sig);
	SN_STORE_RELEASE(&ends.dying, 0u);
	go_on(sig);
	errno = saved;
}

/* No system call: it may run under a filter, or in a child that shares our memory.  The collector sees the word. */
static void
on_dump(int sig)
{
	struct sn_live_state *live = sn_live();

	(void)sig;
	if (live != NULL)
		(void)SN_ADD_RELAXED(&live->segment.shared->dumps_asked, 1u);
}

/* ---- the program's own actions ---- */

bool
sn_ends_watches(int sig)
{
	return (SN_LOAD_RELAXED(&ends.watched) & bit_of(sig)) != 0;
}

/* May our handler stand for the default here and now?  A vfork child's default is its own. */
static bool
may_take(int sig)
{
	if (sig == ends.dump_signal)
		return sn_live() != NULL;
	for (size_t i = 0; i < ENDING_COUNT; i++)
		if (sig == ending_signals[i])
			return ends.ending && !sn_control_is_sealed() && sn_inside_has_segment();
	return false;
}

static void
tell_no_dump(void)
{
	sn_log(SN_LOG_FILE, "process %ld has an action of its own for signal %d: no file is written at it",
		sn_syscall0(SYS_getpid), ends.dump_signal);
}

__sighandler_t
sn_ends_replaced(__sighandler_t handler)
{
	if (handler == on_dump)
		tell_no_dump();
	return handler == on_ending || handler == on_dump ? SIG_DFL : handler;
}

static void
note_default(int sig, const struct sigaction *a, int more_flags)
{
	ends.seen[sig].flags = a->sa_flags | more_flags;
	memcpy(&ends.seen[sig].mask, &a->sa_mask, sizeof(ends.seen[sig].mask));
}

static void
show_default(int sig, struct sigaction *a)
{
	a->sa_handler = SIG_DFL;
	a->sa_flags = ends.seen[sig].flags;
	memcpy(&a->sa_mask, &ends.seen[sig].mask, sizeof(ends.seen[sig].mask));
	if ((a->sa_flags & RESTORER) == 0)
		a->sa_restorer = NULL;
}

int
sn_ends_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	struct sigaction ours, was, wish = { 0 };
	bool replaces = new != NULL && new->sa_handler != SIG_DFL;	/* new and old may be the same */

	if (new != NULL && !replaces && may_take(sig)) {
		wish = *new;
		ours = our_action(sig);
		new = &ours;
	}
	if (sn_real_sigaction(sig, new, &was) < 0)
		return -1;
	if (replaces && was.sa_handler == on_dump)
		tell_no_dump();
	if (is_ours(&was))
		show_default(sig, &was);
	if (new == &ours)
		note_default(sig, &wish, RESTORER);
	if (old != NULL)
		*old = was;
	return 0;
}

/* Ours in place of the default; false where the program, or who started it, has another action. */
static bool
take(int sig)
{
	struct sigaction now, ours = our_action(sig);

	(void)__atomic_fetch_or(&ends.watched, bit_of(sig), __ATOMIC_RELAXED);
	if (sn_real_sigaction(sig, NULL, &now) < 0)
		return false;
	if (now.sa_handler != SIG_DFL)
		return is_ours(&now);
	note_default(sig, &now, 0);
	return sn_real_sigaction(sig, &ours, NULL) == 0;
}

void
sn_ends_begin(const struct sn_options *o, bool is_inside)
{
	bool writes = o->file != NULL && o->mode != SN_MODE_IDLE;
	bool leaves_socket = o->socket == NULL || strcmp(o->socket, "off") != 0;

	if (ends.dump_signal != 0 && ends.dump_signal != (int)o->dump_signal)
		give_back(ends.dump_signal);
	ends.dump_signal = (int)o->dump_signal;
	if (ends.dump_signal != 0 && !take(ends.dump_signal))
		tell_no_dump();
	ends.dying = 0;			/* a thread of the parent's may have been about to die */
	/* The first process of a pid name space lives on: there only the file counts. */
	ends.ending = is_inside && (writes || (leaves_socket && sn_syscall0(SYS_getpid) != 1));
	for (size_t i = 0; ends.ending && i < ENDING_COUNT; i++)
		if (ending_signals[i] != ends.dump_signal)
			(void)take(ending_signals[i]);
}

void
sn_ends_seal(void)
{
	for (size_t i = 0; i < ENDING_COUNT; i++)
		if (sn_ends_watches(ending_signals[i]) && ending_signals[i] != ends.dump_signal)
			give_back(ending_signals[i]);
}

void
sn_ends_unseal(void)
{
	for (size_t i = 0; i < ENDING_COUNT; i++)
		if (sn_ends_watches(ending_signals[i]) && ends.ending)
			go_on(ending_signals[i]);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.c - the collector as a thread of this program: its start, its pauses, its end.
 *
 * Runs in:  application threads; collector_main on the collector's thread.
 * Memory:   the host struct is static; segment and module are kept for the next start.
 * Children: state is that of the process whose id is in it: a fork child has none of it, and a vfork child, which
 *           shares our memory, must not touch it.
 * When it fails: nothing is sampled, one line in SONDE_LOG.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/syscall.h"
#include "base/trial.h"
#include "control/gperf.h"
#include "control/internal.h"
#include "source/source.h"

#define STACK_BYTES	(512u << 10)
#define PATIENCE_NS	(2 * SN_NS_PER_SEC)	/* for another thread's start or pause */
#define SEALED_NS	SN_NS_PER_SEC
#define STRICT_LOOKS	300000000u		/* less than a second */
#define MODULE_BYTES	(24ull << 20)		/* of addresses: the module, its libraries, its heap */
#define MODULE_DATA	(4ull << 20)		/* … those of them that are private and can be written */
#define KEYS_MAX	1024			/* PTHREAD_KEYS_MAX */

static struct {
	struct sn_host host;
	struct sn_module module;
	pthread_t thread;
	int32_t tid;			/* of the collector; 0: not yet known */
	int32_t pid;			/* in which all this is so */
	bool running;			/* a thread was started and not joined */
	bool ending;			/* the process exits: no new thread */
	uint64_t end_by_ns;		/* … and waits for the collector no longer than this */
	bool hooked;			/* exit handlers are in place */
	int32_t owner;			/* tid of the thread that starts, pauses or joins; 0 nobody */
	uint32_t forking;		/* forks that are under way */
	int32_t threads;		/* of the application */
} inside;

/*
 * The live page tells a copy of us, the pid a vfork child; a raw clone may have the same pid in its own name space.
 * In a sealed program the pid is not asked for.
 */
static bool
is_here(void)
{
	return SN_LOAD_RELAXED(&sn_live_page->inside) != 0 &&
	    (sn_control_is_sealed() || inside.pid == (int32_t)sn_syscall0(SYS_getpid));
}

bool
sn_inside_runs(void)
{
	return SN_LOAD_ACQUIRE(&inside.running) && is_here();
}

bool
sn_inside_has_segment(void)
{
	return is_here();
}

static void
wait_a_moment(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	(void)sn_syscall2(SYS_nanosleep, &ms, NULL);
}

/*
 * One thread at a time starts, pauses or joins, and none while another one forks: the child would
 * have half a module.  False: not to be had in time, or the caller is a signal handler on top of the owner.
 */
static bool
enter(void)
{
	int32_t self = (int32_t)sn_syscall0(SYS_gettid);
	uint64_t until = sn_clock_mono_ns() + PATIENCE_NS;
	int32_t nobody = 0;

	while (!__atomic_compare_exchange_n(&inside.owner, &nobody, self, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (nobody == self || sn_clock_mono_ns() > until)
			return false;
		nobody = 0;
		wait_a_moment();
	}
	while (__atomic_load_n(&inside.forking, __ATOMIC_SEQ_CST) != 0 && sn_clock_mono_ns() < until)
		wait_a_moment();
	return true;
}

static void
leave(void)
{
	SN_STORE_RELEASE(&inside.owner, 0);
}

struct sn_host *
sn_inside_host(void)
{
	return &inside.host;
}

bool
sn_inside_is_ending(void)
{
	return SN_LOAD_RELAXED(&inside.ending);
}

int32_t
sn_inside_tid(void)
{
	return SN_LOAD_RELAXED(&inside.tid);
}

int32_t
sn_inside_threads(void)
{
	return inside.threads;
}

static void
futex_wait(uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / SN_NS_PER_SEC), (long)(ns % SN_NS_PER_SEC) };

	(void)sn_syscall4(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &ts);
}

/* Until the collector has left that state, or the time is over. */
static bool
wait_while(uint32_t state, uint64_t ns)
{
	uint64_t now = sn_clock_mono_ns(), until = now + ns;
	uint32_t ready;

	while ((ready = SN_LOAD_ACQUIRE(&inside.host.ready)) <= state && now < until) {
		futex_wait(&inside.host.ready, ready, until - now);
		now = sn_clock_mono_ns();
	}
	return ready > state;
}

const char *
sn_inside_socket(void)
{
	return SN_LOAD_ACQUIRE(&inside.host.ready) == 1 ? inside.host.collector : "";
}

/* A call of the API comes right after the start, as a rule: the collector answers in a moment. */
const char *
sn_inside_await_socket(void)
{
	if (sn_inside_runs())
		(void)wait_while(0, PATIENCE_NS);
	return sn_inside_socket();
}

const char *
sn_inside_complaint(void)
{
	(void)wait_while(0, SN_NS_PER_SEC);
	return SN_LOAD_ACQUIRE(&inside.host.ready) == 2 ? inside.host.complaint : "";
}

/* The child must know whom to ask; a collector that is not ready yet will be, in a moment. */
static void
wait_for_name(void)
{
	if (sn_inside_runs() && SN_LOAD_ACQUIRE(&inside.host.ready) == 0)
		(void)wait_while(0, SN_NS_PER_SEC / 10);
	if (sn_inside_runs())
		sn_control_set_socket(sn_inside_socket());
}

void
sn_inside_before_fork(void)
{
	int32_t self = (int32_t)sn_syscall0(SYS_gettid);
	uint64_t until = 0;

	wait_for_name();
	for (;;) {
		int32_t owner;

		(void)__atomic_fetch_add(&inside.forking, 1, __ATOMIC_SEQ_CST);
		owner = __atomic_load_n(&inside.owner, __ATOMIC_SEQ_CST);
		if (owner == 0 || owner == self)
			return;
		if (until == 0)
			until = sn_clock_mono_ns() + PATIENCE_NS;
		else if (sn_clock_mono_ns() > until)
			return;			/* better a child that may fail than a program that stands still */
		(void)__atomic_fetch_sub(&inside.forking, 1, __ATOMIC_SEQ_CST);
		wait_a_moment();
	}
}

void
sn_inside_after_fork(bool is_child)
{
	if (!is_child) {
		(void)__atomic_fetch_sub(&inside.forking, 1, __ATOMIC_SEQ_CST);
		return;
	}
	if (!sn_control_is_sealed())
		sn_family_note(inside.pid != 0, inside.threads);
	inside.threads = 1;
	inside.forking = 0;
	inside.owner = 0;
	inside.pid = 0;
	inside.tid = 0;
	inside.running = false;
	inside.ending = false;
	inside.module.opened = false;		/* its heap may be locked by a thread that is not here */
}

/* What a library in the module kept with pthread_setspecific lies where the program's keys look. */
static void
clear_keys(void)
{
	for (pthread_key_t k = 0; k < KEYS_MAX; k++)
		(void)pthread_setspecific(k, NULL);
}

static void *
collector_main(void *arg)
{
	struct sn_host *host = &inside.host;
	struct sched_param none = { 0 };
	int err;

	(void)arg;
	SN_STORE_RELAXED(&inside.tid, (int32_t)sn_syscall0(SYS_gettid));
	(void)sn_syscall2(SYS_prctl, 15 /* PR_SET_NAME */, "sonde");
	if (sn_syscall1(SYS_sched_getscheduler, 0) != SCHED_OTHER)
		(void)sn_syscall3(SYS_sched_setscheduler, 0, SCHED_OTHER, &none);
	err = inside.module.run(host);
	host->error = err;
	if (err < 0 && host->complaint[0] == '\0')
		(void)snprintf(host->complaint, sizeof(host->complaint), "cannot start: %s", strerror(-err));
	if (err == 0 && SN_LOAD_ACQUIRE(&host->stop) == SN_HOST_RUN)
		sn_exit_alone();
	if (SN_LOAD_ACQUIRE(&host->stop) == SN_HOST_RUN) {
		/* It gave up by itself: nobody reads the rings any more. */
		host->set_sampling(false);
		sn_log(SN_LOG_FILE, "process %ld is not profiled any more: %s", sn_syscall0(SYS_getpid),
			strerror(-err));
	}
	clear_keys();
	SN_STORE_RELEASE(&host->ready, 2u);
	(void)sn_syscall3(SYS_futex, &host->ready, FUTEX_WAKE_PRIVATE, INT32_MAX);
	return NULL;
}

/* All signals blocked for real, but for those that libc needs, for setuid among others. */
static int
start_thread(void)
{
	uint64_t all = ~(3ull << 31), was = 0;	/* 32 and 33 are libc's */
	pthread_attr_t attr;
	int err = -pthread_attr_init(&attr);

	if (err < 0)
		return err;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	inside.tid = 0;
	inside.host.ready = 0;
	inside.host.error = 0;
	SN_STORE_RELEASE(&inside.host.stop, (uint32_t)SN_HOST_RUN);
	(void)sn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &was, sizeof(was));
	err = -inside.module.create(&inside.thread, &attr, collector_main, NULL);
	(void)sn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &was, NULL, sizeof(was));
	(void)pthread_attr_destroy(&attr);
	if (err == 0) {
		sn_ids_note();			/* the thread has ours */
		SN_STORE_RELEASE(&inside.running, true);
	}
	return err;
}

static void
at_exit(void)
{
	sn_gperf_exit();
	sn_control_exit();
}

static void
fill_host(const struct sn_options *o)
{
	struct sn_host *h = &inside.host;

	h->bytes = sizeof(*h);
	memcpy(h->stamp, SN_HOST_STAMP, sizeof(SN_HOST_STAMP));
	h->segment = &sn_control_state()->segment;
	h->options = *o;
	sn_calls_fill(h);
	h->end = at_exit;
	h->collector[0] = '\0';
	h->kept = NULL;
	h->image = sn_clock_mono_ns();
}

static int
start(const struct sn_options *o)
{
	struct sn_segment *s = &sn_control_state()->segment;
	struct sn_options kept = *o;
	int err = sn_control_prepare();

	if (err == 0 && (sn_memory_room(RLIMIT_AS) < MODULE_BYTES || sn_memory_room(RLIMIT_DATA) < MODULE_DATA))
		err = -ENOMEM;
	if (err == 0)
		err = sn_options_keep(&kept);
	if (err == 0)
		err = sn_module_open(&inside.module, inside.host.program, sizeof(inside.host.program));
	if (err == 0)
		err = sn_memory_segment(&kept, s);
	if (err < 0)
		return err;
	fill_host(&kept);
	inside.threads = sn_family_threads();
	s->shared->pid_inside = (uint64_t)sn_syscall0(SYS_getpid);
	inside.pid = (int32_t)s->shared->pid_inside;
	SN_STORE_RELAXED(&sn_live_page->inside, 1u);
	err = sn_control_go_live();
	if (err == 0)
		sn_threads_adopt(sn_control_state(), (pid_t)sn_syscall0(SYS_gettid));
	if (err == 0)
		err = start_thread();
	if (err < 0) {
		inside.host.set_sampling(false);
		return err;
	}
	if (!inside.hooked) {
		inside.hooked = true;
		(void)atexit(at_exit);	/* after the module was opened: runs before its destructors */
		(void)at_quick_exit(at_exit);
	}
	sn_ends_begin(&kept, true);
	return 0;
}

int
sn_inside_start(const struct sn_options *o)
{
	int err = enter() ? 0 : -EBUSY;

	if (err < 0)
		return err;
	inside.host.is_late = 0;
	err = start(o);
	leave();
	return err;
}

/*
 * Nor is the pid asked for: a vfork child that calls _exit in a sealed program ends its parent's collector, no more.
 * It looks at the word ten times a second; without a system call one can only look, too. */
static bool
stop_sealed(enum sn_host_stop how)
{
	bool has_clock = SN_LOAD_RELAXED(&sn_seal) != SN_STRICT;
	uint64_t until = has_clock ? sn_clock_mono_ns() + SEALED_NS : 0;
	uint32_t looks = 0;

	SN_STORE_RELEASE(&inside.host.stop, (uint32_t)how);
	while (SN_LOAD_ACQUIRE(&inside.host.ready) != 2)
		if (has_clock ? sn_clock_mono_ns() > until : ++looks > STRICT_LOOKS)
			return false;
	return true;
}

/* Ask it to return.  One that is not serving yet looks at the word when it does; then it must be woken. */
static bool
stop(enum sn_host_stop how, uint64_t patience_ns)
{
	SN_STORE_RELEASE(&inside.host.stop, (uint32_t)how);
	if (patience_ns == 0 || !wait_while(0, patience_ns))
		return false;
	sn_nudge(sn_inside_socket());
	return wait_while(1, patience_ns);
}

void
sn_inside_end(void)
{
	if (sn_control_is_sealed()) {
		if (inside.running && !inside.ending && sn_live_page->inside != 0)
			(void)stop_sealed(SN_HOST_END);
		inside.ending = true;
		return;
	}
	uint64_t now;

	if (!sn_inside_runs())
		return;
	/* Exit handler, destructor and the module's own come one after the other: one wait for all. */
	now = sn_clock_mono_ns();
	if (!inside.ending)
		inside.end_by_ns = now + (uint64_t)inside.host.options.exit_wait;
	inside.ending = true;
	(void)stop(SN_HOST_END, inside.end_by_ns > now ? inside.end_by_ns - now : 0);
}

/*
 * The thread has been joined; the kernel takes it off the process's list a moment later, and only then do
 * unshare() and setns() find a process of one thread.  wait4 for any child takes the lock of that list.
 */
static void
wait_until_gone(int32_t tid)
{
	siginfo_t si;

	for (int i = 0; i < 1000 && sn_syscall3(SYS_tgkill, inside.pid, tid, 0) != -ESRCH; i++)
		(void)sn_syscall0(SYS_sched_yield);
	(void)sn_syscall5(SYS_waitid, P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT, NULL);
}

/* Tell it to return, wait, join.  False when it did not return in time: it is left alone then. */
static bool
stop_and_join(enum sn_host_stop how, uint64_t patience_ns)
{
	int cancel, unused;

	if (!stop(how, patience_ns)) {
		uint32_t pause = SN_HOST_PAUSE;

		(void)SN_CAS_ACQ_REL(&inside.host.stop, &pause, (uint32_t)SN_HOST_RUN);
		return false;
	}
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	(void)pthread_join(inside.thread, NULL);
	(void)pthread_setcancelstate(cancel, &unused);
	SN_STORE_RELEASE(&inside.running, false);
	wait_until_gone(inside.tid);
	return true;
}

bool
sn_control_pause(void)
{
	int saved = errno;
	bool paused = false;

	if (!sn_control_is_sealed() && sn_inside_runs() && !inside.ending && enter()) {
		paused = sn_inside_runs() && stop_and_join(SN_HOST_PAUSE, PATIENCE_NS);
		if (!paused)
			leave();
	}
	errno = saved;
	return paused;
}

void
sn_control_resume(bool paused)
{
	int saved = errno;
	int err;

	if (!paused)
		return;
	err = inside.ending ? 0 : inside.host.error < 0 ? inside.host.error : start_thread();
	if (err < 0) {
		inside.host.set_sampling(false);
		sn_log(SN_LOG_FILE, "process %d is not profiled any more: %s", (int)inside.pid, strerror(-err));
	}
	leave();
	errno = saved;
}

void
sn_inside_thread_begins(void)
{
	(void)SN_ADD_RELAXED(&inside.threads, 1);
}

/*
 * main may have ended by pthread_exit: the process then ends with its last thread, in whose place
 * ours would be.  It goes before, so that exit() runs where it would have without us.
 */
void
sn_inside_thread_ends(void)
{
	if (__atomic_sub_fetch(&inside.threads, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (sn_control_is_sealed() && inside.running) {
		if (!stop_sealed(SN_HOST_END))
			exit(0);
		(void)pthread_join(inside.thread, NULL);
		inside.running = false;
		return;
	}
	if (sn_control_is_sealed() || !sn_inside_runs() || !enter())
		return;
	sn_control_figures();
	inside.ending = true;
	if (sn_inside_runs() && !stop_and_join(SN_HOST_END, (uint64_t)inside.host.options.exit_wait))
		exit(0);
	leave();
}

/* After sn_control_join: the same name space, segment and slots, a new thread. */
static int
restart(const struct sn_options *o)
{
	const struct sn_segment *s = &sn_control_state()->segment;
	struct sn_options kept = *o;
	struct sn_segment_options so;
	int err;

	if (SN_LOAD_ACQUIRE(&inside.running) && SN_LOAD_ACQUIRE(&inside.host.ready) != 2)
		return -EALREADY;
	if (inside.running && !stop_and_join(SN_HOST_END, PATIENCE_NS))
		return -EBUSY;
	err = sn_options_keep(&kept);
	if (err < 0)
		return err;
	kept.signal = inside.host.options.signal;	/* its handler is in place, */
	kept.unwind = inside.host.options.unwind;	/* and the rings have their size */
	inside.host.options = kept;
	sn_segment_options_from(&so, &kept);
	memcpy((char *)s->base + offsetof(struct sn_segment_header, options), &so, sizeof(so));
	sn_control_state()->options = so;
	sn_engine_begin(sn_control_state());
	inside.host.collector[0] = '\0';
	inside.host.kept = NULL;
	err = start_thread();
	if (err == 0 && !so.idle)
		inside.host.set_sampling(true);
	if (err == 0)
		sn_ends_begin(&kept, true);
	return err;
}

int
sn_control_begin(const struct sn_options *o)
{
	char why[200];
	int err;

	if (sn_control_is_guest())
		return -EALREADY;
	if (sn_control_is_sealed())
		return -EPERM;
	if (!enter())
		return -EBUSY;
	inside.host.is_late = 1;
	inside.host.is_forked = 0;		/* what the caller names is its own */
	if (is_here())
		err = restart(o);
	else if (sn_trial_is_filtered() && (err = sn_trial_run(SN_TRIAL_HOST, why, sizeof(why))) < 0)
		sn_log(SN_LOG_FILE, "process %ld cannot be profiled: %s", sn_syscall0(SYS_getpid), why);
	else
		err = start(o);
	leave();
	return err;
}

int
sn_control_join(void)
{
	bool joined;

	if (!sn_inside_runs())
		return 0;
	if (!enter())
		return -EBUSY;
	inside.host.set_sampling(false);
	joined = !sn_inside_runs() || stop_and_join(SN_HOST_END, 5 * PATIENCE_NS);
	leave();
	return joined ? inside.host.error : -ETIMEDOUT;
}

bool
sn_control_is_inside(void)
{
	return sn_inside_runs();
}

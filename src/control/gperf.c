/* SPDX-License-Identifier: Apache-2.0
 *
 * gperf.c - the functions of gperftools' <gperftools/profiler.h>, for programs that were written to it.
 *
 * Runs in:  application threads; in a signal handler too, where programs do so: see sn_api_is_locked_here.
 * How:      if nobody else has the process profiled, ProfilerStart starts a collector of its own, as profiler_start()
 *           does, which writes the file.  Under `sonde run`, or with SONDE_* set, the collector is for others
 *           too: then start and stop are the ends of a span of it, whose profile the calling thread writes.
 * Files:    pprof's own format.  What was in the file stays until the new profile is whole (gperftools empties it at
 *           the start).
 * When it fails: ProfilerStart returns 0, and SONDE_LOG has why.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/shield.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"
#include "segment/handshake.h"

#pragma GCC visibility push(default)
#include "control/gperf.h"
#include "profiler.h"
#pragma GCC visibility pop

#define NOINLINE __attribute__((noinline))

enum mode {
	OFF,
	OWN,				/* the collector is there for us alone, and writes our file */
	BY_ENVIRONMENT,			/* the same, since the constructor; but SONDE_* may want it too */
	SPAN,				/* it is there for others */
};

/* Changed with the lock of api.c held. */
static struct {
	enum mode mode;
	int32_t pid;			/* of the process that started: a forked child may have a copy */
	time_t began;
	uint64_t samples_before;	/* of what the slots count since the segment began */
	char name[sizeof(((struct ProfilerState *)0)->profile_name)];	/* as the program wrote it */
	char path[PATH_MAX];		/* SPAN: absolute */
} gperf;

/* Under a seccomp filter no system call of ours is made: start and stop do nothing there. */
static bool
is_here(void)
{
	return sn_control_is_sealed() || gperf.pid == (int32_t)sn_syscall0(SYS_getpid);
}

/* A span is its process's; a file of the collector's is one for each child too. */
static enum mode
mode_now(void)
{
	return gperf.mode == SPAN && !is_here() ? OFF : gperf.mode;
}

/* Periods of samples that this process has taken, whoever reads them. */
static uint64_t
samples_taken(void)
{
	const struct sn_live_state *live = sn_live();
	uint64_t sum = 0;

	if (live == NULL)
		return 0;
	for (uint32_t i = 0; i < live->segment.nslots && SN_LOAD_RELAXED(&live->segment.slots[i].uses) != 0; i++)
		sum += SN_LOAD_RELAXED(&live->segment.slots[i].pushed_weight);
	return sum;
}

static void
note_start(enum mode mode, const char *name)
{
	gperf.mode = mode;
	gperf.pid = (int32_t)sn_syscall0(SYS_getpid);
	gperf.began = (time_t)(sn_clock_ns(CLOCK_REALTIME) / SN_NS_PER_SEC);
	gperf.samples_before = samples_taken();
	(void)snprintf(gperf.name, sizeof(gperf.name), "%s", name);
}

/* ---- a span of somebody else's collector ---- */

static int
write_file(int from, uint64_t bytes)
{
	uint64_t until = sn_clock_mono_ns() + SN_ASK_WAIT_NS;
	char part[PATH_MAX + 40];
	long fd, err;

	(void)snprintf(part, sizeof(part), "%s.sonde.%ld", gperf.path, sn_syscall0(SYS_gettid));
	fd = sn_syscall4(SYS_openat, AT_FDCWD, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return (int)fd;
	err = sn_api_copy_out(from, bytes, (int)fd, until);
	if (err == 0)
		err = sn_syscall1(SYS_fsync, fd);
	(void)sn_syscall1(SYS_close, fd);
	if (err == 0)
		err = sn_syscall4(SYS_renameat, AT_FDCWD, part, AT_FDCWD, gperf.path);
	if (err < 0)
		(void)sn_syscall3(SYS_unlinkat, AT_FDCWD, part, 0);	/* best effort; err is the news */
	return (int)err;
}

static int
write_span(void)
{
	struct sn_shield shield;
	uint64_t bytes;
	int from, err = sn_control_ask(SN_ASK_SPAN, "", &bytes, &from);

	if (err == 0 && from < 0)
		err = -EPROTO;
	if (err < 0)
		return err;
	sn_shield_raise(&shield);
	err = write_file(from, bytes);
	sn_shield_lower(&shield);
	(void)sn_syscall1(SYS_close, from);
	return err;
}

static int
end_span(void)
{
	int err = write_span();

	(void)sn_control_ask(SN_ASK_UNMARK, "", NULL, NULL);
	return err;
}

static int
begin_span(const struct ProfilerOptions *options)
{
	int err;

	if (options != NULL && options->filter_in_thread != NULL) {
		sn_log(SN_LOG_FILE, "ProfilerStartWithOptions: no filter while others have the process profiled");
		return -EBUSY;
	}
	err = sn_control_ask(SN_ASK_MARK, "", NULL, NULL);
	if (err == 0 && sn_live() != NULL)
		sn_sampling_obey(sn_live());	/* where sampling had stopped no handler runs that would see the wish */
	return err;
}

/* ---- start and stop ---- */

static int
start_own(const char *path, const struct ProfilerOptions *options)
{
	const struct sn_gperf_env *env = sn_gperf_env();
	/* A rate that nobody named is the default here too, and is kept within the budget. */
	struct profiler_options o = {
		.size = sizeof(o), .hz = env->hz_is_named ? env->hz : 0, .signal = env->signal,
	};
	char pattern[SN_GPERF_PATTERN];
	int err;

	sn_gperf_make_pattern(path, "%c", pattern);
	o.file = pattern;
	if (options != NULL && options->filter_in_thread != NULL)
		sn_filter_set(options->filter_in_thread, options->filter_in_thread_arg);
	err = sn_api_start(&o);
	if (err < 0)
		sn_filter_set(NULL, NULL);
	return err;
}

static int
start(const char *name, const struct ProfilerOptions *options)
{
	enum mode mode = OWN;
	int err;

	if (mode_now() != OFF)
		return -EALREADY;
	err = sn_gperf_find_file(name, gperf.path);
	if (err < 0)
		return err;
	if (sn_live() == NULL)
		(void)sn_lazy_join();		/* a forked child is its parent's collector's */
	if (sn_api_must_share() || (sn_gperf_env()->toggle != 0 && *sn_control_collector() != '\0'))
		mode = SPAN;
	err = mode == SPAN ? begin_span(options) : start_own(gperf.path, options);
	if (err == 0)
		note_start(mode, name);
	return err;
}

int
ProfilerStartWithOptions(const char *fname, const struct ProfilerOptions *options)
{
	struct sn_call c;
	int err = -EDEADLK;

	if (sn_control_is_sealed())
		return 0;
	c = sn_api_enter();
	if (!sn_api_is_locked_here()) {
		sn_api_lock();
		err = start(fname, options);
		sn_api_unlock();
	}
	if (err < 0)
		sn_log(SN_LOG_FILE, "ProfilerStart: %.300s: %s", fname != NULL ? fname : "(null)", strerror(-err));
	return sn_api_leave(&c, err == 0);
}

int
ProfilerStart(const char *fname)
{
	return ProfilerStartWithOptions(fname, NULL);
}

static int
stop(void)
{
	enum mode mode = mode_now();
	int err;

	gperf.mode = OFF;
	if (mode == OFF)
		return 0;
	if (mode == SPAN)
		return end_span();
	if (mode == BY_ENVIRONMENT && is_here() && sn_api_must_share())
		return sn_control_ask(SN_ASK_FLUSH, "", NULL, NULL);	/* others want it to go on */
	err = sn_api_stop();
	sn_filter_set(NULL, NULL);
	return err;
}

void
ProfilerStop(void)
{
	struct sn_call c;
	int err = -EDEADLK;

	if (sn_control_is_sealed())
		return;				/* the collector writes the file at the end */
	c = sn_api_enter();
	if (!sn_api_is_locked_here()) {
		sn_api_lock();
		err = stop();
		sn_api_unlock();
	}
	if (err < 0)
		sn_log(SN_LOG_FILE, "ProfilerStop: %s: %s", gperf.name, strerror(-err));
	(void)sn_api_leave(&c, 0);
}

void
ProfilerFlush(void)
{
	struct sn_call c;
	int err = 0;

	if (sn_control_is_sealed())
		return;
	c = sn_api_enter();
	if (!sn_api_is_locked_here()) {
		sn_api_lock();
		if (mode_now() == SPAN)
			err = write_span();
		else if (mode_now() != OFF)
			err = sn_control_ask(SN_ASK_FLUSH, "", NULL, NULL);
		sn_api_unlock();
	}
	if (err < 0)
		sn_log(SN_LOG_FILE, "ProfilerFlush: %s: %s", gperf.name, strerror(-err));
	(void)sn_api_leave(&c, 0);
}

void
sn_gperf_exit(void)
{
	if (gperf.mode == SPAN && is_here())
		ProfilerStop();
}

/* ---- CPUPROFILE and CPUPROFILESIGNAL ---- */

/* Any thread, at any moment: raw system calls only.  The collector writes the file. */
static void
on_toggle(int sig)
{
	int saved = errno;

	(void)sig;
	if (!sn_control_is_sealed())
		(void)sn_control_ask(SN_ASK_TOGGLE, "", NULL, NULL);
	errno = saved;
}

static void
install_toggle(int sig, int64_t ours)
{
	struct sigaction sa = { .sa_handler = on_toggle, .sa_flags = SA_RESTART | SA_ONSTACK }, was;

	(void)sigemptyset(&sa.sa_mask);
	if (sig == ours || sn_real_sigaction(sig, NULL, &was) < 0 || was.sa_handler != SIG_DFL ||
	    sn_real_sigaction(sig, &sa, NULL) < 0)
		sn_log(SN_LOG_FILE, "CPUPROFILESIGNAL=%d is in use, or cannot be: passed over", sig);
}

void
sn_gperf_started(const struct sn_options *o)
{
	if (!sn_gperf_env()->asked)
		return;
	if (sn_gperf_env()->toggle != 0)
		install_toggle(sn_gperf_env()->toggle, o->signal);
	else if (o->mode == SN_MODE_ON)
		note_start(BY_ENVIRONMENT, sn_gperf_env()->name);
}

/* ---- the rest ---- */

int
ProfilingIsEnabledForAllThreads(void)
{
	return mode_now() != OFF;
}

void
ProfilerGetCurrentState(struct ProfilerState *state)
{
	uint64_t samples = samples_taken();

	memset(state, 0, sizeof(*state));
	if (mode_now() == OFF)
		return;
	if (is_here())
		samples -= samples < gperf.samples_before ? samples : gperf.samples_before;
	state->enabled = 1;
	state->start_time = gperf.began;
	state->samples_gathered = samples < INT_MAX ? (int)samples : INT_MAX;
	memcpy(state->profile_name, gperf.name, sizeof(gperf.name));
}

/* All threads are sampled anyway; and these two have been without effect in gperftools for long. */
void
ProfilerRegisterThread(void)
{
}

void
ProfilerEnable(void)
{
}

void
ProfilerDisable(void)
{
}

static struct sn_slot *
own_slot(void)
{
	const struct sn_live_state *live = sn_live();
	int32_t tid = (int32_t)sn_syscall0(SYS_gettid);

	for (uint32_t i = 0; live != NULL && i < live->segment.nslots; i++) {
		struct sn_slot *sl = &live->segment.slots[i];

		if (SN_LOAD_RELAXED(&sl->uses) == 0)
			break;
		if (SN_LOAD_RELAXED(&sl->tid) == tid && SN_LOAD_ACQUIRE(&sl->state) != SN_SLOT_FREE)
			return sl;
	}
	return NULL;
}

/* By tables where they are there, else by frame pointers; callers as return addresses. */
static uint32_t
walk(const ucontext_t *uc, uint64_t *pc, uint32_t max)
{
	const struct sn_live_state *live = sn_live();
	struct sn_slot *slot = own_slot();
	struct sn_walk w = { .end = SN_WALK_UNKNOWN };
	uint32_t n = 0;

	if (live != NULL && slot != NULL)
		n = sn_walk_thread(live, slot, &w, uc, pc, max);
	if (n <= 1 && w.end != SN_WALK_COMPLETE)
		n = sn_walk_fp(&w, uc, pc, max);
	for (uint32_t i = 1; i < n; i++)
		pc[i]++;
	return n;
}

/* Where a function was called from, as a signal there would say it. */
static NOINLINE uint32_t
walk_from(const uint64_t *frame, uint64_t *pc, uint32_t max)
{
	ucontext_t at = { 0 };

#if defined(__x86_64__)
	at.uc_mcontext.gregs[REG_RIP] = (greg_t)frame[1];
	at.uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)(frame + 2);
	at.uc_mcontext.gregs[REG_RBP] = (greg_t)frame[0];
#else
	at.uc_mcontext.pc = frame[1];
	at.uc_mcontext.sp = (uint64_t)(uintptr_t)(frame + 2);
	at.uc_mcontext.regs[SN_REG_FP] = frame[0];
#endif
	return walk(&at, pc, max);
}

/*
 * For handlers of SIGPROF, whose stack may be small: nothing but the walk of the handler is used.  From the
 * context on if there is one; skip_count frames of the caller's own are left out where there is none.
 */
int
ProfilerGetStackTrace(void **result, int max_depth, int skip_count, const void *uc)
{
	uint64_t *pc = (uint64_t *)(void *)result;	/* the same size */
	uint32_t n, skip = uc == NULL && skip_count > 0 ? (uint32_t)skip_count : 0;

	if (max_depth <= 0)
		return 0;
	n = uc != NULL ? walk(uc, pc, (uint32_t)max_depth) :
		walk_from(__builtin_frame_address(0), pc, (uint32_t)max_depth);
	if (skip >= n)
		return 0;
	memmove(pc, pc + skip, (n - skip) * sizeof(*pc));
	return (int)(n - skip);
}

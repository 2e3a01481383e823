/* SPDX-License-Identifier: Apache-2.0
 *
 * control.c - the profiler's life in the program: which way it starts, new threads, fork.
 *
 * Runs in:  constructor, application threads, atfork child.
 * Memory:   static state; the live page (MADV_WIPEONFORK) and the segment are mappings that
 *           last as long as the process.
 * When anything fails, the program runs unprofiled; the reason goes to SONDE_LOG.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/options.h"
#include "base/syscall.h"
#include "base/trial.h"
#include "control/gperf.h"
#include "control/internal.h"
#include "hot/hot.h"
#include "segment/handshake.h"
#include "source/source.h"

#define DESCRIPTORS_FEW	64
#define STACK_MARGIN	(16u << 10)
#define GROW_WAIT_NS	(SN_NS_PER_SEC / 50)
#define GROW_WAIT_MAX_NS SN_NS_PER_SEC

static struct {
	char socket[108];		/* of the collector */
	struct sn_live_state state;
	struct sn_slot_own *own;	/* mapped once, for own_slots of them */
	uint32_t own_slots;
	pthread_key_t key;		/* its destructor is the end of a thread; value: slot + 1 */
	bool active;			/* in this process or, after fork, in the parent */
	bool prepared;
	uint32_t growing;		/* a thread is mapping more rings */
	uint64_t grow_after_ns;		/* it failed: not again before this, */
	uint64_t grow_wait_ns;		/* … so long after it */
	uint64_t stack_bytes;		/* of a thread whose creator did not say */
} control;

/* The stack of the calling thread; a forked child goes on with it. */
static __thread struct {
	uint64_t lo, hi;
} own_stack __attribute__((tls_model("initial-exec")));

/*
 * glibc gives threads the stack size that was the limit when the program began, whatever becomes of
 * the limit later.  A size that is too large would take a guard page for stack.
 */
static void
find_stack_size(void)
{
	pthread_attr_t attr;
	size_t bytes = 0;

	if (pthread_getattr_default_np(&attr) == 0) {
		(void)pthread_attr_getstacksize(&attr, &bytes);
		(void)pthread_attr_destroy(&attr);
	}
	control.stack_bytes = bytes;
}

static uint64_t
stack_size(const pthread_attr_t *attr)
{
	size_t bytes = 0;

	if (attr == NULL || pthread_attr_getstacksize(attr, &bytes) != 0 || bytes == 0)
		bytes = control.stack_bytes;
	/* The lowest pages may be the guard: who is down there is probed for. */
	return bytes > 4 * STACK_MARGIN ? bytes - STACK_MARGIN : bytes;
}

static void
thread_ended(void *value)
{
	struct sn_live_state *live = sn_live();
	uint32_t slot = (uint32_t)(uintptr_t)value - 1;

	if (!sn_control_is_sealed() && live != NULL && slot < live->segment.nslots &&
	    live->segment.slots[slot].tid == (int32_t)sn_syscall0(SYS_gettid))
		sn_thread_detach(live, slot);
	sn_inside_thread_ends();
}

static void *
thread_main(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg;
	struct sn_slot_own s = control.own[slot];
	struct sn_live_state *live = sn_live();
	uint64_t hi = (uint64_t)pthread_self();	/* glibc: the descriptor lies right above the stack */

	if (live != NULL) {
		struct sn_slot *sl = &live->segment.slots[slot];

		(void)pthread_setspecific(control.key, (void *)(uintptr_t)(slot + 1));
		own_stack.hi = hi;
		own_stack.lo = hi - sl->stack_lo;
		sn_thread_attach(live, slot, (uint64_t)(uintptr_t)s.start, own_stack.lo, hi, false);
	}
	return s.start(s.start_arg);	/* a tail call: the program's frame stands where it would without us */
}

struct sn_live_state *
sn_control_state(void)
{
	return &control.state;
}

static int
map_more(struct sn_segment *s)
{
	return sn_inside_has_segment() ? sn_memory_more(s) : sn_connect_more(control.socket, s);
}

uint32_t
sn_control_claim_slot(struct sn_live_state *live)
{
	uint32_t slot = sn_slot_claim(&live->segment);
	uint32_t idle = 0;

	if (slot != SN_NO_SLOT || live->segment.shared->pid_inside != (uint64_t)sn_syscall0(SYS_getpid))
		return slot;
	/* One maps, the others wait for it: a moment, unless it is held up; then they go unsampled. */
	for (int i = 0; !SN_CAS_ACQ_REL(&control.growing, &idle, 1u); i++, idle = 0) {
		if (i == 1000)
			return sn_slot_claim(&live->segment);
		(void)sn_syscall0(SYS_sched_yield);
	}
	slot = sn_slot_claim(&live->segment);
	/* A collector that hangs must not hold up each new thread; one that was kept from running is asked again. */
	if (slot == SN_NO_SLOT && sn_clock_mono_ns() >= control.grow_after_ns) {
		if (map_more(&live->segment) == 0) {
			slot = sn_slot_claim(&live->segment);
			control.grow_wait_ns = 0;
		} else {
			control.grow_wait_ns = control.grow_wait_ns < GROW_WAIT_MAX_NS ?
				2 * control.grow_wait_ns + GROW_WAIT_NS : GROW_WAIT_MAX_NS;
			control.grow_after_ns = sn_clock_mono_ns() + control.grow_wait_ns;
		}
	}
	SN_STORE_RELEASE(&control.growing, 0u);
	return slot;
}

int
sn_control_create_thread(sn_create_fn *real, pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
	void *arg)
{
	struct sn_live_state *live = sn_live();
	uint32_t slot = SN_NO_SLOT;
	int err;

	if (sn_control_is_sealed())
		return real(thread, attr, fn, arg);	/* the collector inside sees it, and arms it from there */
	if (live == NULL && sn_lazy_join())
		live = sn_live();
	sn_signals_recheck();
	if (live != NULL)
		slot = sn_control_claim_slot(live);

	if (slot >= control.own_slots) {
		if (slot != SN_NO_SLOT)
			sn_slot_release(&live->segment, slot);
		return real(thread, attr, fn, arg);
	}
	live->segment.slots[slot].stack_lo = stack_size(attr);	/* the thread knows its top and subtracts */
	control.own[slot].start = fn;
	control.own[slot].start_arg = arg;
	sn_inside_thread_begins();
	err = real(thread, attr, thread_main, (void *)(uintptr_t)slot);
	if (err != 0) {
		sn_inside_thread_ends();	/* never the last: its creator lives */
		sn_slot_release(&live->segment, slot);
	}
	return err;
}

/* The stack of a thread that was there before us and says so itself. */
static void
find_own_stack(void)
{
	pthread_attr_t attr;
	size_t bytes = 0;
	void *lo = NULL;

	if (own_stack.hi != 0 || pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	if (pthread_attr_getstack(&attr, &lo, &bytes) == 0) {
		own_stack.lo = (uint64_t)(uintptr_t)lo;
		own_stack.hi = own_stack.lo + bytes;
	}
	(void)pthread_attr_destroy(&attr);
}

/*
 * Private, never in the segment; without it threads go unsampled.  A forked child has its parent's, wiped.  Raw: this
 * may be a handler.
 */
static void
map_own(uint32_t nslots)
{
	uint64_t bytes = ((uint64_t)nslots * sizeof(*control.own) + SN_PAGE - 1) & ~(uint64_t)(SN_PAGE - 1);
	long at;

	if (control.own_slots < nslots) {
		at = sn_syscall6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at < 0 && at >= -4095) {
			control.own_slots = 0;	/* what there is is too small, and stays unused */
			return;
		}
		(void)sn_syscall3(SYS_madvise, at, bytes, MADV_WIPEONFORK);
		control.own = (struct sn_slot_own *)at;
		control.own_slots = nslots;
	}
	SN_STORE_RELEASE(&sn_live_page->own, control.own);
}

/* Everything is mapped: from here on hooks and handler work.  The caller's slot, or SN_NO_SLOT. */
static uint32_t
go_live(bool is_fork)
{
	struct sn_live_state *live = &control.state;
	pid_t pid = (pid_t)sn_syscall0(SYS_getpid);
	bool is_main = is_fork || pid == (pid_t)sn_syscall0(SYS_gettid);
	uint32_t slot;

	live->options = live->segment.header->options;
	SN_STORE_RELAXED(&live->segment.shared->pid_inside, (uint64_t)pid);
	if (!is_fork)			/* without /proc modules stay unknown, and show so */
		(void)sn_snapshot_maps(&live->segment, false);
	sn_segment_fill_free_list(&live->segment);
	map_own(live->segment.nslots);
	sn_newest_cookie = live->segment.cookie;
	control.active = true;
	sn_engine_begin(live);
	SN_STORE_RELEASE(&sn_live_page->state, live);
	sn_frames_begin();

	slot = sn_slot_claim(&live->segment);
	if (slot == SN_NO_SLOT)
		return slot;
	(void)pthread_setspecific(control.key, (void *)(uintptr_t)(slot + 1));
	/* A forked child's one thread is a copy of the one that called fork, on the same stack. */
	sn_thread_attach(live, slot, is_main ? getauxval(AT_ENTRY) : 0, own_stack.lo, own_stack.hi, is_main);
	return slot;
}

uint32_t
sn_control_join_parent(void)
{
	uint64_t parent = (uint64_t)control.state.segment.cookie;
	struct sn_segment_kin *inherited = control.state.segment.kin;

	control.active = sn_connect(control.socket, SN_HELLO_FORK, parent, &control.state.segment) == 0;
	if (!control.active)
		return SN_NO_SLOT;
	if (inherited != NULL)
		(void)sn_syscall2(SYS_munmap, inherited, SN_PAGE);
	return go_live(true);
}

static void
before_fork(void)
{
	if (!sn_control_is_sealed())
		sn_inside_before_fork();
}

static void
after_fork_in_parent(void)
{
	if (!sn_control_is_sealed())
		sn_inside_after_fork(false);
}

static void
after_fork_in_child(void)
{
	sn_frames_forked();
	if (!sn_control_is_sealed())
		sn_signals_forked();
	sn_inside_after_fork(true);
	sn_filter_forked();
	if (sn_control_is_sealed())
		return;			/* the filter is the child's as well */
	sn_lazy_forget();
	if (!control.active || sn_live() != NULL)
		return;
	control.growing = 0;
	control.grow_after_ns = control.grow_wait_ns = 0;
	/* A value that is no slot: the thread's place for the key is there when the handler needs it. */
	(void)pthread_setspecific(control.key, (void *)UINTPTR_MAX);
	if (!sn_family_settles() && sn_lazy_begin(&control.state.options) < 0)
		(void)sn_control_join_parent();
}

static int
map_live_page(void)
{
	size_t bytes = (sizeof(struct sn_live_page) + SN_PAGE - 1) & ~(size_t)(SN_PAGE - 1);
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	if (madvise(page, bytes, MADV_WIPEONFORK) < 0) {
		int err = -errno;

		(void)munmap(page, bytes);
		return err;
	}
	sn_live_page = page;
	return 0;
}

bool
sn_control_admits(const struct sn_options *o)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *base;

	if (n <= 0)
		return o->only == NULL;		/* a name that cannot be read is one that nobody named */
	exe[n] = '\0';
	base = strrchr(exe, '/');
	return sn_only_admits(o->only, base != NULL ? base + 1 : exe) != 0;
}

int
sn_control_prepare(void)
{
	int err;

	if (control.prepared)
		return 0;
	find_stack_size();
	err = map_live_page();
	if (err == 0)
		err = -pthread_key_create(&control.key, thread_ended);
	if (err == 0)
		err = -pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	control.prepared = err == 0;
	return err;
}

int
sn_control_go_live(void)
{
	int err = sn_signals_install((int)control.state.segment.header->options.signal);

	if (err < 0)
		return err;
	find_own_stack();
	sn_stack_vm_reads = !sn_trial_is_filtered();
	go_live(false);
	return 0;
}

void
sn_control_leave_guest(void)
{
	struct sn_live_state *live = sn_live();

	sn_lazy_forget();
	control.active = false;
	if (live == NULL)
		return;
	sn_threads_set_sampling(live, false);
	live->segment.kin = NULL;		/* its time so far is in its own profile */
	SN_STORE_RELEASE(&sn_live_page->state, NULL);
	(void)pthread_setspecific(control.key, NULL);
	if (sn_inside_threads() == 1)		/* else another thread may be in it: it stays mapped */
		sn_memory_release(&live->segment);
}

bool
sn_control_is_guest(void)
{
	return sn_live() != NULL && !sn_inside_has_segment();
}

void
sn_control_set_socket(const char *name)
{
	(void)strncpy(control.socket, name, sizeof(control.socket) - 1);
}

const char *
sn_control_collector(void)
{
	return sn_inside_has_segment() ? sn_inside_await_socket() : sn_live() != NULL ? control.socket : "";
}

static int
start_outside(const char *socket)
{
	int err = sn_control_prepare();

	if (err < 0)
		return err;
	sn_control_set_socket(socket);
	err = sn_connect(control.socket, SN_HELLO_EXEC, 0, &control.state.segment);
	if (err == 0)
		err = sn_control_go_live();
	if (err == 0)
		sn_threads_adopt(&control.state, (pid_t)sn_syscall0(SYS_gettid));
	return err;
}

/* A filter from before us may kill for what we do, or refuse it: then nothing is begun, and the reason is told. */
static int
try_filter(bool is_guest, char *why, size_t size)
{
	return sn_trial_is_filtered() ? sn_trial_run(is_guest ? SN_TRIAL_GUEST : SN_TRIAL_HOST, why, size) : 0;
}

/* The collector may well not start: then it is worth waiting for, to say so. */
static bool
is_short_of_descriptors(void)
{
	struct rlimit rl;

	return getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < DESCRIPTORS_FEW;
}

/* A folder where no file can be made is told of now; at the end nobody could be told. */
static void
check_file(const char *file)
{
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	char folder[PATH_MAX], line[PATH_MAX + 100];
	long err;

	if (file == NULL || strlen(file) >= sizeof(folder))
		return;
	(void)snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash + 1 - file) : 1,
		slash != NULL ? file : ".");
	if (strchr(folder, '%') != NULL)
		return;				/* it has another name */
	err = sn_syscall3(SYS_faccessat, AT_FDCWD, folder, W_OK);
	if (err < 0) {
		(void)snprintf(line, sizeof(line), "SONDE_FILE cannot be written in %s: %s", folder,
			strerror((int)-err));
		if (err == -EROFS)
			sn_env_complain(line);
		else			/* the program may well become the user who can */
			sn_log(SN_LOG_FILE, "%s", line);
	}
}

/* Nobody is told where a collector has gone: its programs outlive it, and their children begin without one. */
static void
tell_unprofiled(int err, const char *why)
{
	char line[300];

	(void)snprintf(line, sizeof(line), "process %d runs unprofiled: %s", (int)getpid(),
		*why != '\0' ? why : strerror(-err));
	if (err == -ECONNREFUSED || err == -ETIMEDOUT || err == -ECONNRESET)
		sn_log(SN_LOG_FILE, "%s", line);
	else
		sn_env_complain(line);
}

static void
find_main_stack(char **argv)
{
	uint64_t size = control.stack_bytes;
	struct rlimit rl;

	if (getrlimit(RLIMIT_STACK, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY)
		size = rl.rlim_cur;
	own_stack.hi = (uint64_t)(uintptr_t)argv;	/* the first frames lie right below argv */
	own_stack.lo = own_stack.hi > size ? own_stack.hi - size : 0;
}

void
sn_control_start(char **argv, char **envp)
{
	const char *socket = sn_env_find(envp, SN_ENV_COLLECTOR);
	struct sn_complaint why;
	struct sigaction was;
	struct sn_options o;
	int err;

	(void)sn_real_sigaction(SIGCHLD, NULL, &was);	/* looked up now: later it must be signal-safe */
	if ((socket == NULL && !sn_env_asks_for_us(envp) && !sn_gperf_env()->asked) || getauxval(AT_SECURE) != 0)
		return;			/* nobody asked: nothing is sampled */
	if (socket != NULL) {
		sn_options_default(&o);
		err = sn_options_from_env(&o, envp, NULL, &why);	/* `sonde run` told the user already */
		(void)sn_log_open(o.log);
	} else {
		err = sn_env_read(envp, &o);
		if (err == 0 && o.mode != SN_MODE_OFF)
			sn_gperf_set_options(envp, &o);
	}
	if (err < 0 || o.mode == SN_MODE_OFF || !sn_control_admits(&o))
		return;
	find_stack_size();
	find_main_stack(argv);
	why.text[0] = '\0';
	err = try_filter(socket != NULL, why.text, sizeof(why.text));
	if (err == 0)
		err = socket != NULL ? start_outside(socket) : sn_inside_start(&o);
	if (err == 0 && socket == NULL)
		sn_gperf_started(&o);
	if (err == 0 && socket != NULL)
		sn_ends_begin(&o, false);
	if (err == 0 && socket == NULL && (o.http != NULL || is_short_of_descriptors()) &&
	    *sn_inside_complaint() != '\0')
		sn_env_complain(sn_inside_complaint());
	else if (err == 0 && socket == NULL)
		check_file(o.file);
	if (err < 0)
		tell_unprofiled(err, why.text);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * control.c - the profiler's life in the program: start, new threads, fork.
 *
 * Runs in:  constructor, application threads, atfork child.
 * Memory:   static state; the live page (MADV_WIPEONFORK) and the segment are mappings that
 *           last as long as the process.
 * When anything fails, the program runs unprofiled; the reason goes to SONDE_LOG.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/log.h"
#include "base/options.h"
#include "base/syscall.h"
#include "control/control.h"
#include "segment/handshake.h"
#include "source/source.h"

/* Start routines on their way to their thread, one a slot: private, never in the segment. */
struct start {
	void *(*fn)(void *);
	void *arg;
};

static struct {
	char socket[108];		/* of the collector */
	struct sn_live_state state;
	struct start start[SN_SLOTS_DEFAULT];
	pthread_key_t key;		/* its destructor is the end of a thread; value: slot + 1 */
	bool active;			/* in this process or, after fork, in the parent */
	uint64_t main_lo, main_hi;
} control;

/* The bounds of the stack that a thread runs on: its descriptor lies right above it (glibc). */
static void
stack_bounds(const pthread_attr_t *attr, uint64_t *size)
{
	size_t bytes = 0;
	struct rlimit rl;

	if (attr != NULL)
		(void)pthread_attr_getstacksize(attr, &bytes);
	if (bytes == 0 && getrlimit(RLIMIT_STACK, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY)
		bytes = rl.rlim_cur;
	*size = bytes != 0 ? bytes : 8u << 20;
}

static void
thread_ended(void *value)
{
	struct sn_live_state *live = sn_live();
	uint32_t slot = (uint32_t)(uintptr_t)value - 1;

	if (live != NULL && slot < live->segment.nslots &&
	    live->segment.slots[slot].tid == (int32_t)sn_syscall0(SYS_gettid))
		sn_thread_detach(live, slot);
}

static void *
thread_main(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg;
	struct start s = control.start[slot];
	struct sn_live_state *live = sn_live();
	uint64_t hi = (uint64_t)pthread_self();

	if (live != NULL) {
		struct sn_slot *sl = &live->segment.slots[slot];

		(void)pthread_setspecific(control.key, (void *)(uintptr_t)(slot + 1));
		sn_thread_attach(live, slot, (uint64_t)(uintptr_t)s.fn, hi - sl->stack_lo, hi, false);
	}
	return s.fn(s.arg);		/* a tail call: the program's frame stands where it would without us */
}

int
sn_control_create_thread(sn_create_fn *real, pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
	void *arg)
{
	struct sn_live_state *live = sn_live();
	uint32_t slot = live != NULL ? sn_slot_claim(&live->segment) : SN_NO_SLOT;
	uint64_t size;
	int err;

	if (slot >= SN_SLOTS_DEFAULT) {
		if (slot != SN_NO_SLOT)
			sn_slot_release(&live->segment, slot);
		return real(thread, attr, fn, arg);
	}
	stack_bounds(attr, &size);
	live->segment.slots[slot].stack_lo = size;	/* made a bound by the thread itself, which knows its top */
	control.start[slot] = (struct start){ fn, arg };
	err = real(thread, attr, thread_main, (void *)(uintptr_t)slot);
	if (err != 0)
		sn_slot_release(&live->segment, slot);
	return err;
}

/* Everything is mapped: from here on hooks and handler work. */
static void
go_live(bool is_fork)
{
	struct sn_live_state *live = &control.state;
	uint32_t slot;

	live->options = live->segment.header->options;
	SN_STORE_RELAXED(&live->segment.shared->pid_inside, (uint64_t)sn_syscall0(SYS_getpid));
	if (!is_fork)			/* without /proc modules stay unknown, and show so */
		(void)sn_snapshot_maps(&live->segment, false);
	sn_segment_fill_free_list(&live->segment);
	sn_newest_cookie = live->segment.cookie;
	control.active = true;
	SN_STORE_RELEASE(&sn_live_page->state, live);

	slot = sn_slot_claim(&live->segment);
	if (slot == SN_NO_SLOT)
		return;
	(void)pthread_setspecific(control.key, (void *)(uintptr_t)(slot + 1));
	if (is_fork) {
		/* The child's one thread is a copy of the one that called fork, on the same stack. */
		uint64_t sp = (uint64_t)(uintptr_t)__builtin_frame_address(0);
		bool on_main = sp >= control.main_lo && sp < control.main_hi;
		uint64_t hi = on_main ? control.main_hi : (uint64_t)pthread_self();
		uint64_t lo = on_main ? control.main_lo : hi - (8u << 20);

		sn_thread_attach(live, slot, getauxval(AT_ENTRY), lo, hi, true);
	} else {
		sn_thread_attach(live, slot, getauxval(AT_ENTRY), control.main_lo, control.main_hi, true);
	}
}

static void
after_fork_in_child(void)
{
	uint64_t parent = (uint64_t)control.state.segment.cookie;

	if (!control.active || sn_live() != NULL)
		return;
	control.active = false;
	(void)pthread_setspecific(control.key, NULL);
	if (sn_connect(control.socket, SN_HELLO_FORK, parent, &control.state.segment) == 0)
		go_live(true);
}

static int
install_handler(int signal)
{
	struct sigaction sa = { .sa_sigaction = sn_handler, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };

	/* All signals wait: a handler of the program that jumps away must not leave a record half written. */
	(void)sigfillset(&sa.sa_mask);
	return sn_real_sigaction(signal, &sa, &sn_foreign_action[0]) < 0 ? -errno : 0;
}

static int
map_live_page(void)
{
	void *page = mmap(NULL, SN_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	if (madvise(page, SN_PAGE, MADV_WIPEONFORK) < 0) {
		int err = -errno;

		(void)munmap(page, SN_PAGE);
		return err;
	}
	sn_live_page = page;
	return 0;
}

/* Is this a program that SONDE_ONLY wants?  A name that cannot be read is one that nobody named. */
static bool
is_admitted(const struct sn_options *o)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *base;

	if (n <= 0)
		return o->only == NULL;
	exe[n] = '\0';
	base = strrchr(exe, '/');
	return sn_only_admits(o->only, base != NULL ? base + 1 : exe) != 0;
}

static int
join(const char *socket)
{
	int err = map_live_page();

	if (err == 0)
		err = -pthread_key_create(&control.key, thread_ended);
	if (err == 0)
		err = -pthread_atfork(NULL, NULL, after_fork_in_child);
	if (err < 0)
		return err;
	(void)strncpy(control.socket, socket, sizeof(control.socket) - 1);
	err = sn_connect(control.socket, SN_HELLO_EXEC, 0, &control.state.segment);
	if (err == 0)
		err = install_handler((int)control.state.segment.header->options.signal);
	if (err < 0)
		return err;
	go_live(false);
	if (!control.state.options.idle)
		sn_threads_adopt(&control.state, (pid_t)sn_syscall0(SYS_gettid));
	return 0;
}

static const char *
find_variable(char **envp, const char *name)
{
	size_t len = strlen(name);

	for (; envp != NULL && *envp != NULL; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

static void
find_main_stack(char **argv)
{
	uint64_t size;

	stack_bounds(NULL, &size);
	control.main_hi = (uint64_t)(uintptr_t)argv;	/* the first frames lie right below argv */
	control.main_lo = control.main_hi > size ? control.main_hi - size : 0;
}

void
sn_control_start(char **argv, char **envp)
{
	const char *socket = find_variable(envp, SN_ENV_COLLECTOR);
	struct sn_complaint why;
	struct sn_options o;
	int err;

	if (socket == NULL || *socket == '\0' || getauxval(AT_SECURE) != 0)
		return;			/* nobody collects: nothing is sampled */
	sn_options_default(&o);
	err = sn_options_from_env(&o, envp, NULL, &why);	/* `sonde run` told the user already */
	(void)sn_log_open(o.log);
	if (err < 0 || o.mode == SN_MODE_OFF || !is_admitted(&o))
		return;
	find_main_stack(argv);
	err = join(socket);
	if (err < 0)
		sn_log(SN_LOG_FILE, "process %d runs unprofiled: %s", (int)getpid(), strerror(-err));
}

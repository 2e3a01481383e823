/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind.c - the walks of a stack from a signal handler beside each other: time hot and cold, stack used, system calls.
 *
 * Usage:    unwind time            rows `hot|cold METHOD CALLS FRAMES NANOSECONDS`
 *           unwind stack           rows `stack METHOD BYTES` beyond what a handler that does nothing uses
 *           unwind calls METHOD N  N signals between two getppid(), for strace
 * Cold:     64 MiB are read before each signal: what a program at 100 Hz finds.
 * libunwind starts from the ucontext (UNW_INIT_SIGNAL_FRAME); libgcc's comes by dlopen: libunwind has that name too.
 */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/clock.h"
#include "collect/table_self.h"
#include "hot/hot.h"
#include "hot/walk.h"

#define SIGNAL		SIGURG
#define FLUSH_BYTES	(64u << 20)
#define FRAMES_MAX	512u
#define SHOTS		25u
#define HOT_WALKS	32u
#define ALT_BYTES	(512u << 10)
#define PAINT		0xa5u
#define COOKIE		77u

typedef int trace_fn(void *context, void *arg);
typedef int backtrace_fn(trace_fn *fn, void *arg);

enum method { NOTHING, TABLE, FP, PUSH, STEP, FAST, LIBGCC, METHODS };
static const char *const names[METHODS] = {
	"nothing", "table", "fp", "push", "unw_step", "unw_backtrace", "_Unwind_Backtrace",
};

static struct {
	enum method method;
	bool is_cold;
	struct sn_live_page page;
	struct sn_live_state live;
	backtrace_fn *libgcc;
	uint64_t frames[FRAMES_MAX];
	void *pointers[FRAMES_MAX];
	uint32_t count;
	uint64_t ns;
	volatile uint8_t *flush;
	uint8_t *alt;
	pid_t self;			/* process and thread: the first one */
} job;

static void
die(const char *what, int err)
{
	(void)fprintf(stderr, "%s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static void
flush_caches(void)
{
	for (uint32_t i = 0; i < FLUSH_BYTES; i += 64)
		(void)job.flush[i];
}

static void
by_tables(const ucontext_t *uc, uint32_t way)
{
	struct sn_walk w = { 0 };

	job.live.options.way = way;
	job.count = sn_walk_thread(&job.live, job.live.segment.slots, &w, uc, job.frames, FRAMES_MAX);
}

static void
push(const ucontext_t *uc)
{
	struct sn_slot *sl = job.live.segment.slots;

	job.live.options.way = SN_WAY_TABLE;
	sn_cpu_tick(&job.live, 0, 0, uc);
	sl->head = sl->resv;			/* as if the collector had read it */
}

static void
by_steps(void *uc)
{
	unw_cursor_t c;
	unw_word_t pc;
	uint32_t n = 0;

	if (unw_init_local2(&c, uc, UNW_INIT_SIGNAL_FRAME) != 0)
		return;
	do {
		(void)unw_get_reg(&c, UNW_REG_IP, &pc);
		job.frames[n++] = pc;
	} while (n < FRAMES_MAX && unw_step(&c) > 0);
	job.count = n;
}

static int
count_one(void *context, void *arg)
{
	(void)context;
	(void)arg;
	job.count++;
	return 0;
}

static void
walk(void *uc)
{
	switch (job.method) {
	case TABLE: by_tables(uc, SN_WAY_TABLE_ONLY); break;
	case FP: by_tables(uc, SN_WAY_FP); break;
	case PUSH: push(uc); break;
	case STEP: by_steps(uc); break;
	case FAST: job.count = (uint32_t)unw_backtrace(job.pointers, FRAMES_MAX); break;
	case LIBGCC:
		job.count = 0;
		(void)job.libgcc(count_one, NULL);
		break;
	default: break;
	}
}

static void
on_signal(int sig, siginfo_t *si, void *uc)
{
	unsigned turns = job.is_cold ? 1 : HOT_WALKS;
	uint64_t began;

	(void)sig;
	(void)si;
	began = sn_clock_mono_ns();
	for (unsigned i = 0; i < turns; i++)
		walk(uc);
	job.ns = (sn_clock_mono_ns() - began) / turns;
}

static void
on_signal_once(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)si;
	walk(uc);
}

static void
install(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART | flags };

	if (sigaction(SIGNAL, &sa, NULL) < 0)
		die("sigaction", errno);
}

/* As a timer of ours would send it: sn_handler takes it as such. */
static void
raise_it(void)
{
	siginfo_t si = { .si_signo = SIGNAL, .si_code = SI_TIMER };

	si.si_value.sival_ptr = (void *)(uintptr_t)((uint64_t)COOKIE << 32);
	if (syscall(SYS_rt_tgsigqueueinfo, job.self, job.self, SIGNAL, &si) < 0)
		die("rt_tgsigqueueinfo", errno);
}

/* ---- time ---- */

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* By turns: what disturbs this machine disturbs all of them. */
static void
time_all(unsigned calls, bool is_cold)
{
	static uint64_t ns[METHODS][SHOTS];
	static uint32_t count[METHODS];

	job.is_cold = is_cold;
	for (unsigned i = 0; i < SHOTS; i++)
		for (unsigned m = TABLE; m < METHODS; m++) {
			job.method = m;
			if (is_cold)
				flush_caches();
			raise_it();
			ns[m][i] = job.ns;
			count[m] = job.count;
		}
	for (unsigned m = TABLE; m < METHODS; m++) {
		qsort(ns[m], SHOTS, sizeof(ns[m][0]), by_value);
		(void)printf("%s %s %u %u %llu\n", is_cold ? "cold" : "hot", names[m], calls, count[m],
			(unsigned long long)ns[m][SHOTS / 2]);
	}
}

static void
time_them(unsigned calls)
{
	time_all(calls, false);
	time_all(calls, true);
}

static __attribute__((noinline)) unsigned
descend(unsigned calls, unsigned left, void (*then)(unsigned calls))
{
	unsigned r = calls;

	if (left == 0)
		then(calls);
	else
		r += descend(calls, left - 1, then);
	__asm__ volatile("" ::: "memory");
	return r;
}

/* ---- stack ---- */

/* How far down the alternate stack a handler came. */
static size_t
stack_used(void)
{
	size_t at = 0;

	memset(job.alt, PAINT, ALT_BYTES);
	raise_it();
	while (at < ALT_BYTES && job.alt[at] == PAINT)
		at++;
	return ALT_BYTES - at;
}

static void
stack_of_them(unsigned calls)
{
	size_t nothing, first;

	(void)calls;
	install(on_signal_once, SA_ONSTACK);
	job.method = NOTHING;
	nothing = stack_used();
	(void)printf("stack frame-of-the-kernel %zu\n", nothing);
	for (unsigned m = TABLE; m < METHODS; m++) {
		job.method = m;
		first = stack_used();
		(void)printf("stack %s %zd first %zd\n", names[m], (ssize_t)(stack_used() - nothing),
			(ssize_t)(first - nothing));
	}
	install(sn_handler, SA_ONSTACK);
	job.live.options.way = SN_WAY_TABLE;
	job.live.segment.slots[0].signals = 0;
	(void)printf("stack sn_handler %zd", (ssize_t)(stack_used() - nothing));
	(void)printf(" signals %llu\n", (unsigned long long)job.live.segment.slots[0].signals);
}

/* ---- system calls ---- */

static unsigned shots;

static void
signals_only(unsigned calls)
{
	(void)calls;
	raise_it();			/* what happens once only */
	(void)syscall(SYS_getppid);
	for (unsigned i = 0; i < shots; i++)
		raise_it();
	(void)syscall(SYS_getppid);
}

/* ---- ---- */

static void
make_live(const struct sn_self_tables *t)
{
	static const struct sn_segment_options options = { .period_ns = 4000000, .tick_ns = 4000000, .hz = 250,
		.depth = FRAMES_MAX, .way = SN_WAY_TABLE };
	struct sn_segment *s = &job.live.segment;
	uint64_t bytes = sn_segment_size(1, SN_RING_FRAMES);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	size_t size;
	void *low;

	if (at == MAP_FAILED)
		die("mmap", errno);
	sn_segment_format(at, 1, SN_RING_FRAMES, COOKIE, &options);
	if (sn_segment_open(s, at, bytes) < 0)
		die("segment", EPROTO);
	job.live.options = options;
	memcpy(s->texts, t->map, sizeof(*s->texts));
	s->tables = t->tables;
	s->tables_bytes = t->tables_bytes;
	s->shared->text_map = 1;
	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		die("pthread_getattr_np", EINVAL);
	(void)pthread_attr_getstack(&attr, &low, &size);
	(void)pthread_attr_destroy(&attr);
	s->slots[0].stack_lo = (uint64_t)(uintptr_t)low;
	s->slots[0].stack_hi = (uint64_t)(uintptr_t)low + size;
	s->slots[0].state = SN_SLOT_ARMED;
	job.page.state = &job.live;
	sn_live_page = &job.page;
	sn_newest_cookie = COOKIE;
}

int
main(int argc, char **argv)
{
	static const unsigned depths[] = { 8, 32, 128 };
	struct sn_self_tables t;
	void *gcc = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
	int err;

	job.flush = mmap(NULL, FLUSH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	job.alt = mmap(NULL, ALT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	job.libgcc = gcc != NULL ? (backtrace_fn *)dlsym(gcc, "_Unwind_Backtrace") : NULL;
	if (job.flush == MAP_FAILED || job.alt == MAP_FAILED || job.libgcc == NULL)
		die("memory or libgcc_s", ENOMEM);
	memset((void *)(uintptr_t)job.flush, 1, FLUSH_BYTES);	/* not one page of zeros for all */
	job.self = getpid();
	err = sn_text_map_of_self(&t);
	if (err < 0)
		die("tables", err);
	make_live(&t);
	if (argc > 3 && strcmp(argv[1], "calls") == 0) {
		for (unsigned m = 0; m < METHODS; m++)
			if (strcmp(argv[2], names[m]) == 0)
				job.method = m;
		shots = (unsigned)atoi(argv[3]);
		install(on_signal_once, 0);
		(void)descend(32, 32, signals_only);
	} else if (argc > 1 && strcmp(argv[1], "stack") == 0) {
		stack_t ss = { .ss_sp = job.alt, .ss_size = ALT_BYTES };

		if (sigaltstack(&ss, NULL) < 0)
			die("sigaltstack", errno);
		(void)descend(128, 128, stack_of_them);
	} else if (argc > 1 && strcmp(argv[1], "time") == 0) {
		install(on_signal, 0);
		for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++)
			(void)descend(depths[i], depths[i], time_them);
	} else {
		(void)fprintf(stderr, "usage: unwind time|stack|calls METHOD N\n");
		return 2;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest_sample.c - what one sample costs the thread that it interrupts, by its parts, at several depths.
 *
 * Runs in:  the sonde command: it signals itself at the bottom of a recursion and walks, with the code and the tables
 *           that programs get, in the handler.
 * Hot:      the same walk again and again, everything in the nearest cache.  Cold: caches are flushed before each,
 *           which is what a program at 100 Hz finds.
 */
#include <errno.h>
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
#include "tools/selftest.h"

#define FLUSH_BYTES	(64u << 20)
#define SHOTS		11u		/* signals for one figure */
#define HOT_WALKS	64u		/* in each of them */
#define DELIVERIES	300u
#define RING_BYTES	SN_RING_FRAMES
#define SIGNAL		SIGURG		/* nobody else sends it here */

enum part { NOTHING, WALK, COPY, RING, PUSH };

/* What the handler is to do, and what it found. */
static struct {
	enum part part;
	bool is_cold;
	struct sn_live_state live;
	uint64_t frames[SN_FRAMES_MAX];
	uint8_t copy[SN_COPY_MAX];
	uint32_t count, copied;
	enum sn_walk_end end;
	uint64_t ns;			/* of one */
	volatile uint8_t *flush;
} job;

static void
flush_caches(void)
{
	for (uint32_t i = 0; i < FLUSH_BYTES; i += 64)
		(void)job.flush[i];
}

static void
walk_once(const ucontext_t *uc)
{
	struct sn_walk w = { 0 };

	job.count = sn_walk_thread(&job.live, job.live.segment.slots, &w, uc, job.frames, job.live.options.depth);
	job.end = w.end;
}

/* As push_copy in hot/push.c does it. */
static void
copy_once(const ucontext_t *uc)
{
	uint32_t flags = 0;
#if defined(__x86_64__)
	uint64_t sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
#else
	uint64_t sp = uc->uc_mcontext.sp;
#endif

	job.copied = sn_stack_extent(job.live.segment.slots, sp, uc, &flags);
	memcpy(job.copy, (const void *)(uintptr_t)sp, job.copied);
}

static void
forget_records(void)
{
	struct sn_slot *sl = job.live.segment.slots;

	sl->head = sl->resv;			/* as if the collector had read them */
}

/* The clock twice, and a record reserved, filled and published: what a sample costs beside its walk. */
static void
ring_once(void)
{
	const struct sn_segment *s = &job.live.segment;
	uint64_t began = sn_clock_mono_ns(), word;
	struct sn_rec *r = sn_ring_reserve(s, 0, (uint32_t)(sizeof(*r) + job.live.options.depth * 8), &word);

	if (r != NULL) {
		*r = (struct sn_rec){ .word = word | SN_REC_BUSY, .kind = SN_REC_FRAMES, .time_ns = began };
		sn_ring_trim(s, 0, r, &word, (uint32_t)(sizeof(*r) + job.count * 8));
		sn_ring_publish(r, word);
	}
	s->slots[0].handler_ns += sn_clock_mono_ns() - began;
	forget_records();
}

/* All that the handler does once it has found that a sample is due. */
static void
push_once(const ucontext_t *uc)
{
	(void)sn_push_sample(&job.live, 0, 1, uc);
	forget_records();
}

static void
do_once(const ucontext_t *uc)
{
	switch (job.part) {
	case WALK: walk_once(uc); break;
	case COPY: copy_once(uc); break;
	case RING: ring_once(); break;
	case PUSH: push_once(uc); break;
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
	if (job.part == NOTHING)
		return;
	began = sn_clock_mono_ns();
	for (unsigned i = 0; i < turns; i++)
		do_once(uc);
	job.ns = (sn_clock_mono_ns() - began) / turns;
}

static void
raise_it(int sig)
{
	(void)syscall(SYS_tgkill, getpid(), gettid(), sig);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t
median_of(enum part part, bool is_cold)
{
	uint64_t ns[SHOTS];

	job.part = part;
	job.is_cold = is_cold;
	for (unsigned i = 0; i < SHOTS; i++) {
		if (is_cold)
			flush_caches();
		raise_it(SIGNAL);
		ns[i] = job.ns;
	}
	qsort(ns, SHOTS, sizeof(ns[0]), by_value);
	return ns[SHOTS / 2];
}

/* A handler that does nothing, less the system call that sends it. */
static uint64_t
delivery(void)
{
	uint64_t best = UINT64_MAX;

	job.part = NOTHING;
	for (unsigned k = 0; k < SHOTS; k++) {
		uint64_t t0 = sn_clock_mono_ns(), t1, t2;

		for (unsigned i = 0; i < DELIVERIES; i++)
			raise_it(SIGNAL);
		t1 = sn_clock_mono_ns();
		for (unsigned i = 0; i < DELIVERIES; i++)
			raise_it(0);
		t2 = sn_clock_mono_ns();
		if (t1 - t0 > t2 - t1 && t1 - t0 - (t2 - t1) < best)
			best = t1 - t0 - (t2 - t1);
	}
	return best == UINT64_MAX ? 0 : best / DELIVERIES;
}

static void
measure_way(uint32_t way, unsigned depth, uint64_t sent)
{
	static const char *const ends[] = { "complete", "truncated", "failed", "unknown code" };
	enum part walk = way == SN_WAY_COPY ? COPY : WALK;
	uint64_t hot, ring, push;
	char frames[16] = "-";

	job.live.options.way = way;
	hot = median_of(walk, false);
	ring = median_of(RING, false);
	push = median_of(PUSH, false);
	if (way != SN_WAY_COPY)
		(void)snprintf(frames, sizeof(frames), "%u", job.count);
	(void)printf("  %-8s %6u %7s %9llu %8llu %6llu %8llu %8llu", way == SN_WAY_COPY ? "copied" : "table", depth,
		frames, (unsigned long long)sent, (unsigned long long)hot, (unsigned long long)ring,
		(unsigned long long)push, (unsigned long long)(sent + push));
	(void)printf(" %8llu %8llu", (unsigned long long)median_of(walk, true),
		(unsigned long long)median_of(PUSH, true));
	if (way == SN_WAY_COPY)
		(void)printf("  %u bytes\n", job.copied);
	else
		(void)printf("  %s\n", ends[job.end]);
}

static void
measure(unsigned depth)
{
	uint64_t sent = delivery();

	measure_way(SN_WAY_TABLE, depth, sent);
	measure_way(SN_WAY_COPY, depth, sent);
}

static __attribute__((noinline)) unsigned
descend(unsigned depth, unsigned left)
{
	unsigned r = depth;

	if (left == 0)
		measure(depth);
	else
		r += descend(depth, left - 1);
	__asm__ volatile("" ::: "memory");		/* no tail call: each is to have its frame */
	return r;
}

/* A segment of one slot, in memory of our own, as the collector publishes one. */
static int
make_segment(const struct sn_self_tables *tables)
{
	static const struct sn_segment_options options = { .period_ns = 1000000, .tick_ns = 4000000, .hz = 1000,
		.depth = 512 };
	struct sn_segment *s = &job.live.segment;
	uint64_t bytes = sn_segment_size(1, RING_BYTES);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	sn_segment_format(at, 1, RING_BYTES, 1, &options);
	job.live.options = options;
	err = sn_segment_open(s, at, bytes);
	if (err < 0)
		return err;
	memcpy(s->texts, tables->map, sizeof(*s->texts));
	s->tables = tables->tables;
	s->tables_bytes = tables->tables_bytes;
	s->shared->text_map = 1;
	return 0;
}

static int
note_stack(void)
{
	struct sn_slot *sl = job.live.segment.slots;
	pthread_attr_t attr;
	size_t size;
	void *low;
	int err = pthread_getattr_np(pthread_self(), &attr);

	if (err != 0)
		return -err;
	(void)pthread_attr_getstack(&attr, &low, &size);
	(void)pthread_attr_destroy(&attr);
	sl->stack_lo = (uint64_t)(uintptr_t)low;
	sl->stack_hi = (uint64_t)(uintptr_t)low + size;
	return 0;
}

static int
begin(struct sn_self_tables *tables)
{
	void *flush = mmap(NULL, FLUSH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = flush == MAP_FAILED ? -errno : sn_text_map_of_self(tables);

	job.flush = flush == MAP_FAILED ? NULL : flush;
	if (job.flush != NULL)
		memset(flush, 1, FLUSH_BYTES);		/* not one page of zeros for all */
	if (err == 0)
		err = make_segment(tables);
	return err == 0 ? note_stack() : err;
}

void
sn_section_sample(struct sn_selftest *st)
{
	static const unsigned depths[] = { 8, 32, 128 };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART }, was;
	struct sn_self_tables tables = { 0 };
	int err = begin(&tables);

	(void)printf("\nsample: nanoseconds of one, by its parts, medians\n");
	if (err < 0) {
		sn_selftest_broken(st, "no tables of this program: %s", strerror(-err));
	} else {
		(void)printf("  %-8s %6s %7s %9s %8s %6s %8s %8s %17s\n", "", "", "", "", "", "", "", "in all,",
			"cold caches:");
		(void)printf("  %-8s %6s %7s %9s %8s %6s %8s %8s %8s %8s\n", "unwinder", "calls", "frames", "delivery",
			"unwind", "ring", "handler", "hot", "unwind", "handler");
		(void)sigaction(SIGNAL, &sa, &was);
		for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]) && !sn_selftest_stopped(); i++)
			(void)descend(depths[i], depths[i]);
		(void)sigaction(SIGNAL, &was, NULL);
		(void)printf("  delivery: the signal there and back; ring: two clocks, a record reserved and "
			"published;\n  copied: up to 16 KiB of stack, which the collector unwinds "
			"(--unwind=libunwind)\n");
	}
	if (job.flush != NULL)
		(void)munmap((void *)(uintptr_t)job.flush, FLUSH_BYTES);
	if (job.live.segment.base != NULL)
		(void)munmap(job.live.segment.base, job.live.segment.bytes);
	sn_text_map_free(&tables);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * stacks.c - threads on stacks of every odd kind, and the main thread's.  What it prints depends on nothing but its
 * arguments.
 *
 * Usage:    stacks MODE [CPU_MILLISECONDS]
 *	tiny		threads with PTHREAD_STACK_MIN
 *	own		threads on memory of the program's, between pages that cannot be read
 *	storm		threads that come and go: by return, pthread_exit, pthread_cancel, detached, on stacks that are
 *			unmapped as soon as they are joined
 *	limit		the main thread's, below what the limit was when the program began, and above what it is then
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "burn.h"

#define PAGE 4096u
#define MANY 4

static uint64_t end_ns, slice = 20000;

static NOINLINE uint64_t
burn_on_stack(uint64_t depth)
{
	uint64_t n = depth;

	if (depth > 0) {
		n += burn_on_stack(depth - 1);
		STAY();
		return n;
	}
	BURN(slice);
	return 1;
}

static void *
thread_main(void *rounds)
{
	uint64_t bad = 0;

	for (intptr_t i = 0; i < (intptr_t)rounds; i++)
		bad |= burn_on_stack(10) != 56;
	return (void *)(uintptr_t)bad;
}

/* Returns whether a thread has found something wrong, by the return value of its start routine. */
static int
join(pthread_t t)
{
	void *ret = NULL;

	(void)pthread_join(t, &ret);
	return ret != NULL && ret != PTHREAD_CANCELED;
}

static int
tiny(void)
{
	size_t bytes = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	pthread_attr_t attr;
	pthread_t t;
	int bad = 0;

	(void)pthread_attr_init(&attr);
	if (pthread_attr_setstacksize(&attr, bytes > 16384 ? bytes : 16384) != 0)
		return 77;
	while (process_cpu_ns() < end_ns) {
		if (pthread_create(&t, &attr, thread_main, (void *)100) != 0)
			return 77;
		bad |= join(t);
	}
	return bad;
}

static char *
between_guards(size_t bytes)
{
	char *m = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || mprotect(m + PAGE, bytes, PROT_READ | PROT_WRITE) != 0)
		exit(77);
	return m + PAGE;
}

static int
own(void)
{
	size_t bytes = (size_t)sysconf(_SC_THREAD_STACK_MIN) + 16384;
	char *stack = between_guards(bytes & ~(size_t)(PAGE - 1));
	pthread_attr_t attr;
	pthread_t t;
	int bad = 0;

	(void)pthread_attr_init(&attr);
	if (pthread_attr_setstack(&attr, stack, bytes & ~(size_t)(PAGE - 1)) != 0)
		return 77;
	while (process_cpu_ns() < end_ns) {
		if (pthread_create(&t, &attr, thread_main, (void *)100) != 0)
			return 77;
		bad |= join(t);
	}
	return bad;
}

static volatile uint32_t detached;

static void *
ends_by_exit(void *unused)
{
	(void)unused;
	if (burn_on_stack(5) != 16)
		exit(1);
	pthread_exit(NULL);
}

static void *
waits_for_cancel(void *unused)
{
	(void)unused;
	for (;;) {
		if (burn_on_stack(5) != 16)
			exit(1);
		pthread_testcancel();
	}
	return NULL;
}

static void *
ends_detached(void *unused)
{
	(void)unused;
	if (burn_on_stack(5) != 16)
		exit(1);
	(void)__atomic_sub_fetch(&detached, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void
one_of_each(void)
{
	size_t bytes = 64 << 10;
	char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t a, b, c, d;
	pthread_attr_t attr;

	(void)pthread_attr_init(&attr);
	if (stack == MAP_FAILED || pthread_attr_setstack(&attr, stack, bytes) != 0 ||
	    pthread_create(&a, &attr, thread_main, (void *)1) != 0 ||
	    pthread_create(&b, NULL, ends_by_exit, NULL) != 0 ||
	    pthread_create(&c, NULL, waits_for_cancel, NULL) != 0)
		exit(77);
	(void)__atomic_add_fetch(&detached, 1, __ATOMIC_RELAXED);
	if (pthread_create(&d, NULL, ends_detached, NULL) != 0 || pthread_detach(d) != 0)
		exit(77);
	(void)pthread_cancel(c);
	if (join(a) != 0 || join(b) != 0 || join(c) != 0)
		exit(1);
	(void)munmap(stack, bytes);
}

static void *
storm_thread(void *unused)
{
	(void)unused;
	while (process_cpu_ns() < end_ns)
		one_of_each();
	return NULL;
}

static int
storm(void)
{
	pthread_t t[MANY];

	for (int i = 0; i < MANY; i++)
		if (pthread_create(&t[i], NULL, storm_thread, NULL) != 0)
			return 77;
	for (int i = 0; i < MANY; i++)
		(void)join(t[i]);
	while (__atomic_load_n(&detached, __ATOMIC_RELAXED) != 0)
		(void)sched_yield();
	return 0;
}

/* A frame of 64 KiB each. */
static NOINLINE uint64_t
deep(uint64_t depth)
{
	volatile char room[65536];
	uint64_t n;

	room[0] = (char)depth;
	if (depth == 0) {
		while (process_cpu_ns() < end_ns)
			BURN(slice);
		return 0;
	}
	n = deep(depth - 1) + 1;
	return room[0] == (char)depth ? n : 0;
}

static int
limit(void)
{
	uint64_t half = (end_ns - process_cpu_ns()) / 2, end = end_ns;
	struct rlimit was, r;

	if (getrlimit(RLIMIT_STACK, &was) != 0)
		return 77;
	r = was;
	r.rlim_cur = 64 << 20;
	if (r.rlim_max < r.rlim_cur || setrlimit(RLIMIT_STACK, &r) != 0)
		return 77;
	end_ns -= half;
	if (deep(320) != 320)			/* 20 MiB */
		return 1;
	r.rlim_cur = 256 << 10;
	if (setrlimit(RLIMIT_STACK, &r) != 0)
		return 77;
	end_ns = end;
	return deep(160) != 160;		/* that much is there by now */
}

int
main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } modes[] = {
		{ "tiny", tiny }, { "own", own }, { "storm", storm }, { "limit", limit },
	};
	const char *mode = argc > 1 ? argv[1] : "";
	int status = 2;

	slice = burn_turns_per_us() * 50;
	end_ns = process_cpu_ns() + (uint64_t)(argc > 2 ? atoi(argv[2]) : 300) * 1000000u;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(mode, modes[i].name) == 0)
			status = modes[i].run();
	(void)printf("%s: %d\n", mode, status);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * corrupt.c - burns on while its stack, its frame pointer or its stack pointer is nonsense, then puts all right again.
 * What it prints depends on nothing but its arguments.
 *
 * Usage:    corrupt MODE [CPU_MILLISECONDS]
 *	frame		saved frame pointers and return addresses of three callers
 *	fp		the frame pointer's register
 *	sp		the stack pointer's, with an alternate stack for signals
 *	exit		as frame, and then _exit(3) without putting it right
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "burn.h"

#define PAGE 4096u

static uint64_t end_ns, slice = 20000;
static uint64_t values[24];
static unsigned value_count;

static void
add(uint64_t value)
{
	values[value_count++] = value;
}

/* What an unwinder may meet, at its worst. */
static void
choose_values(void)
{
	char *none = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *page = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char here;

	if (none == MAP_FAILED || page == MAP_FAILED || mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE) != 0)
		exit(77);
	memset(page + PAGE, 0x41, PAGE);
	add(0);
	add(8);
	add(0x41);
	add(0x4141414141414141);
	add(0x0000800000000000);		/* not canonical on x86-64 */
	add(0xdead000000000000);
	add(0xffff800000000000);
	add(UINT64_MAX - 7);
	add(UINT64_MAX);
	add(0x00007ffffffff000);
	add(0x00007fffffffeff8);
	add((uintptr_t)none + 2 * PAGE);
	add((uintptr_t)none + 2 * PAGE + 3);
	add((uintptr_t)page + 2 * PAGE - 8);	/* the last word before what cannot be read */
	add((uintptr_t)page + 2 * PAGE - 4);
	add((uintptr_t)page + PAGE);
	add((uintptr_t)&here + 8);		/* rather near: a loop */
	add(((uintptr_t)&here - 65536) & ~15ull);	/* below all that is in use */
	add((uintptr_t)&here + 3);
	add((uintptr_t)choose_values);		/* code */
	add((uintptr_t)strlen + 1);
}

static NOINLINE void
burn_amid_nonsense(void)
{
	BURN(slice);
	STAY();
}

/* Its own frame record, and those of two callers, as far as there are any. */
static NOINLINE void
spoil(uint64_t value, uint64_t other, int leave)
{
	volatile uint64_t *fp = __builtin_frame_address(0);
	uint64_t saved[2] = { fp[0], fp[1] };

	fp[0] = value;
	fp[1] = other;
	burn_amid_nonsense();
	if (leave)
		_exit(3);
	fp[0] = saved[0];
	fp[1] = saved[1];
	STAY();
}

static NOINLINE void
spoil_more(uint64_t value, uint64_t other)
{
	volatile uint64_t *fp = __builtin_frame_address(0);
	uint64_t saved[2] = { fp[0], fp[1] };

	fp[0] = other;
	fp[1] = value;
	spoil(other, value, 0);
	spoil(value, value, 0);
	fp[0] = saved[0];
	fp[1] = saved[1];
	STAY();
}

/* The register as a number among others, for a while. */
static NOINLINE void
burn_with_fp(uint64_t value)
{
	uint64_t n = slice;

#if defined(__x86_64__)
	__asm__ volatile("push %%rbp\n mov %1, %%rbp\n1: dec %0\n jnz 1b\n pop %%rbp"
		: "+r"(n) : "r"(value) : "memory");
#elif defined(__aarch64__)
	__asm__ volatile("str x29, [sp, #-16]!\n mov x29, %1\n1: subs %0, %0, #1\n b.ne 1b\n ldr x29, [sp], #16"
		: "+r"(n) : "r"(value) : "memory", "cc");
#endif
}

static NOINLINE void
burn_with_sp(uint64_t value)
{
	uint64_t n = slice;

#if defined(__x86_64__)
	__asm__ volatile("mov %%rsp, %%r15\n mov %1, %%rsp\n1: dec %0\n jnz 1b\n mov %%r15, %%rsp"
		: "+r"(n) : "r"(value) : "memory", "r15");
#elif defined(__aarch64__)
	__asm__ volatile("mov x19, sp\n mov sp, %1\n1: subs %0, %0, #1\n b.ne 1b\n mov sp, x19"
		: "+r"(n) : "r"(value) : "memory", "cc", "x19");
#endif
}

/* Every value with every other one in turn, as long as there is time. */
static int
all(void (*fn)(uint64_t, uint64_t))
{
	for (unsigned n = 0; process_cpu_ns() < end_ns; n++)
		fn(values[n % value_count], values[n / value_count % value_count]);
	return 0;
}

static void
one_frame(uint64_t value, uint64_t other)
{
	spoil(value, other, 0);
	spoil_more(value, other);
}

static void
one_fp(uint64_t value, uint64_t other)
{
	(void)other;
	burn_with_fp(value);
}

static void
one_sp(uint64_t value, uint64_t other)
{
	(void)other;
	burn_with_sp(value);
}

int
main(int argc, char **argv)
{
	static char room[65536];
	const char *mode = argc > 1 ? argv[1] : "";
	stack_t s = { .ss_sp = room, .ss_size = sizeof(room) };
	int status = 2;

	choose_values();
	slice = burn_turns_per_us() * 500;
	end_ns = process_cpu_ns() + (uint64_t)(argc > 2 ? atoi(argv[2]) : 300) * 1000000u;
	if (sigaltstack(&s, NULL) != 0)
		return 77;
	if (strcmp(mode, "frame") == 0)
		status = all(one_frame);
	if (strcmp(mode, "fp") == 0)
		status = all(one_fp);
	if (strcmp(mode, "sp") == 0)
		status = all(one_sp);
	if (strcmp(mode, "exit") == 0) {
		(void)all(one_frame);
		(void)printf("%s\n", mode);
		(void)fflush(stdout);
		spoil(0x4141414141414141, 0xdead000000000000, 1);
	}
	(void)printf("%s: %d\n", mode, status);
	return status;
}

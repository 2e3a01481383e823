/* SPDX-License-Identifier: Apache-2.0
 *
 * gaps.c - code without call frame information whose frame pointer is a number like any other, and threads that are
 * cancelled wherever they are.  What it prints depends on nothing but its arguments.
 *
 * Usage:    gaps gap|leaf|zero MILLISECONDS		the number points into a gap in the stack, or to zeros
 *           gaps cancel MILLISECONDS LIBRARY		then as long in a library that is opened late
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "burn.h"

#define PAGE	4096u
#define AREA	(16u * PAGE)

#if defined(__x86_64__)
/* Burn with this in rbp; the first keeps two words on the stack, the second none. */
void burn_pushed(uint64_t rbp, uint64_t n);
void burn_leaf(uint64_t rbp, uint64_t n);
__asm__(".text\n"
	".type burn_pushed,@function\nburn_pushed:\n"
	" push %rbp\n push $0x1234\n mov %rdi,%rbp\n"
	"1: dec %rsi\n jnz 1b\n"
	" add $8,%rsp\n pop %rbp\n ret\n.size burn_pushed,.-burn_pushed\n"
	".type burn_leaf,@function\nburn_leaf:\n"
	" mov %rbp,%rax\n mov %rdi,%rbp\n"
	"1: dec %rsi\n jnz 1b\n"
	" mov %rax,%rbp\n ret\n.size burn_leaf,.-burn_leaf\n");

static void
burn_for(void (*burn)(uint64_t, uint64_t), uint64_t rbp, uint64_t ms)
{
	uint64_t until = process_cpu_ns() + ms * 1000000;

	while (process_cpu_ns() < until)
		burn(rbp, 1000000);
}

static __attribute__((noinline)) int
on_a_stack_with_a_gap(void (*burn)(uint64_t, uint64_t), uint64_t ms)
{
	char area[AREA];
	uintptr_t gap = ((uintptr_t)area + AREA / 2) & ~(uintptr_t)(PAGE - 1);

	memset(area, 1, sizeof(area));
	if (mprotect((void *)gap, PAGE, PROT_NONE) < 0)
		return 1;
	burn_for(burn, gap + 64, ms);
	return mprotect((void *)gap, PAGE, PROT_READ | PROT_WRITE) < 0 || area[0] != 1;
}

static __attribute__((noinline)) int
above_zeros(uint64_t ms)
{
	char area[PAGE];

	memset(area, 0, sizeof(area));
	burn_for(burn_pushed, ((uintptr_t)area + 64) & ~(uintptr_t)7, ms);
	return area[0];
}
#endif

static __attribute__((noinline)) uint64_t
down(unsigned n)
{
	volatile uint64_t turns = n + 1;

	if (n > 0)
		return down(n - 1) + turns;
	while (turns != 0)
		turns++;
	return turns;
}

static void *
burn_until_cancelled(void *arg)
{
	(void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	(void)down(900);
	return arg;
}

static int
cancel(uint64_t ms, const char *path)
{
	uint64_t until = process_cpu_ns() + ms * 1000000;
	uint64_t (*entry)(uint64_t);
	void *h;

	while (process_cpu_ns() < until) {
		pthread_t t;

		if (pthread_create(&t, NULL, burn_until_cancelled, NULL) != 0)
			return 1;
		(void)usleep(4000);
		(void)pthread_cancel(t);
		(void)pthread_join(t, NULL);
	}
	h = dlopen(path, RTLD_NOW);
	*(void **)&entry = h != NULL ? dlsym(h, "dso_entry") : NULL;
	until = process_cpu_ns() + ms * 1000000;
	while (entry != NULL && process_cpu_ns() < until)
		(void)entry(100000);
	return entry == NULL;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	uint64_t ms = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	int bad;

	if (argc > 3 && strcmp(mode, "cancel") == 0)
		bad = cancel(ms, argv[3]);
#if defined(__x86_64__)
	else if (strcmp(mode, "gap") == 0)
		bad = on_a_stack_with_a_gap(burn_pushed, ms);
	else if (strcmp(mode, "leaf") == 0)
		bad = on_a_stack_with_a_gap(burn_leaf, ms);
	else if (strcmp(mode, "zero") == 0)
		bad = above_zeros(ms);
#endif
	else
		return 77;
	(void)printf("%s: %d\n", mode, bad);
	return bad;
}

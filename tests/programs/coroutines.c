/* SPDX-License-Identifier: Apache-2.0
 *
 * coroutines.c - burns on stacks that no thread was made with.  What it prints depends on nothing but its arguments.
 *
 * Usage:    coroutines MODE [CPU_MILLISECONDS]
 *	heap		eight contexts with 16 KiB of malloc each, freed and made anew while others run
 *	guard		16 KiB between pages that cannot be read
 *	neighbours	three threads that map stacks side by side without a gap, run on them, and unmap them
 *	assembly	stacks switched by hand
 *	carved		a stack in the thread's own, with a page above that cannot be read
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "burn.h"

#define PAGE 4096u
#define STACK (16u << 10)
#define MANY 8

struct coroutine {
	ucontext_t self, *back;
	char *stack;
	uint64_t turns, sum;
};

static uint64_t end_ns, slice = 20000;

static NOINLINE uint64_t
burn_in_coroutine(uint64_t depth)
{
	uint64_t n = depth;

	if (depth > 0) {
		n += burn_in_coroutine(depth - 1);
		STAY();
		return n;
	}
	BURN(slice);
	return 1;
}

/* makecontext passes ints. */
static void
coroutine_main(unsigned hi, unsigned lo)
{
	struct coroutine *c;
	uint64_t at = (uint64_t)hi << 32 | lo;

	memcpy(&c, &at, sizeof(c));
	for (uint64_t i = 0; i < c->turns; i++) {
		c->sum += burn_in_coroutine(10);
		(void)swapcontext(&c->self, c->back);
	}
}

static void
begin(struct coroutine *c, ucontext_t *back, char *stack, uint64_t turns)
{
	uint64_t at = (uint64_t)(uintptr_t)c;

	*c = (struct coroutine){ .back = back, .stack = stack, .turns = turns };
	(void)getcontext(&c->self);
	c->self.uc_stack.ss_sp = stack;
	c->self.uc_stack.ss_size = STACK;
	c->self.uc_link = back;
	makecontext(&c->self, (void (*)(void))coroutine_main, 2, (unsigned)(at >> 32), (unsigned)at);
}

/* Runs to its end; did it do all its work? */
static int
run(struct coroutine *c)
{
	for (uint64_t i = 0; i <= c->turns; i++)
		(void)swapcontext(c->back, &c->self);
	return c->sum != c->turns * 56;
}

static int
heap(void)
{
	static struct coroutine all[MANY];
	ucontext_t back;
	int bad = 0;

	for (int i = 0; i < MANY; i++)
		begin(&all[i], &back, malloc(STACK), 3);
	for (unsigned n = 0; process_cpu_ns() < end_ns; n++) {
		struct coroutine *c = &all[n % MANY];

		/* Another one in between, left in its middle. */
		(void)swapcontext(&back, &all[(n + 3) % MANY].self);
		all[(n + 3) % MANY].turns += all[(n + 3) % MANY].turns < 100;
		while (c->sum < c->turns * 56)
			(void)swapcontext(&back, &c->self);
		bad |= c->sum != c->turns * 56;
		free(c->stack);
		begin(c, &back, malloc(STACK), 3);
	}
	return bad;
}

static int
guard(void)
{
	struct coroutine c;
	ucontext_t back;
	char *m = mmap(NULL, STACK + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int bad = 0;

	if (m == MAP_FAILED || mprotect(m + PAGE, STACK, PROT_READ | PROT_WRITE) != 0)
		return 77;
	while (process_cpu_ns() < end_ns) {
		begin(&c, &back, m + PAGE, 20);
		bad |= run(&c);
	}
	return bad;
}

static void *
neighbour(void *bad)
{
	struct coroutine c;
	ucontext_t back;

	while (process_cpu_ns() < end_ns) {
		char *m = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (m == MAP_FAILED)
			exit(77);
		begin(&c, &back, m, 1);
		if (run(&c) != 0)
			*(int *)bad = 1;
		(void)munmap(m, STACK);
	}
	return NULL;
}

static int
neighbours(void)
{
	static int bad[3];
	pthread_t t[3];

	slice /= 50;
	for (int i = 0; i < 3; i++)
		if (pthread_create(&t[i], NULL, neighbour, &bad[i]) != 0)
			return 77;
	for (int i = 0; i < 3; i++)
		(void)pthread_join(t[i], NULL);
	return bad[0] | bad[1] | bad[2];
}

/* void on_stack(void *top, void (*fn)(void)): with no word of it in the call frame information. */
__asm__(
#if defined(__x86_64__)
	".text\n.type on_stack, %function\non_stack:\n"
	"push %rbx\n mov %rsp, %rbx\n mov %rdi, %rsp\n call *%rsi\n mov %rbx, %rsp\n pop %rbx\n ret\n"
#elif defined(__aarch64__)
	".text\n.type on_stack, %function\non_stack:\n"
	"stp x19, x30, [sp, #-16]!\n mov x19, sp\n mov sp, x0\n blr x1\n mov sp, x19\n ldp x19, x30, [sp], #16\n ret\n"
#endif
	".size on_stack, .-on_stack\n");
void on_stack(void *top, void (*fn)(void));

static uint64_t by_hand;

static void
burn_by_hand(void)
{
	by_hand += burn_in_coroutine(10) != 56;
	STAY();
}

static int
assembly(void)
{
	char *m = mmap(NULL, STACK + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || mprotect(m + PAGE, STACK, PROT_READ | PROT_WRITE) != 0)
		return 77;
	while (process_cpu_ns() < end_ns)
		on_stack(m + PAGE + STACK, burn_by_hand);
	return by_hand != 0;
}

static NOINLINE int
carved(void)
{
	char room[STACK + 4 * PAGE];
	char *low = (char *)(((uintptr_t)room + PAGE - 1) & ~(uintptr_t)(PAGE - 1));

	memset(room, 0x55, sizeof(room));
	if (mprotect(low + STACK, PAGE, PROT_NONE) != 0)
		return 77;
	while (process_cpu_ns() < end_ns)
		on_stack(low + STACK, burn_by_hand);
	if (mprotect(low + STACK, PAGE, PROT_READ | PROT_WRITE) != 0)
		return 77;
	return by_hand != 0;
}

int
main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } modes[] = {
		{ "heap", heap }, { "guard", guard }, { "neighbours", neighbours }, { "assembly", assembly },
		{ "carved", carved },
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

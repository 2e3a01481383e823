/* SPDX-License-Identifier: Apache-2.0
 *
 * jitcode.c - code in anonymous memory that calls back into the program, half of the time spent in each, as JIT
 * compilers make it.  What it prints depends on nothing but its arguments.
 *
 * Usage:    jitcode MODE [CPU_MILLISECONDS]
 *	registered	without frame pointers; its call frame information is registered (__register_frame)
 *	neither		the same, not registered
 *	pointers	with frame pointers, nothing is registered
 *	fork		as registered, in a child
 *	churn		as registered; new code every 20 ms, the old is taken back and unmapped
 *	many		as registered, as the last of 3000 blocks; 2900 of them are taken back before
 *	map		as pointers, named in /tmp/perf-PID.map
 * Status:   77 when such memory cannot be had here.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unwind.h>

#include "burn.h"

void __register_frame(void *begin);
void __deregister_frame(void *begin);

typedef void callee_fn(uint64_t turns);
typedef void code_fn(callee_fn *callee, uint64_t turns);

/* Two functions to be copied: burn `turns`, then call the callee with them. */
__asm__(
	".pushsection .rodata\n"
#if defined(__x86_64__)
	"jit_bare: push %rbp\n"
	"jit_bare_1: sub $32, %rsp\n"
	"jit_bare_2: mov $0x4141, %ebp\n mov %rsi, %rax\n1: dec %rax\n jnz 1b\n"
	" mov %rdi, %rax\n mov %rsi, %rdi\n call *%rax\n add $32, %rsp\n"
	"jit_bare_3: pop %rbp\n"
	"jit_bare_4: ret\n"
	"jit_bare_end:\n"
	"jit_fp: push %rbp\n mov %rsp, %rbp\n mov %rsi, %rax\n1: dec %rax\n jnz 1b\n"
	" mov %rdi, %rax\n mov %rsi, %rdi\n call *%rax\n pop %rbp\n ret\n"
	"jit_fp_end:\n"
#elif defined(__aarch64__)
	".balign 4\n"
	"jit_bare: stp x29, x30, [sp, #-48]!\n"
	"jit_bare_1: str x1, [sp, #16]\n"
	"jit_bare_2: mov x29, #0x4141\n mov x9, x1\n1: subs x9, x9, #1\n b.ne 1b\n"
	" mov x9, x0\n mov x0, x1\n blr x9\n"
	"jit_bare_3: ldp x29, x30, [sp], #48\n"
	"jit_bare_4: ret\n"
	"jit_bare_end:\n"
	"jit_fp: stp x29, x30, [sp, #-16]!\n mov x29, sp\n mov x9, x1\n1: subs x9, x9, #1\n b.ne 1b\n"
	" mov x9, x0\n mov x0, x1\n blr x9\n ldp x29, x30, [sp], #16\n ret\n"
	"jit_fp_end:\n"
#endif
	".popsection\n");
extern const uint8_t jit_bare[], jit_bare_1[], jit_bare_2[], jit_bare_3[], jit_bare_4[], jit_bare_end[];
extern const uint8_t jit_fp[], jit_fp_end[];

static uint64_t end_ns, slice = 20000;

static code_fn *
place(const uint8_t *from, const uint8_t *to)
{
	size_t size = (size_t)(to - from);
	void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	code_fn *fn;

	if (m == MAP_FAILED)
		exit(77);
	memcpy(m, from, size);
	if (mprotect(m, 4096, PROT_READ | PROT_EXEC) != 0)
		exit(77);
	__builtin___clear_cache(m, (char *)m + size);
	memcpy(&fn, &m, sizeof(fn));
	return fn;
}

static uint8_t *
put(uint8_t *to, const void *bytes, size_t n)
{
	memcpy(to, bytes, n);
	return to + n;
}

#define PUT(to, ...) put((to), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* DW_CFA_advance_loc: all distances here are short. */
static uint8_t *
advance(uint8_t *to, const uint8_t *from, const uint8_t *at)
{
	return PUT(to, (uint8_t)(0x40 | (at - from)));
}

static uint8_t *
close_record(uint8_t *record, uint8_t *end)
{
	uint32_t length;

	while ((end - record) % 8 != 0)
		*end++ = 0;			/* DW_CFA_nop */
	length = (uint32_t)(end - record - 4);
	memcpy(record, &length, 4);
	return end;
}

/* A section as compilers write it: one CIE ("zR", 8 bytes relative to their place), one FDE, the zero at the end. */
static void
make_frames(uint8_t *section, code_fn *fn)
{
	uint8_t *fde, *at = section + 4;
	uint64_t begin, size = (uint64_t)(jit_bare_end - jit_bare);
	uint32_t back;

	at = PUT(at, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78);
#if defined(__x86_64__)
	at = PUT(at, 16, 1, 0x1c, 0x0c, 7, 8, 0x90, 1);		/* CFA = rsp + 8, return address at CFA - 8 */
#elif defined(__aarch64__)
	at = PUT(at, 30, 1, 0x1c, 0x0c, 31, 0);			/* CFA = sp */
#endif
	fde = at = close_record(section, at);
	back = (uint32_t)(fde + 4 - section);
	at = put(at + 4, &back, 4);
	memcpy(&begin, &fn, sizeof(begin));
	begin -= (uintptr_t)at;
	at = put(at, &begin, 8);
	at = put(at, &size, 8);
	at = PUT(at, 0);
	at = advance(at, jit_bare, jit_bare_1);
#if defined(__x86_64__)
	at = PUT(at, 0x0e, 16, 0x86, 2);			/* rbp at CFA - 16 */
	at = advance(at, jit_bare_1, jit_bare_2);
	at = PUT(at, 0x0e, 48);
	at = advance(at, jit_bare_2, jit_bare_3);
	at = PUT(at, 0x0e, 16);
	at = advance(at, jit_bare_3, jit_bare_4);
	at = PUT(at, 0x0e, 8);
#elif defined(__aarch64__)
	at = PUT(at, 0x0e, 48, 0x9d, 6, 0x9e, 5);		/* x29 at CFA - 48, x30 at CFA - 40 */
	at = advance(at, jit_bare_1, jit_bare_4);
	at = PUT(at, 0x0e, 0, 0xdd, 0xde);
#endif
	at = close_record(fde, at);
	memset(at, 0, 4);
}

static volatile int unwound;

static _Unwind_Reason_Code
look_for(struct _Unwind_Context *c, void *fn)
{
	unwound += (uintptr_t)_Unwind_GetRegionStart(c) == (uintptr_t)fn;
	return _URC_NO_REASON;
}

static code_fn *
main_address(void)
{
	int (*fn)(int, char **);
	extern int main(int argc, char **argv);
	code_fn *as;

	fn = main;
	memcpy(&as, &fn, sizeof(as));
	return as;
}

static NOINLINE void
burn_in_callee(uint64_t turns)
{
	BURN(turns);
	STAY();
}

/* What the program's own unwinder says: is main below? */
static NOINLINE void
unwind_in_callee(uint64_t turns)
{
	void *fn;
	code_fn *m = main_address();

	(void)turns;
	memcpy(&fn, &m, sizeof(fn));
	(void)_Unwind_Backtrace(look_for, fn);
	STAY();
}

static NOINLINE void
burn_until(code_fn *fn, uint64_t until)
{
	while (process_cpu_ns() < until) {
		fn(burn_in_callee, slice);
		STAY();
	}
}

static uint8_t section[4096] __attribute__((aligned(8)));

static int
registered(void)
{
	code_fn *fn = place(jit_bare, jit_bare_end);

	make_frames(section, fn);
	__register_frame(section);
	fn(unwind_in_callee, 1);
	burn_until(fn, end_ns);
	__deregister_frame(section);
	return unwound != 1;
}

static int
neither(void)
{
	burn_until(place(jit_bare, jit_bare_end), end_ns);
	return 0;
}

static int
pointers(void)
{
	burn_until(place(jit_fp, jit_fp_end), end_ns);
	return 0;
}

static int
in_child(void)
{
	code_fn *fn = place(jit_bare, jit_bare_end);
	uint64_t share = end_ns - process_cpu_ns();
	int status = -1;
	pid_t pid;

	make_frames(section, fn);
	__register_frame(section);
	pid = fork();
	if (pid == 0) {
		burn_until(fn, process_cpu_ns() + share);
		exit(0);
	}
	(void)waitpid(pid, &status, 0);
	__deregister_frame(section);
	return status;
}

static int
churn(void)
{
	while (process_cpu_ns() < end_ns) {
		code_fn *fn = place(jit_bare, jit_bare_end);
		void *m;

		make_frames(section, fn);
		__register_frame(section);
		burn_until(fn, process_cpu_ns() + 20000000);
		__deregister_frame(section);
		memcpy(&m, &fn, sizeof(m));
		(void)munmap(m, 4096);
	}
	return 0;
}

static int
many(void)
{
	enum { BLOCKS = 3000 };
	uint8_t *blocks = mmap(NULL, BLOCKS * 128, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	code_fn *fn[BLOCKS];

	if (blocks == MAP_FAILED)
		return 77;
	for (int i = 0; i < BLOCKS; i++) {
		fn[i] = place(jit_bare, jit_bare_end);
		make_frames(blocks + i * 128, fn[i]);
		if (i == BLOCKS - 1)			/* now there is room */
			for (int n = 0; n < BLOCKS - 100; n++)
				__deregister_frame(blocks + n * 128);
		__register_frame(blocks + i * 128);
	}
	burn_until(fn[BLOCKS - 1], end_ns);
	return 0;
}

static int
map(void)
{
	code_fn *fn = place(jit_fp, jit_fp_end);
	char path[64];
	void *m;
	FILE *f;

	memcpy(&m, &fn, sizeof(m));
	(void)snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	f = fopen(path, "w");
	if (f == NULL)
		return 77;
	(void)fprintf(f, "%lx %x jit_function_by_map\n", (unsigned long)(uintptr_t)m, (unsigned)(jit_fp_end - jit_fp));
	(void)fclose(f);
	burn_until(fn, end_ns);
	linger();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } modes[] = {
		{ "registered", registered }, { "neither", neither }, { "pointers", pointers }, { "fork", in_child },
		{ "churn", churn }, { "many", many }, { "map", map },
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

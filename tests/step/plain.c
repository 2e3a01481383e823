/* SPDX-License-Identifier: Apache-2.0
 *
 * plain.c - ordinary C to be stepped through: recursion, callbacks from libc, variable arguments, floating point, the
 * vdso, shrink-wrapped functions, tail calls, calls that do not return.  Built at several levels of optimization.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE	__attribute__((noinline))
#define NO_TAIL_CALL	__asm__ volatile("" : : : "memory")

static volatile uint64_t sink;
static jmp_buf out;

static NOINLINE uint64_t
fibonacci(unsigned n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static int
by_value(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static NOINLINE void
sort(void)
{
	char *words[] = { "walk", "table", "frame", "stack", "rule", "signal", "leaf" };
	int values[24];

	for (int i = 0; i < 24; i++)
		values[i] = (i * 7919) % 31;
	qsort(values, 24, sizeof(values[0]), by_value);
	qsort(words, 7, sizeof(words[0]), by_text);
	sink += (uint64_t)values[3] + (uint64_t)words[0][0];
}

static NOINLINE int
format(char *to, size_t size, const char *how, ...)
{
	va_list ap;
	int n;

	va_start(ap, how);
	n = vsnprintf(to, size, how, ap);
	va_end(ap);
	return n;
}

/* Most calls leave at once: its registers are saved in one branch only. */
static NOINLINE uint64_t
shrink_wrapped(uint64_t *p, unsigned n)
{
	uint64_t sum = 0;

	if (p == NULL)
		return 1;
	for (unsigned i = 0; i < n; i++)
		sum += fibonacci((unsigned)p[i] % 4) * p[(i + 1) % n] + strlen("some text") * i;
	return sum;
}

static NOINLINE uint64_t
tail_last(uint64_t x)
{
	sink += x;
	return x * 3;
}

static NOINLINE uint64_t
tail_middle(uint64_t x)
{
	return tail_last(x + 1);
}

static NOINLINE uint64_t
tail_first(uint64_t x)
{
	return x & 1 ? tail_middle(x) : tail_last(x);
}

static NOINLINE __attribute__((noreturn)) void
fail(int why)
{
	sink += (uint64_t)why;
	longjmp(out, why);
}

/* Its last instruction is a call: the return address belongs to the function behind. */
static NOINLINE void
ends_with_a_call(int why)
{
	if (why > 0)
		fail(why);
	abort();
}

struct big {
	uint64_t word[20];
};

static NOINLINE struct big
return_a_struct(struct big b, double x)
{
	char text[64];

	b.word[1] += (uint64_t)format(text, sizeof(text), "%d %s %.3f %lx", 7, "word", x, (unsigned long)b.word[2]);
	return b;
}

typedef uint64_t function(uint64_t);
static function *const table[] = { tail_first, tail_middle, tail_last };

static NOINLINE void
clocks(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	sink += (uint64_t)time(NULL);
}

static void
at_exit(void)
{
	sink += fibonacci(5);
}

int
main(void)
{
	uint64_t words[4] = { 3, 1, 4, 1 };
	struct big b = { { 0 } };

	(void)atexit(at_exit);
	sink += fibonacci(9);
	sort();
	for (unsigned i = 0; i < 3; i++)
		sink += table[i](i + words[i]);
	sink += shrink_wrapped(NULL, 0) + shrink_wrapped(words, 4);
	b = return_a_struct(b, 3.25);
	if (setjmp(out) == 0)
		ends_with_a_call(3);
	clocks();
	sink += (uint64_t)strtod("2.5e3", NULL) + b.word[1];
	NO_TAIL_CALL;
	return sink == 0;
}

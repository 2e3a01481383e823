/* SPDX-License-Identifier: Apache-2.0
 *
 * unload.c - three threads that burn in code which is loaded and unloaded all the time, by each at its own pace.  What
 * it prints depends on nothing but its arguments.
 *
 * Usage:    unload libraries CPU_MILLISECONDS LIBRARY LIBRARY	dlopen, burn, dlclose, of one and the other in turn
 *           unload memory CPU_MILLISECONDS			a page of code is mapped, run and unmapped
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "burn.h"

#define THREADS 3

typedef uint64_t code_fn(uint64_t n);

static uint64_t end_ns, slice = 20000;
static char **libraries;

/* Alone in its section, whose bounds the linker knows; no calls and no data, so it runs wherever it is copied. */
static NOINLINE __attribute__((section("unload_code"), used)) uint64_t
burn_code(uint64_t n)
{
	BURN(n);
	return n + 9;
}

extern const char __start_unload_code[], __stop_unload_code[];

static NOINLINE int
burn_in_library(const char *path, uint64_t turns)
{
	void *h = dlopen(path, RTLD_NOW), *symbol = h != NULL ? dlsym(h, "dso_entry") : NULL;
	code_fn *entry;

	if (symbol == NULL)
		exit(77);
	memcpy(&entry, &symbol, sizeof(entry));
	return entry(turns) != turns + 1 || dlclose(h) != 0;
}

static NOINLINE int
burn_in_memory(uint64_t turns)
{
	size_t size = (size_t)(__stop_unload_code - __start_unload_code);
	char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;
	code_fn *fn;

	if (m == MAP_FAILED)
		exit(77);
	memcpy(m, __start_unload_code, size);
	if (mprotect(m, size, PROT_READ | PROT_EXEC) != 0)
		exit(77);
	__builtin___clear_cache(m, m + size);
	at = m + ((uintptr_t)burn_code - (uintptr_t)__start_unload_code);
	memcpy(&fn, &at, sizeof(fn));
	return fn(turns) != turns + 9 || munmap(m, size) != 0;
}

static void *
thread_main(void *number)
{
	uint64_t turns = slice * (1 + (uintptr_t)number);
	uintptr_t bad = 0;

	for (unsigned n = 0; process_cpu_ns() < end_ns; n++)
		bad |= (uintptr_t)(libraries != NULL ? burn_in_library(libraries[n & 1], turns)
						     : burn_in_memory(turns));
	return (void *)bad;
}

int
main(int argc, char **argv)
{
	uintptr_t bad = 0;
	pthread_t t[THREADS];

	if (argc < 3 || (strcmp(argv[1], "libraries") == 0 && argc < 5))
		return 2;
	if (strcmp(argv[1], "libraries") == 0)
		libraries = argv + 3;
	slice = burn_turns_per_us() * 3000;
	end_ns = process_cpu_ns() + (uint64_t)atoi(argv[2]) * 1000000u;
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, thread_main, (void *)i) != 0)
			return 77;
	for (int i = 0; i < THREADS; i++) {
		void *ret = NULL;

		(void)pthread_join(t[i], &ret);
		bad |= (uintptr_t)ret;
	}
	(void)printf("%s: %d\n", argv[1], (int)bad);
	return (int)bad;
}

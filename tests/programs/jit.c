/* SPDX-License-Identifier: Apache-2.0
 *
 * jit.c - burns in copies of a function's machine code: one in a memfd, one in anonymous memory.
 *
 * Usage:    jit [CPU_MILLISECONDS]
 * Status:   77 when such memory cannot be had here.
 */
#include <string.h>
#include <sys/mman.h>

#include "burn.h"

/* Alone in its section, whose bounds the linker knows; no calls and no data, so it runs wherever it is copied. */
static NOINLINE __attribute__((section("jit_code"), used)) uint64_t
burn_code(uint64_t n)
{
	BURN(n);
	return n + 9;
}

extern const char __start_jit_code[], __stop_jit_code[];

typedef uint64_t code_fn(uint64_t n);

static code_fn *
finish(void *memory, size_t size)
{
	code_fn *fn;

	if (memory == MAP_FAILED || mprotect(memory, size, PROT_READ | PROT_EXEC) != 0)
		return NULL;
	__builtin___clear_cache(memory, (char *)memory + size);
	memory = (char *)memory + ((uintptr_t)burn_code - (uintptr_t)__start_jit_code);
	memcpy(&fn, &memory, sizeof(fn));
	return fn;
}

/* Never writable and executable at once. */
static code_fn *
in_memfd(size_t size)
{
	int fd = memfd_create("jit code", MFD_CLOEXEC);
	code_fn *fn = NULL;

	if (fd >= 0 && write(fd, __start_jit_code, size) == (ssize_t)size)
		fn = finish(mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0), size);
	if (fd >= 0)
		(void)close(fd);
	return fn;
}

static code_fn *
in_anonymous(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED)
		memcpy(memory, __start_jit_code, size);
	return finish(memory, size);
}

static NOINLINE void
burn_in(code_fn *fn, uint64_t ns)
{
	uint64_t end = process_cpu_ns() + ns;

	while (process_cpu_ns() < end) {
		(void)fn(200000);
		STAY();
	}
}

int
main(int argc, char **argv)
{
	uint64_t ns = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) * 1000000u;
	size_t size = (size_t)(__stop_jit_code - __start_jit_code);
	code_fn *memfd = in_memfd(size), *anonymous = in_anonymous(size);

	if (memfd == NULL || anonymous == NULL)
		return 77;
	burn_in(memfd, ns / 2);
	burn_in(anonymous, ns / 2);
	linger();
	return 0;
}

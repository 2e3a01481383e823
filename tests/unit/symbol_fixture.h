/* SPDX-License-Identifier: Apache-2.0
 *
 * symbol_fixture.h - what the tests of the symbolizer share: a temporary folder in which they compile
 * libraries, and a module as the collector would have it.  Included once by each of their programs.
 */
#ifndef SN_UNIT_SYMBOL_FIXTURE_H
#define SN_UNIT_SYMBOL_FIXTURE_H

#include <check.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbol/symbol.h"

static char dir[64];

static inline const char *
path_in(char path[256], const char *name)
{
	(void)snprintf(path, 256, "%s/%s", dir, name);
	return path;
}

/* Run a command in the folder; it must succeed. */
static inline void __attribute__((format(printf, 1, 2)))
shell(const char *fmt, ...)
{
	char command[2048];
	int n = snprintf(command, sizeof(command), "cd %s && exec 2>>build.log && ", dir);
	va_list ap;

	va_start(ap, fmt);
	n += vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
	va_end(ap);
	ck_assert_int_lt(n, (int)sizeof(command));
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

static inline bool
has(const char *tool)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", tool);
	if (system(command) == 0)
		return true;
	printf("tests that need %s are left out: it is not installed\n", tool);
	return false;
}

static inline void
write_text(const char *name, const char *text)
{
	char path[256];
	FILE *out = fopen(path_in(path, name), "w");

	ck_assert(out != NULL && fputs(text, out) >= 0 && fclose(out) == 0);
}

static inline void
make_dir(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/sonde-symbol-" "XX" "XX" "XX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline void
remove_dir(void)
{
	shell("rm -rf -- %s", dir);
}

/* A module as the collector would have it. */
static struct {
	struct sn_image image;
	struct sn_module module;
	char path[256];
	struct sn_symbolizer *s;
} f;

static inline void
close_fixture(void)
{
	sn_symbolizer_free(f.s);
	free(f.image.phdr);
	if (f.s != NULL && f.image.fd >= 0)
		(void)close(f.image.fd);
	f.s = NULL;
	f.image.phdr = NULL;
}

static inline void
open_fixture(const char *name, enum sn_symbolize how, const char *root)
{
	struct stat st;

	close_fixture();
	f.image = (struct sn_image){ .path = f.path, .fd = open(path_in(f.path, name), O_RDONLY | O_CLOEXEC) };
	ck_assert_int_ge(f.image.fd, 0);
	ck_assert_int_eq(fstat(f.image.fd, &st), 0);
	f.image.dev = st.st_dev;
	f.image.ino = st.st_ino;
	f.image.file_bytes = (uint64_t)st.st_size;
	f.image.err = sn_image_parse(&f.image);
	f.module = (struct sn_module){ .kind = SN_MODULE_FILE, .path = f.path, .image = &f.image };
	f.s = sn_symbolizer_new(how, root);
	ck_assert_ptr_nonnull(f.s);
}

/* The run-time address of a symbol of the library; sets the bias of the fixture's module. */
static inline uint64_t
address_of(const char *lib, const char *symbol)
{
	char path[256];
	struct link_map *map;
	void *handle = dlopen(path_in(path, lib), RTLD_NOW), *at;

	ck_assert_msg(handle != NULL, "%s", dlerror());
	ck_assert_int_eq(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	f.module.bias = map->l_addr;
	at = dlsym(handle, symbol);
	ck_assert_ptr_nonnull(at);
	return (uint64_t)(uintptr_t)at;
}

/* Call fn of the library, which gives a return address; less one it lies in the call. */
static inline uint64_t
run(const char *lib, const char *fn)
{
	void *(*call)(void) = (void *(*)(void))(uintptr_t)address_of(lib, fn);

	return (uint64_t)(uintptr_t)call() - 1;
}

static inline struct sn_symbol
look_up(uint64_t addr)
{
	struct sn_symbol sym;

	ck_assert_int_eq(sn_symbolize_batch(f.s, &f.module, &addr, 1, &sym), 0);
	ck_assert_uint_ge(sym.count, 1);
	for (uint32_t i = 0; i < sym.count; i++) {
		ck_assert_ptr_nonnull(sym.line[i].name);
		ck_assert_ptr_nonnull(sym.line[i].system_name);
		ck_assert_ptr_nonnull(sym.line[i].file);
	}
	return sym;
}

static inline void
expect_line(const struct sn_symbol_line *l, const char *name, const char *file, int32_t line, int32_t start)
{
	ck_assert_str_eq(l->name, name);
	ck_assert_str_eq(basename(l->file), file);
	ck_assert_int_eq(l->line, line);
	ck_assert_int_eq(l->start_line, start);
}

/* Open the library and look up the call that fn makes. */
static inline struct sn_symbol
look_up_in(const char *lib, enum sn_symbolize how, const char *fn)
{
	open_fixture(lib, how, "");
	return look_up(run(lib, fn));
}

static inline void
expect_no_damage(void)
{
	ck_assert_uint_eq(sn_symbolizer_counters(f.s)->bad_debug_info, 0);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * test_symbol.c - names, lines and inlined calls of addresses (src/symbol/).
 *
 * Small libraries are compiled at run time into a temporary folder and opened by dlopen; they
 * tell by __builtin_return_address where their calls return to.  Without gcc or objcopy the
 * tests that need them are left out, with a line that says so.
 */
#include <check.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <libelf.h>
#include <gelf.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbol/symbol.h"

static char dir[64];

/* What is compiled; #line pins the numbers that the tests expect. */
static const char chain_c[] =
	"#include <setjmp.h>\n#include <stddef.h>\n#include <unistd.h>\n"
	"#define NI __attribute__((noinline))\n#define AI static inline __attribute__((always_inline))\n"
	"static void *volatile where;\nstatic jmp_buf back;\n"
	"NI void here(void) { where = __builtin_return_address(0); __asm__ volatile(\"\"); }\n"
	"#line 10 \"inner.c\"\nAI void inner(void) {\n\there();\n\t__asm__ volatile(\"\");\n}\n"
	"#line 20 \"middle.c\"\nAI void middle(void) {\n\tinner();\n\t__asm__ volatile(\"\");\n}\n"
	"#line 30 \"outer.c\"\nNI void outer(void) {\n\tmiddle();\n\t__asm__ volatile(\"\");\n}\n"
	"#line 40 \"rest.c\"\n"
	"static NI void hidden(void) { here(); __asm__ volatile(\"\"); }\n"
	"NI __attribute__((noreturn)) void die(void) { where = __builtin_return_address(0); longjmp(back, 1); }\n"
	"NI void last_call(void) { __asm__ volatile(\"\"); die(); }\n"
	"NI void next_fn(void) { __asm__ volatile(\"nop\"); }\n"
	"void *run_outer(void) { outer(); return where; }\n"
	"void *run_hidden(void) { hidden(); return where; }\n"
	"void *run_last(void) { if (!setjmp(back)) last_call(); return where; }\n"
	"int use_plt(void) { return getpid(); }\n"
	"NI int versioned(void) { return 1; }\n"
	"#ifndef __clang__\n#line 60 \"nest.c\"\n"
	"void *run_nested(void) { auto NI void nested(void);\n"
	"\tvoid nested(void) { here(); __asm__ volatile(\"\"); }\n\tnested();\n\treturn where;\n}\n#endif\n";

static const char box_cc[] =
	"#define NI __attribute__((noinline))\n"
	"static void *volatile where;\n"
	"NI static void here() { where = __builtin_return_address(0); __asm__ volatile(\"\"); }\n"
	"namespace ns { template<class T> struct Box {\n"
	"#line 100 \"box.cc\"\n"
	"NI static void put(T) { here(); __asm__ volatile(\"\"); }\n"
	"}; }\n"
	"namespace { NI void secret(int) { here(); __asm__ volatile(\"\"); } }\n"
	"extern \"C\" void *run_box() { ns::Box<int>::put(1); return where; }\n"
	"extern \"C\" void *run_secret() { secret(1); return where; }\n"
	"extern \"C\" void *run_lambda() { auto f = [](int) NI { here(); __asm__ volatile(\"\"); }; f(1);\n"
	"return where; }\n";

static const char labels_s[] =
	".text\n"
	".globl strong\n.type strong,@function\n.weak __weak\n.type __weak,@function\n.type local,@function\n"
	"strong:\n__weak:\nlocal:\n.skip 8\n.size strong, 8\n.size __weak, 8\n.size local, 8\n"
	".skip 24\n"
	".globl unsized\n.type unsized,@function\nunsized:\n.skip 32\n"
	".section .note.GNU-stack,\"\",%progbits\n";

static int __attribute__((format(printf, 1, 2)))
shell(const char *fmt, ...)
{
	char command[2048];
	int n = snprintf(command, sizeof(command), "cd %s && ", dir);
	va_list ap;

	va_start(ap, fmt);
	n += vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
	va_end(ap);
	ck_assert_int_lt(n, (int)sizeof(command));
	return system(command);
}

static bool
has(const char *tool)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", tool);
	if (system(command) == 0)
		return true;
	printf("test_symbol: tests that need %s are left out: it is not installed\n", tool);
	return false;
}

static void
write_text(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
make_dir(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/sonde-symbol-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	write_text("chain.c", chain_c);
	write_text("box.cc", box_cc);
	write_text("labels.s", labels_s);
	write_text("v.map", "V1 { global: versioned; };\n");
}

static void
remove_dir(void)
{
	ck_assert_int_eq(shell("rm -rf -- %s", dir), 0);
}

static const char flags[] = "-fPIC -shared -fno-reorder-functions -falign-functions=1";

static void
build(const char *out, const char *options)
{
	ck_assert_int_eq(shell("gcc -O2 %s -fno-toplevel-reorder %s chain.c -o %s 2>build.log", flags, options, out), 0);
}

/* A module as the collector would have it. */
static struct {
	struct sn_image image;
	struct sn_module module;
	char path[256];
	struct sn_symbolizer *s;
} f;

static void
close_fixture(void)
{
	sn_symbolizer_free(f.s);
	free(f.image.phdr);
	if (f.s != NULL && f.image.fd >= 0)
		(void)close(f.image.fd);
	f.s = NULL;
	f.image.phdr = NULL;
}

static void
open_fixture(const char *name, enum sn_symbolize how, const char *root)
{
	struct stat st;

	close_fixture();
	(void)snprintf(f.path, sizeof(f.path), "%s/%s", dir, name);
	f.image = (struct sn_image){ .path = f.path, .fd = open(f.path, O_RDONLY | O_CLOEXEC) };
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

/* The address of a symbol of the library; sets *bias to where the library was loaded. */
static uint64_t
address_of(const char *name, const char *symbol, uint64_t *bias)
{
	char path[256];
	struct link_map *map;
	void *lib, *at;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	lib = dlopen(path, RTLD_NOW);
	ck_assert_msg(lib != NULL, "%s", dlerror());
	ck_assert_int_eq(dlinfo(lib, RTLD_DI_LINKMAP, &map), 0);
	*bias = map->l_addr;
	at = dlsym(lib, symbol);
	ck_assert_ptr_nonnull(at);
	return (uint64_t)(uintptr_t)at;
}

/* Call fn of the library, which gives a return address; less one it lies in the call. */
static uint64_t
run(const char *name, const char *fn, uint64_t *bias)
{
	void *(*call)(void) = (void *(*)(void))(uintptr_t)address_of(name, fn, bias);

	return (uint64_t)(uintptr_t)call() - 1;
}

static struct sn_symbol
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

static const char *
base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static void
expect_line(const struct sn_symbol_line *l, const char *name, const char *file, int32_t line, int32_t start)
{
	ck_assert_str_eq(l->name, name);
	ck_assert_str_eq(base(l->file), file);
	ck_assert_int_eq(l->line, line);
	ck_assert_int_eq(l->start_line, start);
}

/* Open the library and look up the call that fn makes. */
static struct sn_symbol
look_up_call(const char *lib, const char *fn, enum sn_symbolize how)
{
	open_fixture(lib, how, "");
	return look_up(run(lib, fn, &f.module.bias));
}

static void
expect_no_damage(void)
{
	ck_assert_uint_eq(sn_symbolizer_counters(f.s)->bad_debug_info, 0);
}

/* The call of run_outer as DWARF tells it, read from the file `name`. */
static void
expect_chain(const char *lib, const char *name, const char *root)
{
	struct sn_symbol sym;
	uint64_t addr;

	open_fixture(name, SN_SYMBOLIZE_LINES, root);
	addr = run(lib, "run_outer", &f.module.bias) - 1;
	sym = look_up(addr);
	ck_assert_uint_eq(sym.count, 3);
	expect_line(&sym.line[0], "inner", "inner.c", 11, 10);
	expect_line(&sym.line[1], "middle", "middle.c", 21, 20);
	expect_line(&sym.line[2], "outer", "outer.c", 31, 30);
	ck_assert_str_eq(sym.line[2].system_name, "outer");
	ck_assert_int_gt(sym.line[1].column, 0);
	ck_assert(!sym.is_fallback);
	ck_assert_uint_eq(sn_symbolizer_counters(f.s)->unsymbolized, 0);
	expect_no_damage();
}

START_TEST(symbolize_inlined_call_gives_chain_innermost_first)
{
	build("chain.so", "-g");
	expect_chain("chain.so", "chain.so", "");
	build("chain4.so", "-gdwarf-4");
	expect_chain("chain4.so", "chain4.so", "");
	build("chainz.so", "-g -gz");
	expect_chain("chainz.so", "chainz.so", "");
}
END_TEST

START_TEST(symbolize_clang_dwarf5_without_aranges_gives_chain)
{
	ck_assert_int_eq(shell("clang -O2 -gdwarf-5 -fPIC -shared chain.c -o clang.so 2>build.log"), 0);
	expect_chain("clang.so", "clang.so", "");
}
END_TEST

START_TEST(symbolize_return_address_less_one_names_the_noreturn_caller)
{
	struct sn_symbol sym;
	uint64_t addr;

	build("last.so", "-g");
	open_fixture("last.so", SN_SYMBOLIZE_LINES, "");
	addr = run("last.so", "run_last", &f.module.bias);
	sym = look_up(addr - 1);
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "last_call", "rest.c", 42, 42);
	ck_assert_str_ne(look_up(addr).line[0].name, "last_call");
}
END_TEST

START_TEST(symbolize_functions_only_gives_no_lines_and_no_inlines)
{
	struct sn_symbol sym;
	uint64_t addr;

	build("functions.so", "-g");
	open_fixture("functions.so", SN_SYMBOLIZE_FUNCTIONS, "");
	addr = run("functions.so", "run_outer", &f.module.bias) - 1;
	sym = look_up(addr);
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "", 0, 0);
}
END_TEST

START_TEST(symbolize_stripped_library_names_exports_and_leaves_the_rest)
{
	struct sn_symbol sym;
	uint64_t addr;
	char want[64];

	build("stripped.so", "-s -Wl,-z,lazy");
	open_fixture("stripped.so", SN_SYMBOLIZE_LINES, "");
	addr = run("stripped.so", "run_outer", &f.module.bias) - 1;
	sym = look_up(addr);
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "", 0, 0);
	addr = run("stripped.so", "run_hidden", &f.module.bias) - 1;
	sym = look_up(addr);
	(void)snprintf(want, sizeof(want), "stripped.so+0x%llx", (unsigned long long)(addr - f.module.bias));
	expect_line(&sym.line[0], want, "", 0, 0);
	ck_assert_str_eq(sym.line[0].system_name, want);
	ck_assert(sym.is_fallback);
	ck_assert_uint_eq(sn_symbolizer_counters(f.s)->unsymbolized, 1);
	expect_no_damage();
}
END_TEST

/* The address range of a section, by libelf. */
static Elf64_Shdr
section_of(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf64_Shdr found = { 0 };
	Elf_Scn *scn = NULL;
	size_t strings;

	ck_assert_int_eq(elf_getshdrstrndx(elf, &strings), 0);
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		Elf64_Shdr *sh = elf64_getshdr(scn);

		if (strcmp(elf_strptr(elf, strings, sh->sh_name), name) == 0)
			found = *sh;
	}
	(void)elf_end(elf);
	(void)close(fd);
	return found;
}

START_TEST(symbolize_plt_stub_names_what_it_calls)
{
	Elf64_Shdr plt;
	bool found = false;

	build("plt.so", "-s -Wl,-z,lazy");
	open_fixture("plt.so", SN_SYMBOLIZE_LINES, "");
	plt = section_of(f.path, ".plt.sec");
	if (plt.sh_size == 0)
		plt = section_of(f.path, ".plt");
	ck_assert_uint_gt(plt.sh_size, 0);
	for (uint64_t at = plt.sh_addr; at < plt.sh_addr + plt.sh_size; at += 4)
		found |= strcmp(look_up(at).line[0].name, "getpid@plt") == 0;
	ck_assert(found);
}
END_TEST

START_TEST(symbolize_symbol_with_version_cuts_the_version)
{
	uint64_t addr;

	build("version.so", "-Wl,--version-script=v.map");
	open_fixture("version.so", SN_SYMBOLIZE_FUNCTIONS, "");
	addr = address_of("version.so", "versioned", &f.module.bias);
	ck_assert_str_eq(look_up(addr).line[0].name, "versioned");
}
END_TEST

START_TEST(symbolize_aliases_gaps_and_labels_follow_the_rules)
{
	uint64_t addr;

	ck_assert_int_eq(shell("gcc -shared labels.s -o labels.so 2>build.log"), 0);
	open_fixture("labels.so", SN_SYMBOLIZE_LINES, "");
	addr = address_of("labels.so", "strong", &f.module.bias);
	ck_assert_str_eq(look_up(addr).line[0].name, "strong");
	ck_assert_str_eq(look_up(addr + 7).line[0].name, "strong");
	ck_assert(look_up(addr + 8).is_fallback);
	ck_assert(look_up(addr + 31).is_fallback);
	ck_assert_str_eq(look_up(addr + 32).line[0].name, "unsized");
	ck_assert_str_eq(look_up(addr + 50).line[0].name, "unsized");
}
END_TEST

START_TEST(symbolize_cplusplus_gives_short_and_mangled_names)
{
	struct sn_symbol sym;

	ck_assert_int_eq(shell("g++ -O1 -g -fPIC -shared box.cc -o box.so 2>build.log"), 0);
	open_fixture("box.so", SN_SYMBOLIZE_LINES, "");
	sym = look_up(run("box.so", "run_box", &f.module.bias) - 1);
	expect_line(&sym.line[0], "ns::Box::put", "box.cc", 100, 100);
	ck_assert_str_eq(sym.line[0].system_name, "_ZN2ns3BoxIiE3putEi");
	sym = look_up(run("box.so", "run_secret", &f.module.bias) - 1);
	ck_assert_str_eq(sym.line[0].name, "(anonymous namespace)::secret");
	ck_assert_int_eq(strncmp(sym.line[0].system_name, "_ZN12_GLOBAL__N_16secretEi", 26), 0);
	sym = look_up(run("box.so", "run_lambda", &f.module.bias) - 1);
	ck_assert_str_eq(sym.line[0].name, "run_lambda::{lambda(int)#1}::operator()");
	expect_no_damage();
}
END_TEST

START_TEST(symbolize_function_nested_in_a_function_gives_its_name)
{
	struct sn_symbol sym;

	build("nested.so", "-g");
	open_fixture("nested.so", SN_SYMBOLIZE_LINES, "");
	sym = look_up(run("nested.so", "run_nested", &f.module.bias) - 1);
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "nested", "nest.c", 61, 61);
	expect_no_damage();
}
END_TEST

START_TEST(symbolize_split_dwarf_falls_back_to_names_with_lines)
{
	struct sn_symbol sym;

	build("split.so", "-g -gsplit-dwarf");
	open_fixture("split.so", SN_SYMBOLIZE_LINES, "");
	sym = look_up(run("split.so", "run_outer", &f.module.bias) - 1);
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "inner.c", 11, 0);
	expect_no_damage();
}
END_TEST

/* in.so → NAME.so without symbols, and NAME.debug. */
static void
separate(const char *name)
{
	ck_assert_int_eq(shell("gcc -O2 %s -g -Wl,--build-id chain.c -o %s.full && objcopy --only-keep-debug %s.full "
		"%s.debug && objcopy -S %s.full %s.so", flags, name, name, name, name, name), 0);
}

START_TEST(symbolize_with_debuglink_checks_the_crc)
{
	struct sn_symbol sym;

	separate("link");
	ck_assert_int_eq(shell("objcopy --add-gnu-debuglink=link.debug link.so"), 0);
	expect_chain("link.so", "link.so", "");
	ck_assert_int_eq(shell("mkdir .debug && mv link.debug .debug"), 0);
	expect_chain("link.so", "link.so", "");
	ck_assert_int_eq(shell("mkdir -p root/usr/lib/debug/%s && mv .debug/link.debug root/usr/lib/debug/%s", dir, dir), 0);
	ck_assert_int_eq(shell("echo x >link.debug"), 0);
	{
		char root[128];

		(void)snprintf(root, sizeof(root), "%s/root", dir);
		expect_chain("link.so", "link.so", root);
	}
	ck_assert_int_eq(shell("mv root/usr/lib/debug/%s/link.debug . && echo x >>link.debug", dir), 0);
	open_fixture("link.so", SN_SYMBOLIZE_LINES, "");
	sym = look_up(run("link.so", "run_outer", &f.module.bias) - 1);
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "", 0, 0);
}
END_TEST

START_TEST(symbolize_with_build_id_checks_the_build_id)
{
	char root[128], hex[2 * SN_BUILD_ID_MAX + 1];
	uint64_t addr;

	separate("id");
	(void)snprintf(root, sizeof(root), "%s/idroot", dir);
	open_fixture("id.so", SN_SYMBOLIZE_LINES, root);
	sn_image_build_id_hex(&f.image, hex);
	ck_assert_uint_gt(strlen(hex), 2);
	ck_assert_int_eq(shell("mkdir -p idroot/usr/lib/debug/.build-id/%.2s && mv id.debug "
		"idroot/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex, hex + 2), 0);
	expect_chain("id.so", "id.so", root);
	/* Another library's debug file under this name is not taken. */
	ck_assert_int_eq(shell("gcc -O1 %s -g -Wl,--build-id chain.c -o "
		"idroot/usr/lib/debug/.build-id/%.2s/%s.debug", flags, hex, hex + 2), 0);
	open_fixture("id.so", SN_SYMBOLIZE_LINES, root);
	addr = run("id.so", "run_outer", &f.module.bias) - 1;
	ck_assert_uint_eq(look_up(addr).count, 1);
}
END_TEST

START_TEST(symbolize_with_dwz_file_follows_it_or_does_without)
{
	struct sn_symbol sym;

	ck_assert_int_eq(shell("gcc -O2 %s -gdwarf-4 -Wl,--build-id chain.c -o dwz.so && cp dwz.so dwz2.so && "
		"dwz -m common.dwz dwz.so dwz2.so", flags), 0);
	expect_chain("dwz.so", "dwz.so", "");
	ck_assert_int_eq(shell("mkdir -p dwzroot/usr/lib/debug/.dwz && mv common.dwz dwzroot/usr/lib/debug/.dwz"), 0);
	open_fixture("dwz.so", SN_SYMBOLIZE_LINES, "");
	sym = look_up(run("dwz.so", "run_outer", &f.module.bias) - 1);
	ck_assert_uint_eq(sym.count, 1);
	ck_assert_str_eq(sym.line[0].name, "outer");
	{
		char root[128];

		(void)snprintf(root, sizeof(root), "%s/dwzroot", dir);
		expect_chain("dwz.so", "dwz.so", root);
	}
}
END_TEST

START_TEST(symbolize_again_answers_without_the_file)
{
	struct sn_symbol first, again;
	uint64_t addr;

	build("again.so", "-g");
	open_fixture("again.so", SN_SYMBOLIZE_LINES, "");
	addr = run("again.so", "run_outer", &f.module.bias) - 1;
	first = look_up(addr);
	(void)close(f.image.fd);
	f.image.fd = -1;
	again = look_up(addr);
	ck_assert_ptr_eq(again.line, first.line);
	ck_assert_uint_eq(again.count, 3);
}
END_TEST

START_TEST(symbolize_batch_with_repeats_answers_each_in_place)
{
	struct sn_symbol sym[4];
	uint64_t addr[4];

	build("batch.so", "-g");
	open_fixture("batch.so", SN_SYMBOLIZE_LINES, "");
	addr[0] = addr[2] = run("batch.so", "run_last", &f.module.bias) - 1;
	addr[1] = run("batch.so", "run_outer", &f.module.bias) - 1;
	addr[3] = f.module.bias;
	ck_assert_int_eq(sn_symbolize_batch(f.s, &f.module, addr, 4, sym), 0);
	ck_assert_str_eq(sym[0].line[0].name, "last_call");
	ck_assert_str_eq(sym[1].line[0].name, "inner");
	ck_assert_str_eq(sym[2].line[0].name, "last_call");
	ck_assert_str_eq(sym[3].line[0].name, "batch.so+0x0");
}
END_TEST

START_TEST(symbolize_truncated_file_gives_fallback_and_counts_it_once)
{
	uint64_t addr, bias;
	struct stat st;

	build("whole.so", "-g");
	addr = run("whole.so", "run_outer", &bias) - 1;
	open_fixture("whole.so", SN_SYMBOLIZE_LINES, "");
	ck_assert_int_eq(fstat(f.image.fd, &st), 0);
	for (long len = 0; len < st.st_size; len += len < 128 ? 7 : st.st_size / 100) {
		ck_assert_int_eq(shell("head -c %ld whole.so >cut.so", len), 0);
		open_fixture("cut.so", SN_SYMBOLIZE_LINES, "");
		f.module.bias = bias;
		ck_assert_msg(look_up(addr).is_fallback, "at %ld", len);
		(void)look_up(addr + 1);
		ck_assert_uint_eq(sn_symbolizer_counters(f.s)->bad_debug_info, 1);
		ck_assert_uint_eq(sn_symbolizer_counters(f.s)->unsymbolized, 2);
		}
}
END_TEST

START_TEST(symbolize_memory_without_a_file_names_its_offset)
{
	char path[] = "[anon]";
	struct sn_module m = { .start = 0x7000, .limit = 0x8000, .kind = SN_MODULE_ANON, .path = path };
	struct sn_symbolizer *s = sn_symbolizer_new(SN_SYMBOLIZE_LINES, NULL);
	uint64_t addr[] = { 0x7010, 0x7ff0 };
	struct sn_symbol sym[2];

	ck_assert_int_eq(sn_symbolize_batch(s, &m, addr, 2, sym), 0);
	ck_assert_str_eq(sym[0].line[0].name, "[anon]+0x10");
	ck_assert_str_eq(sym[1].line[0].name, "[anon]+0xff0");
	ck_assert(sym[0].is_fallback);
	ck_assert_int_eq(sn_symbolize_batch(s, &m, addr, 0, sym), 0);
	sn_symbolizer_free(s);
}
END_TEST

/* The first function that the vdso exports. */
static uint64_t
vdso_function(const struct sn_image *image, char name[128])
{
	Elf *elf = elf_memory((char *)(uintptr_t)image->memory, image->file_bytes);
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		Elf64_Shdr *sh = elf64_getshdr(scn);
		GElf_Sym sym;

		for (int i = 1; sh->sh_type == SHT_DYNSYM && gelf_getsym(elf_getdata(scn, NULL), i, &sym); i++) {
			if (GELF_ST_TYPE(sym.st_info) != STT_FUNC || GELF_ST_BIND(sym.st_info) != STB_GLOBAL)
				continue;
			(void)snprintf(name, 128, "%s", elf_strptr(elf, sh->sh_link, sym.st_name));
			(void)elf_end(elf);
			return sym.st_value;
		}
	}
	(void)elf_end(elf);
	return 0;
}

START_TEST(symbolize_vdso_reads_its_memory)
{
	struct sn_images images = { 0 };
	char path[] = "[vdso]", name[128] = "";
	struct sn_module m = { .kind = SN_MODULE_VDSO, .path = path, .image = sn_image_vdso(&images) };
	struct sn_symbolizer *s = sn_symbolizer_new(SN_SYMBOLIZE_LINES, "");
	struct sn_symbol sym;
	uint64_t addr;

	if (m.image != NULL && m.image->memory != NULL) {
		addr = vdso_function(m.image, name);
		ck_assert_int_eq(sn_symbolize_batch(s, &m, &addr, 1, &sym), 0);
		ck_assert_str_eq(sym.line[0].name, name);
	} else {
		printf("test_symbol: this kernel gives no vdso\n");
	}
	sn_symbolizer_free(s);
	if (m.image != NULL)
		sn_image_put(&images, m.image);
}
END_TEST

static void
add_compiled(TCase *c)
{
	tcase_add_test(c, symbolize_inlined_call_gives_chain_innermost_first);
	tcase_add_test(c, symbolize_return_address_less_one_names_the_noreturn_caller);
	tcase_add_test(c, symbolize_functions_only_gives_no_lines_and_no_inlines);
	tcase_add_test(c, symbolize_stripped_library_names_exports_and_leaves_the_rest);
	tcase_add_test(c, symbolize_plt_stub_names_what_it_calls);
	tcase_add_test(c, symbolize_symbol_with_version_cuts_the_version);
	tcase_add_test(c, symbolize_aliases_gaps_and_labels_follow_the_rules);
	tcase_add_test(c, symbolize_function_nested_in_a_function_gives_its_name);
	tcase_add_test(c, symbolize_split_dwarf_falls_back_to_names_with_lines);
	tcase_add_test(c, symbolize_again_answers_without_the_file);
	tcase_add_test(c, symbolize_batch_with_repeats_answers_each_in_place);
	tcase_add_test(c, symbolize_truncated_file_gives_fallback_and_counts_it_once);
	if (has("clang"))
		tcase_add_test(c, symbolize_clang_dwarf5_without_aranges_gives_chain);
	if (has("g++"))
		tcase_add_test(c, symbolize_cplusplus_gives_short_and_mangled_names);
	if (has("dwz"))
		tcase_add_test(c, symbolize_with_dwz_file_follows_it_or_does_without);
	if (has("objcopy")) {
		tcase_add_test(c, symbolize_with_debuglink_checks_the_crc);
		tcase_add_test(c, symbolize_with_build_id_checks_the_build_id);
	}
}

int
main(void)
{
	Suite *suite = suite_create("symbol");
	TCase *c = tcase_create("symbol");
	SRunner *runner;
	int failed;

	(void)elf_version(EV_CURRENT);
	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, make_dir, remove_dir);
	tcase_add_test(c, symbolize_memory_without_a_file_names_its_offset);
	tcase_add_test(c, symbolize_vdso_reads_its_memory);
	if (has("gcc"))
		add_compiled(c);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

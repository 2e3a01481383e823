/* SPDX-License-Identifier: Apache-2.0
 *
 * test_symbol.c - names, lines and inlined calls of addresses (src/symbol/).
 *
 * Small libraries are compiled at run time into a temporary folder and opened by dlopen; they
 * tell by __builtin_return_address where their calls return to.  Without gcc or objcopy the
 * tests that need them are left out, with a line that says so.
 */
#include "unit/symbol_fixture.h"

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
	"NI int impl(void) { return 1; }\n#ifdef OTHER\n__asm__(\".symver impl, versioned@@@V1\");\n#endif\n"
	"#ifndef __clang__\n#line 60 \"nest.c\"\n"
	"void *run_nested(void) { auto NI void nested(void);\n"
	"\tvoid nested(void) { here(); __asm__ volatile(\"nop\"); }\n\tnested();\n\treturn where;\n}\n#endif\n";

static const char labels_s[] =
	".text\n.globl strong\n.type strong,@function\n.weak __weak\n.type __weak,@function\n.type local,@function\n"
	"strong:\n__weak:\nlocal:\n.skip 8\n.size strong, 8\n.size __weak, 8\n.size local, 8\n.skip 24\n"
	".globl unsized\n.type unsized,@function\nunsized:\n.skip 32\n.section .note.GNU-stack,\"\",%progbits\n";

static void
set_up(void)
{
	make_dir();
	write_text("chain.c", chain_c);
	write_text("labels.s", labels_s);
	write_text("v.map", "V1 { global: versioned; };\n");
}

static void
build(const char *out, const char *options)
{
	shell("gcc -O2 -fPIC -shared -fno-reorder-functions -fno-toplevel-reorder -falign-functions=1 %s chain.c -o %s",
		options, out);
}

/* The call of run_outer as DWARF tells it. */
static void
expect_chain(const char *lib, const char *root)
{
	struct sn_symbol sym;

	open_fixture(lib, SN_SYMBOLIZE_LINES, root);
	sym = look_up(run(lib, "run_outer"));
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
	static const char *const debug[][2] = { { "5.so", "-g" }, { "4.so", "-gdwarf-4" }, { "z.so", "-g -gz" } };

	for (size_t i = 0; i < sizeof(debug) / sizeof(debug[0]); i++) {
		build(debug[i][0], debug[i][1]);
		expect_chain(debug[i][0], "");
	}
}
END_TEST

START_TEST(symbolize_clang_dwarf5_without_aranges_gives_chain)
{
	shell("clang -O2 -gdwarf-5 -fPIC -shared chain.c -o clang.so");
	shell("! readelf -S clang.so | grep -q debug_aranges");
	expect_chain("clang.so", "");
}
END_TEST

START_TEST(symbolize_return_address_less_one_names_the_noreturn_caller)
{
	struct sn_symbol sym;
	uint64_t addr;

	build("last.so", "-g");
	open_fixture("last.so", SN_SYMBOLIZE_LINES, "");
	addr = run("last.so", "run_last");
	sym = look_up(addr);
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "last_call", "rest.c", 42, 42);
	ck_assert_str_ne(look_up(addr + 1).line[0].name, "last_call");
}
END_TEST

START_TEST(symbolize_functions_only_gives_no_lines_and_no_inlines)
{
	struct sn_symbol sym;

	build("functions.so", "-g");
	sym = look_up_in("functions.so", SN_SYMBOLIZE_FUNCTIONS, "run_outer");
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "", 0, 0);
}
END_TEST

START_TEST(symbolize_stripped_library_names_exports_and_leaves_the_rest)
{
	struct sn_symbol sym;
	uint64_t addr;
	char want[64];

	build("stripped.so", "-s");
	sym = look_up_in("stripped.so", SN_SYMBOLIZE_LINES, "run_outer");
	expect_line(&sym.line[0], "outer", "", 0, 0);
	addr = run("stripped.so", "run_hidden");
	sym = look_up(addr);
	(void)snprintf(want, sizeof(want), "stripped.so+0x%llx", (unsigned long long)(addr - f.module.bias));
	expect_line(&sym.line[0], want, "", 0, 0);
	ck_assert_str_eq(sym.line[0].system_name, want);
	ck_assert(sym.is_fallback);
	ck_assert_uint_eq(sn_symbolizer_counters(f.s)->unsymbolized, 1);
	expect_no_damage();
}
END_TEST

START_TEST(symbolize_plt_stub_names_what_it_calls)
{
	bool found = false;

	build("plt.so", "-s -Wl,-z,lazy");
	open_fixture("plt.so", SN_SYMBOLIZE_LINES, "");
	for (uint64_t at = 0; !found && at < f.image.file_bytes; at += 8)
		found = strcmp(look_up(at).line[0].name, "getpid@plt") == 0;
	ck_assert(found);
}
END_TEST

START_TEST(symbolize_symbol_with_version_cuts_the_version)
{
	build("version.so", "-DOTHER -Wl,--version-script=v.map");
	open_fixture("version.so", SN_SYMBOLIZE_FUNCTIONS, "");
	ck_assert_str_eq(look_up(address_of("version.so", "versioned")).line[0].name, "versioned");
}
END_TEST

START_TEST(symbolize_aliases_gaps_and_labels_follow_the_rules)
{
	uint64_t addr;

	shell("gcc -shared labels.s -o labels.so");
	open_fixture("labels.so", SN_SYMBOLIZE_LINES, "");
	addr = address_of("labels.so", "strong");
	ck_assert_str_eq(look_up(addr).line[0].name, "strong");
	ck_assert_str_eq(look_up(addr + 7).line[0].name, "strong");
	ck_assert(look_up(addr + 8).is_fallback);
	ck_assert(look_up(addr + 31).is_fallback);
	ck_assert_str_eq(look_up(addr + 32).line[0].name, "unsized");
	ck_assert_str_eq(look_up(addr + 50).line[0].name, "unsized");
}
END_TEST

START_TEST(symbolize_function_nested_in_a_function_gives_its_name)
{
	struct sn_symbol sym;

	build("nested.so", "-g");
	sym = look_up_in("nested.so", SN_SYMBOLIZE_LINES, "run_nested");
	expect_line(&sym.line[0], "nested", "nest.c", 61, 61);
	expect_no_damage();
}
END_TEST

START_TEST(symbolize_split_dwarf_falls_back_to_names_with_lines)
{
	struct sn_symbol sym;

	build("split.so", "-g -gsplit-dwarf");
	sym = look_up_in("split.so", SN_SYMBOLIZE_LINES, "run_outer");
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "inner.c", 11, 0);
	expect_no_damage();
}
END_TEST

/* NAME.so without symbols, and its NAME.debug. */
static void
separate(const char *name)
{
	build("full.so", "-g -Wl,--build-id");
	shell("objcopy --only-keep-debug full.so %s.debug && objcopy -S full.so %s.so", name, name);
}

/* DWARF must not be found: only the exported name is known. */
static void
expect_name_only(const char *lib, const char *root)
{
	struct sn_symbol sym;

	open_fixture(lib, SN_SYMBOLIZE_LINES, root);
	sym = look_up(run(lib, "run_outer"));
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "", 0, 0);
	expect_no_damage();
}

START_TEST(symbolize_with_debuglink_checks_the_crc)
{
	char root[256];

	(void)path_in(root, "root");
	separate("link");
	shell("objcopy --add-gnu-debuglink=link.debug link.so");
	expect_chain("link.so", "");
	shell("mkdir .debug && mv link.debug .debug");
	expect_chain("link.so", "");
	shell("mkdir -p root/usr/lib/debug/%s && mv .debug/* root/usr/lib/debug/%s && echo x >link.debug", dir, dir);
	expect_chain("link.so", root);
	shell("mv root/usr/lib/debug/%s/link.debug . && echo x >>link.debug", dir);
	expect_name_only("link.so", "");
}
END_TEST

START_TEST(symbolize_with_build_id_checks_the_build_id)
{
	char root[256], hex[2 * SN_BUILD_ID_MAX + 1];

	(void)path_in(root, "idroot");
	separate("id");
	expect_name_only("id.so", root);
	sn_image_build_id_hex(&f.image, hex);
	ck_assert_uint_gt(strlen(hex), 2);
	shell("mkdir -p idroot/usr/lib/debug/.build-id/%.2s && mv id.debug "
		"idroot/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex, hex + 2);
	expect_chain("id.so", root);
	/* Another library's debug file under this name is not taken. */
	build("other.so", "-O1 -g -Wl,--build-id");
	shell("cp other.so idroot/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex + 2);
	expect_name_only("id.so", root);
}
END_TEST

START_TEST(symbolize_with_dwz_file_follows_it_or_does_without)
{
	char root[256];

	(void)path_in(root, "dwzroot");
	build("dwz.so", "-gdwarf-4 -Wl,--build-id");
	shell("cp dwz.so dwz2.so && dwz -m common.dwz dwz.so dwz2.so && objcopy -N outer dwz.so");
	expect_chain("dwz.so", "");
	shell("mkdir -p dwzroot/usr/lib/debug/.dwz && mv common.dwz dwzroot/usr/lib/debug/.dwz");
	expect_name_only("dwz.so", "");
	expect_chain("dwz.so", root);
}
END_TEST

START_TEST(symbolize_again_answers_without_the_file)
{
	struct sn_symbol first, again;
	uint64_t addr;

	build("again.so", "-g");
	open_fixture("again.so", SN_SYMBOLIZE_LINES, "");
	addr = run("again.so", "run_outer");
	first = look_up(addr);
	(void)close(f.image.fd);
	f.image.fd = -1;
	again = look_up(addr);
	ck_assert(again.line == first.line && again.count == 3);
}
END_TEST

START_TEST(symbolize_batch_with_repeats_answers_each_in_place)
{
	struct sn_symbol sym[4];
	uint64_t addr[4];

	build("batch.so", "-g");
	open_fixture("batch.so", SN_SYMBOLIZE_LINES, "");
	addr[0] = addr[2] = run("batch.so", "run_last");
	addr[1] = run("batch.so", "run_outer");
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
	uint64_t addr, bias, whole;

	build("whole.so", "-g");
	open_fixture("whole.so", SN_SYMBOLIZE_LINES, "");
	addr = run("whole.so", "run_outer");
	bias = f.module.bias;
	whole = f.image.file_bytes;
	for (uint64_t len = 0; len < whole; len += len < 128 ? 7 : whole / 100) {
		shell("head -c %llu whole.so >cut.so", (unsigned long long)len);
		open_fixture("cut.so", SN_SYMBOLIZE_LINES, "");
		f.module.bias = bias;
		ck_assert_msg(look_up(addr).is_fallback, "at %llu", (unsigned long long)len);
		(void)look_up(addr + 1);
		ck_assert_uint_eq(sn_symbolizer_counters(f.s)->bad_debug_info, 1);
		ck_assert_uint_eq(sn_symbolizer_counters(f.s)->unsymbolized, 2);
	}
}
END_TEST

START_TEST(symbolize_two_sections_of_strings_is_damage)
{
	struct sn_symbol sym;

	build("two.so", "-g");
	shell("printf 'ended\\0' >text && objcopy --add-section .debug_stx=text two.so");
	expect_chain("two.so", "");
	shell("sed -i s/debug_stx/debug_str/ two.so");
	sym = look_up_in("two.so", SN_SYMBOLIZE_LINES, "run_outer");
	ck_assert_uint_eq(sym.count, 1);
	expect_line(&sym.line[0], "outer", "", 0, 0);
	ck_assert_uint_eq(sn_symbolizer_counters(f.s)->bad_debug_info, 1);
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

START_TEST(symbolize_vdso_reads_its_memory)
{
	struct sn_images images = { 0 };
	char path[] = "[vdso]";
	struct sn_module m = { .kind = SN_MODULE_VDSO, .path = path, .image = sn_image_vdso(&images) };
	struct sn_symbolizer *s = sn_symbolizer_new(SN_SYMBOLIZE_LINES, "");
	bool found = m.image == NULL || m.image->memory == NULL;	/* a kernel without one */
	struct sn_symbol sym;

	for (uint64_t at = 0; !found && at < m.image->file_bytes; at += 16) {
		ck_assert_int_eq(sn_symbolize_batch(s, &m, &at, 1, &sym), 0);
		found = strstr(sym.line[0].name, "clock_gettime") != NULL;
	}
	ck_assert(found);
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
	if (has("dwz"))
		tcase_add_test(c, symbolize_with_dwz_file_follows_it_or_does_without);
	if (has("objcopy")) {
		tcase_add_test(c, symbolize_two_sections_of_strings_is_damage);
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

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, set_up, remove_dir);
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

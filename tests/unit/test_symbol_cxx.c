/* SPDX-License-Identifier: Apache-2.0
 *
 * test_symbol_cxx.c - names of C++ functions: by the linkage name, or composed of what they stand in.
 *
 * As test_symbol.c it compiles small libraries at run time; without g++ there is nothing to test.
 */
#include "unit/symbol_fixture.h"

static const char box_cc[] =
	"#define NI __attribute__((noinline))\nstatic void *volatile where;\n"
	"NI static void here() { where = __builtin_return_address(0); __asm__ volatile(\"\"); }\n"
	"namespace ns { template<class T> struct Box {\n#line 100 \"box.cc\"\n"
	"NI static void put(T) { here(); __asm__ volatile(\"\"); }\n}; }\n"
	"namespace { NI void secret(int) { here(); __asm__ volatile(\"\"); } }\n"
	"extern \"C\" void *run_box() { ns::Box<int>::put(1); return where; }\n"
	"extern \"C\" void *run_secret() { secret(1); return where; }\n"
	"extern \"C\" void *run_lambda() { auto f = [](int) NI { here(); __asm__(\"\"); }; f(1); return where; }\n";

/* All inlined and, most of them, by GCC without linkage name; each in its own function that tells where. */
static const char inlined_cc[] =
	"#define NI __attribute__((noinline))\n#define AI __attribute__((always_inline)) inline\n"
	"static void *volatile where;\n"
	"NI static void here() { where = __builtin_return_address(0); __asm__ volatile(\"\"); }\n"
	"#define BODY { here(); __asm__ volatile(\"\"); }\n"
	"static AI void top(int) BODY\n"
	"namespace work {\nstatic AI void sort(int) BODY\n"
	"inline namespace v1 { static AI void versioned(int) BODY }\n"
	"template<class T> static AI void of(T) BODY\n"
	"namespace { AI void hidden(int) BODY\n"
	"struct S { AI static void put(int); AI bool operator<(int) { here(); return 1; } };\n"
	"AI void S::put(int) BODY\n"
	"namespace deep { template<class T> struct In { AI operator T() { here(); return 1; } }; } }\n"
	"NI void *local() { struct L { AI void m() BODY }; L().m(); return where; }\n"
	"NI void *lambda(int n) { if (n) { auto f = [](int) AI_ BODY; f(n); } return where; }\n}\n"
	"#define RUN(name, ...) extern \"C\" void *name() { __VA_ARGS__; return where; }\n"
	"RUN(run_top, top(1)) RUN(run_sort, work::sort(1)) RUN(run_versioned, work::versioned(1))\n"
	"RUN(run_of, work::of<long>(1)) RUN(run_hidden, work::hidden(1)) RUN(run_put, work::S::put(1))\n"
	"RUN(run_less, (void)(work::S() < 1)) RUN(run_in, (void)(int)work::deep::In<int>())\n"
	"RUN(run_local, work::local()) RUN(run_lambda, work::lambda(1))\n"
	"RUN(run_own, { auto f = [](int) AI_ BODY; f(1); })\n";

static const struct {
	const char *run, *name;		/* lambdas are last: each compiler counts and names them its own way */
} inlined[] = {
	{ "run_top", "top" },
	{ "run_sort", "work::sort" },
	{ "run_versioned", "work::v1::versioned" },
	{ "run_of", "work::of" },
	{ "run_hidden", "work::(anonymous namespace)::hidden" },
	{ "run_put", "work::(anonymous namespace)::S::put" },
	{ "run_less", "work::(anonymous namespace)::S::operator<" },
	{ "run_in", "work::(anonymous namespace)::deep::In::operator int" },
	{ "run_local", "work::local::L::m" },
	{ "run_lambda", "work::lambda::{lambda}::operator()" },
	{ "run_own", "run_own::{lambda}::operator()" },
};

#define ALL		(sizeof(inlined) / sizeof(inlined[0]))
#define BUT_LAMBDAS	(ALL - 2)

static void
expect_inlined(const char *compile, size_t count)
{
	shell("%s -O2 -fPIC -shared '-DAI_=__attribute__((always_inline))' inlined.cc -o inlined.so", compile);
	for (size_t i = 0; i < count; i++) {
		struct sn_symbol sym = look_up_in("inlined.so", SN_SYMBOLIZE_LINES, inlined[i].run);

		ck_assert_msg(strcmp(sym.line[0].name, inlined[i].name) == 0, "%s: %s of %s, wanted %s", compile,
			sym.line[0].name, inlined[i].run, inlined[i].name);
		expect_no_damage();
	}
}

START_TEST(symbolize_cplusplus_gives_short_and_mangled_names)
{
	struct sn_symbol sym;

	shell("g++ -O1 -g -fPIC -shared box.cc -o box.so");
	sym = look_up_in("box.so", SN_SYMBOLIZE_LINES, "run_box");
	expect_line(&sym.line[0], "ns::Box::put", "box.cc", 100, 100);
	ck_assert_str_eq(sym.line[0].system_name, "_ZN2ns3BoxIiE3putEi");
	sym = look_up(run("box.so", "run_secret"));
	ck_assert_str_eq(sym.line[0].name, "(anonymous namespace)::secret");
	ck_assert_str_eq(sym.line[0].system_name, "_ZN12_GLOBAL__N_16secretEi");
	sym = look_up(run("box.so", "run_lambda"));
	ck_assert_str_eq(sym.line[0].name, "run_lambda::{lambda(int)#1}::operator()");
	expect_no_damage();
}
END_TEST

START_TEST(symbolize_inlined_cplusplus_without_linkage_names_gives_what_they_stand_in)
{
	expect_inlined("g++ -fno-ipa-icf -g", ALL);
	expect_inlined("g++ -fno-ipa-icf -gdwarf-4 -fdebug-types-section", ALL);
}
END_TEST

START_TEST(symbolize_inlined_cplusplus_of_other_units_gives_what_they_stand_in)
{
	expect_inlined("g++ -fno-ipa-icf -g -flto", ALL);
}
END_TEST

START_TEST(symbolize_inlined_cplusplus_of_clang_gives_the_same)
{
	expect_inlined("clang++ -g", BUT_LAMBDAS);
}
END_TEST

static void
set_up(void)
{
	make_dir();
	write_text("box.cc", box_cc);
	write_text("inlined.cc", inlined_cc);
}

int
main(void)
{
	Suite *suite = suite_create("symbol_cxx");
	TCase *c = tcase_create("symbol_cxx");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, set_up, remove_dir);
	if (has("g++")) {
		tcase_add_test(c, symbolize_cplusplus_gives_short_and_mangled_names);
		tcase_add_test(c, symbolize_inlined_cplusplus_without_linkage_names_gives_what_they_stand_in);
		tcase_add_test(c, symbolize_inlined_cplusplus_of_other_units_gives_what_they_stand_in);
	}
	if (has("clang++"))
		tcase_add_test(c, symbolize_inlined_cplusplus_of_clang_gives_the_same);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

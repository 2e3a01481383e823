/* SPDX-License-Identifier: Apache-2.0
 *
 * test_demangle.c - mangled names for people (src/symbol/demangle.c).
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/symbol.h"

struct pair {
	const char *mangled, *want;	/* want NULL: not mangled */
};

static void
expect(const struct pair *p, size_t n, bool full)
{
	for (size_t i = 0; i < n; i++) {
		char *got = sn_demangle(p[i].mangled, full);

		if (p[i].want == NULL)
			ck_assert_msg(got == NULL, "%s gave %s", p[i].mangled, got);
		else
			ck_assert_msg(got != NULL && strcmp(got, p[i].want) == 0, "%s gave %s, not %s", p[i].mangled,
				got == NULL ? "nothing" : got, p[i].want);
		free(got);
	}
}

#define EXPECT(pairs, full) expect(pairs, sizeof(pairs) / sizeof((pairs)[0]), full)

START_TEST(demangle_cplusplus_drops_parameters_and_template_arguments)
{
	static const struct pair p[] = {
		{ "_ZN3foo3barIiEEvT_", "foo::bar" },
		{ "_ZN3foo3barEi", "foo::bar" },
		{ "_ZNKSt6vectorIiSaIiEE4sizeEv", "std::vector::size" },
		{ "_ZN5boost3ltsILi3EEEvv", "boost::lts" },
		{ "_ZN9__gnu_cxx3absB5cxx11Ev", "__gnu_cxx::abs[abi:cxx11]" },
		{ "_ZN3FooC4Ev", "Foo::Foo" },
		{ "_ZN3FooD1Ev", "Foo::~Foo" },
	};

	EXPECT(p, false);
}
END_TEST

START_TEST(demangle_operators_keeps_their_symbols)
{
	static const struct pair p[] = {
		{ "_ZltIiEbT_S0_", "operator<" },
		{ "_ZlsIiEbT_S0_", "operator<<" },
		{ "_ZrsIiEbT_S0_", "operator>>" },
		{ "_ZssI1AEDaRKT_", "operator<=>" },
		{ "_ZN1AclEv", "A::operator()" },
		{ "_ZN1AclIiEEvT_", "A::operator()" },
		{ "_ZN1AptEv", "A::operator->" },
		{ "_ZN1AixEi", "A::operator[]" },
		{ "_ZN1Acv3FooIiEEv", "A::operator Foo" },
		{ "_ZnwmRKSt9nothrow_t", "operator new" },
		{ "_Zli2_xy", "operator\"\" _x" },
	};

	EXPECT(p, false);
}
END_TEST

START_TEST(demangle_local_names_keeps_namespaces_and_lambdas)
{
	static const struct pair p[] = {
		{ "_ZN12_GLOBAL__N_13fooEv", "(anonymous namespace)::foo" },
		{ "_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()" },
		{ "_ZZ3fooIiEvT_ENKUliE_clEi", "foo::{lambda(int)#1}::operator()" },
		{ "_ZZNK3Foo3barERKSt6vectorIiSaIiEEENKUlT_E_clIiEEDaS6_",
			"Foo::bar::{lambda(auto:1)#1}::operator()" },
		{ "_ZNSt8functionIFviEEC2IZ4mainEUliE_vEEOT_", "std::function::function" },
	};

	EXPECT(p, false);
}
END_TEST

START_TEST(demangle_special_names_keeps_their_words)
{
	static const struct pair p[] = {
		{ "_ZThn16_N3Foo3barEv", "non-virtual thunk to Foo::bar" },
		{ "_ZTV3Foo", "vtable for Foo" },
		{ "_ZN3Foo3barEv.cold", "Foo::bar" },
	};

	EXPECT(p, false);
}
END_TEST

START_TEST(demangle_full_gives_parameters_and_return_type)
{
	static const struct pair p[] = {
		{ "_ZN3foo3barIiEEvT_", "void foo::bar<int>(int)" },
		{ "_ZNKSt6vectorIiSaIiEE4sizeEv", "std::vector<int, std::allocator<int> >::size() const" },
	};

	EXPECT(p, true);
}
END_TEST

START_TEST(demangle_rust_gives_path_without_hash)
{
	static const struct pair p[] = {
		{ "_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place" },
		{ "_ZN4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "main::{{closure}}" },
		{ "_RNvCs1234_7mycrate3foo", "mycrate::foo" },
		{ "_RINvCs1234_7mycrate3foolE", "mycrate::foo::<i32>" },
	};

	EXPECT(p, false);
}
END_TEST

START_TEST(demangle_plain_or_broken_names_gives_nothing)
{
	static const struct pair p[] = {
		{ "main", NULL }, { "", NULL }, { "_", NULL }, { "_Z", NULL }, { "_R", NULL }, { "_Zfoo", NULL },
		{ "_ZN3foo", NULL }, { "printf", NULL }, { "_ZN99999999999999999999fooEv", NULL },
	};

	EXPECT(p, false);
	EXPECT(p, true);
}
END_TEST

/* f<A<int, int>, A<S, S> …>, in which each argument is the one before it twice: 2^levels characters. */
static void
doubling_name(char *name, unsigned levels)
{
	static const char digit[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	name += sprintf(name, "_Z1fI1AIiiE");
	for (unsigned i = 1; i <= levels; i++)		/* S1_ is A<int, int> */
		name += sprintf(name, "S0_IS%c_S%c_E", digit[i], digit[i]);
	sprintf(name, "EvT_");
}

START_TEST(demangle_name_that_expands_without_end_gives_up)
{
	char name[1024];
	char *text;

	doubling_name(name, 3);
	text = sn_demangle(name, false);
	ck_assert_pstr_eq(text, "f");
	free(text);
	doubling_name(name, 34);
	ck_assert_ptr_null(sn_demangle(name, true));
	ck_assert_ptr_null(sn_demangle(name, false));
}
END_TEST

START_TEST(demangle_deep_or_long_name_gives_up)
{
	size_t len = 200 * 1000;
	char *name = malloc(len + 1);

	ck_assert_ptr_nonnull(name);
	memset(name, 'P', len);
	memcpy(name, "_Z1f", 4);
	name[len] = '\0';
	ck_assert_ptr_null(sn_demangle(name, false));
	name[60000] = '\0';
	ck_assert_ptr_null(sn_demangle(name, true));
	memcpy(name, "_RN", 3);
	ck_assert_ptr_null(sn_demangle(name, true));
	free(name);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("demangle");
	TCase *c = tcase_create("demangle");
	SRunner *runner;
	int failed;

	tcase_add_test(c, demangle_cplusplus_drops_parameters_and_template_arguments);
	tcase_add_test(c, demangle_operators_keeps_their_symbols);
	tcase_add_test(c, demangle_local_names_keeps_namespaces_and_lambdas);
	tcase_add_test(c, demangle_special_names_keeps_their_words);
	tcase_add_test(c, demangle_full_gives_parameters_and_return_type);
	tcase_add_test(c, demangle_rust_gives_path_without_hash);
	tcase_add_test(c, demangle_plain_or_broken_names_gives_nothing);
	tcase_add_test(c, demangle_name_that_expands_without_end_gives_up);
	tcase_add_test(c, demangle_deep_or_long_name_gives_up);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

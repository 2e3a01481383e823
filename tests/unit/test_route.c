/* SPDX-License-Identifier: Apache-2.0
 *
 * test_route.c - paths, methods and queries to what they ask for: the rows of Go's net/http/pprof and ours.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "service/route.h"

static struct sn_route
route(enum sn_method method, const char *path, const char *query)
{
	struct sn_route r;

	memset(&r, 0xa5, sizeof(r));
	sn_route_parse(method, path, query, &r);
	return r;
}

#define ck_error(r, number, line) do { \
	ck_assert_int_eq((r).what, SN_ROUTE_ERROR); \
	ck_assert_int_eq((r).status, number); \
	ck_assert_str_eq((r).text, line); \
} while (0)

START_TEST(each_path_leads_to_its_place)
{
	static const struct {
		const char *path;
		enum sn_route_what what;
	} table[] = {
		{ "/", SN_ROUTE_ROOT }, { "/debug/pprof/", SN_ROUTE_INDEX },
		{ "/debug/pprof/cmdline", SN_ROUTE_CMDLINE }, { "/debug/pprof/symbol", SN_ROUTE_SYMBOL },
		{ "/debug/pprof/profile", SN_ROUTE_PROFILE }, { "/debug/sonde/status", SN_ROUTE_STATUS },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_int_eq(route(SN_GET, table[i].path, "").what, table[i].what);
		ck_assert_int_eq(route(SN_HEAD, table[i].path, "debug=1").what, table[i].what);
		ck_assert_int_eq(route(SN_GET, table[i].path, "").pid, 0);
		ck_assert_str_eq(route(SN_GET, table[i].path, "").text, "");
	}
}
END_TEST

START_TEST(path_without_its_slash_is_redirected_with_its_query)
{
	struct sn_route r = route(SN_GET, "/debug/pprof", "a=1");

	ck_assert_int_eq(r.what, SN_ROUTE_REDIRECT);
	ck_assert_str_eq(r.text, "/debug/pprof/?a=1");
	ck_assert_str_eq(route(SN_GET, "/pid/12/debug/pprof", "").text, "/pid/12/debug/pprof/");
	ck_assert_str_eq(route(SN_GET, "/debug/pprof", "a\rb").text, "/debug/pprof/");
}
END_TEST

START_TEST(redirect_drops_a_query_that_does_not_fit)
{
	char query[600];

	memset(query, 'q', sizeof(query) - 1);
	query[sizeof(query) - 1] = '\0';
	ck_assert_str_eq(route(SN_GET, "/debug/pprof", query).text, "/debug/pprof/");
	query[256 - sizeof("/debug/pprof/?")] = '\0';
	ck_assert_uint_eq(strlen(route(SN_GET, "/debug/pprof", query).text), 255);
}
END_TEST

START_TEST(unknown_name_is_404_unknown_profile)
{
	static const char *const names[] = {
		"/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/block", "/debug/pprof/mutex",
		"/debug/pprof/goroutine", "/debug/pprof/threadcreate", "/debug/pprof/trace", "/debug/pprof/x",
		"/debug/pprof/profile/", "/debug/pprof//profile", "/debug/pprof/Profile",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_error(route(SN_GET, names[i], "seconds=1"), 404, "Unknown profile");
	ck_error(route(SN_GET, "/pid/7/debug/pprof/heap", ""), 404, "Unknown profile");
}
END_TEST

START_TEST(unknown_path_is_404_page_not_found)
{
	static const char *const paths[] = {
		"/x", "/debug", "/debug/", "/debug/sonde/", "/debug/sonde/statuses", "//", "/pprof/profile", "/pid",
		"/pid/", "/pid/12", "/pid/x/debug/pprof/",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		ck_error(route(SN_GET, paths[i], ""), 404, "404 page not found");
	ck_error(route(SN_POST, "/x", ""), 404, "404 page not found");
}
END_TEST

START_TEST(other_method_is_405_with_the_allowed_ones)
{
	static const char *const paths[] = { "/", "/debug/pprof", "/debug/pprof/", "/debug/pprof/profile",
		"/debug/pprof/heap", "/debug/sonde/status" };
	struct sn_route r;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		for (int m = SN_POST; m <= SN_OTHER_METHOD; m++) {
			r = route((enum sn_method)m, paths[i], "");
			ck_error(r, 405, "Method Not Allowed");
			ck_assert_str_eq(r.allow, "GET, HEAD");
		}
	r = route(SN_OTHER_METHOD, "/debug/pprof/symbol", "");
	ck_error(r, 405, "Method Not Allowed");
	ck_assert_str_eq(r.allow, "GET, HEAD, POST");
	ck_assert_int_eq(route(SN_POST, "/debug/pprof/symbol", "").what, SN_ROUTE_SYMBOL);
}
END_TEST

START_TEST(seconds_that_are_no_positive_integer_count_as_30)
{
	static const struct {
		const char *query;
		double seconds;
	} table[] = {
		{ "", 30 }, { "seconds=5", 5 }, { "seconds=1", 1 }, { "seconds=3600", 3600 },
		{ "seconds=3601", 3600 }, { "seconds=99999999999999999999", 3600 }, { "seconds=0", 30 },
		{ "seconds=-1", 30 }, { "seconds=1.5", 30 }, { "seconds=x", 30 }, { "seconds=", 30 },
		{ "seconds", 30 }, { "seconds=5x", 30 }, { "seconds=+5", 30 }, { "debug=1&seconds=7&gc=1", 7 },
		{ "%73econds=%37", 7 }, { "seconds=5&seconds=9", 5 }, { "xseconds=5", 30 }, { "secondsx=5", 30 },
		{ "&&seconds=5", 5 }, { "=&seconds=5", 5 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct sn_route r = route(SN_GET, "/debug/pprof/profile", table[i].query);

		ck_assert_int_eq(r.what, SN_ROUTE_PROFILE);
		ck_assert_uint_eq(r.last, 0);
		ck_assert_msg(r.seconds == table[i].seconds, "%s: %g", table[i].query, r.seconds);
	}
}
END_TEST

START_TEST(last_is_an_integer_from_1_to_3600_or_400)
{
	static const char *const bad[] = { "last=0", "last=3601", "last=-1", "last=1.5", "last=", "last", "last=x",
		"last=99999999999999999999", "last=5%00", "last= 5" };
	struct sn_route r;

	r = route(SN_GET, "/debug/pprof/profile", "last=1&debug=0");
	ck_assert_int_eq(r.what, SN_ROUTE_PROFILE);
	ck_assert_uint_eq(r.last, 1);
	ck_assert(r.seconds == 0);
	ck_assert_uint_eq(route(SN_GET, "/debug/pprof/profile", "last=3600").last, 3600);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_error(route(SN_GET, "/debug/pprof/profile", bad[i]), 400,
			"invalid value for \"last\" - must be an integer from 1 to 3600");
}
END_TEST

START_TEST(seconds_and_last_are_incompatible)
{
	ck_error(route(SN_GET, "/debug/pprof/profile", "seconds=5&last=5"), 400,
		"seconds and last params are incompatible");
	ck_error(route(SN_GET, "/debug/pprof/profile", "last=x&seconds="), 400,
		"seconds and last params are incompatible");
}
END_TEST

START_TEST(pid_before_a_path_is_decimal_and_in_range)
{
	static const char *const bad[] = { "/pid/0/debug/pprof/", "/pid/4194305/debug/pprof/", "/pid/-1/debug/pprof/",
		"/pid/+1/debug/pprof/", "/pid/1x/debug/pprof/", "/pid/99999999999/debug/pprof/",
		"/pid/18446744073709551617/debug/pprof/", "/pid//debug/pprof/", "/pid/1/pid/2/debug/pprof/",
		"/pid/0x10/debug/pprof/" };

	ck_assert_int_eq(route(SN_GET, "/pid/1/debug/pprof/", "").pid, 1);
	ck_assert_int_eq(route(SN_GET, "/pid/4194304/debug/pprof/", "").pid, 4194304);
	ck_assert_int_eq(route(SN_GET, "/pid/42/debug/pprof/profile", "last=9").pid, 42);
	ck_assert_int_eq(route(SN_GET, "/pid/42/debug/sonde/status", "").what, SN_ROUTE_STATUS);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_error(route(SN_GET, bad[i], ""), 404, "404 page not found");
}
END_TEST

START_TEST(query_value_is_decoded_and_cut)
{
	char out[8];

	ck_assert(sn_query_value("a=1&b=x%20y+z", "b", out, sizeof(out)));
	ck_assert_str_eq(out, "x y z");
	ck_assert(sn_query_value("a=123456789", "a", out, sizeof(out)));
	ck_assert_str_eq(out, "1234567");
	ck_assert(sn_query_value("a=%4", "a", out, sizeof(out)));
	ck_assert_str_eq(out, "%4");
	ck_assert(sn_query_value("a=%zz%", "a", out, sizeof(out)));
	ck_assert_str_eq(out, "%zz%");
	ck_assert(sn_query_value("a", "a", out, sizeof(out)));
	ck_assert_str_eq(out, "");
	ck_assert(!sn_query_value("ab=1&b", "a", out, sizeof(out)));
	ck_assert(!sn_query_value("b=a", "a", out, sizeof(out)));
	ck_assert(!sn_query_value("", "a", out, sizeof(out)));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("route");
	TCase *t = tcase_create("route");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, each_path_leads_to_its_place);
	tcase_add_test(t, path_without_its_slash_is_redirected_with_its_query);
	tcase_add_test(t, redirect_drops_a_query_that_does_not_fit);
	tcase_add_test(t, unknown_name_is_404_unknown_profile);
	tcase_add_test(t, unknown_path_is_404_page_not_found);
	tcase_add_test(t, other_method_is_405_with_the_allowed_ones);
	tcase_add_test(t, seconds_that_are_no_positive_integer_count_as_30);
	tcase_add_test(t, last_is_an_integer_from_1_to_3600_or_400);
	tcase_add_test(t, seconds_and_last_are_incompatible);
	tcase_add_test(t, pid_before_a_path_is_decimal_and_in_range);
	tcase_add_test(t, query_value_is_decoded_and_cut);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

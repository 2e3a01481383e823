/* SPDX-License-Identifier: Apache-2.0
 *
 * test_http.c - requests of every form, and who may ask; limits and deadlines are in test_http_limits.c.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "unit/http_client.h"

TCase *limits_case(void);

#define L	"Host: localhost\r\n"

#define ck_answered(text, number) do { \
	int status_ = ask(text); \
	ck_assert_msg(status_ == (number), "%.60s: %d, not %d", text, status_, number); \
} while (0)
#define ck_in_answer(text) ck_assert_msg(strstr(answer, text) != NULL, "no %s in %s", text, answer)
#define ck_not_in_answer(text) ck_assert_msg(strstr(answer, text) == NULL, "%s in %s", text, answer)

START_TEST(get_is_answered_with_its_headers)
{
	ck_answered("GET /a%20b/c?x=%20y&z HTTP/1.1\r\nHost: localhost:6060\r\n\r\n", 200);
	ck_in_answer("method=GET path=/a b/c query=x=%20y&z host=localhost:6060 auth= body=\n");
	ck_in_answer("\r\nX-Content-Type-Options: nosniff\r\n");
	ck_in_answer("\r\nContent-Type: text/plain\r\n");
	ck_in_answer("\r\nContent-Length: ");
	ck_not_in_answer("Connection: close");
}
END_TEST

START_TEST(head_has_the_headers_of_get_and_no_body)
{
	ck_answered("HEAD /x HTTP/1.1\r\n" L "\r\n", 200);
	ck_in_answer("\r\nContent-Length: 54\r\n");
	ck_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}
END_TEST

START_TEST(post_brings_its_body)
{
	ck_answered("POST /symbol HTTP/1.1\r\n" L "Content-Length: 9\r\n\r\n0x1+0x2+3", 200);
	ck_in_answer("method=POST path=/symbol query= host=localhost auth= body=0x1+0x2+3\n");
	ck_answered("POST /s HTTP/1.1\r\n" L "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200);
	ck_in_answer("body=abcde\n");
	ck_answered("POST /s HTTP/1.1\r\n" L "\r\n", 200);
	ck_in_answer("body=\n");
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	struct client c = client_open();
	const char *one, *two;

	client_say(&c, "GET /one HTTP/1.1\r\n" L "\r\nGET /two HTTP/1.1\r\n" L "\r\n");
	client_wait(&c, 2);
	one = strstr(c.data, "path=/one");
	two = strstr(c.data, "path=/two");
	ck_assert(one != NULL && two != NULL && one < two && !c.is_closed);
	client_say(&c, "GET /three HTTP/1.1\r\n" L "\r\n");
	client_wait(&c, 3);
	ck_assert(client_has(&c, "path=/three"));
	client_close(&c);
}
END_TEST

START_TEST(request_may_come_byte_by_byte)
{
	static const char text[] = "POST /slow HTTP/1.1\r\n" L "Content-Length: 3\r\n\r\nabc";
	struct client c = client_open();

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		client_send(&c, text + i, 1);
	client_wait(&c, 1);
	ck_assert(client_has(&c, "body=abc\n"));
	client_close(&c);
}
END_TEST

START_TEST(absolute_uri_is_its_path)
{
	struct client c = client_open();

	ck_answered("GET http://127.0.0.1:1/p?q HTTP/1.1\r\n" L "\r\n", 200);
	ck_in_answer("path=/p query=q ");
	ck_answered("GET http://localhost HTTP/1.1\r\n" L "\r\n", 200);
	ck_in_answer("path=/ ");
	client_say(&c, "GET http://localhost/1 HTTP/1.1\r\n" L "\r\nGET /2 HTTP/1.1\r\n" L "\r\n");
	client_wait(&c, 2);
	ck_assert(client_has(&c, "path=/2"));
	client_close(&c);
}
END_TEST

START_TEST(other_methods_reach_the_route_and_get_405)
{
	static const char *const methods[] = { "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get",
		"AVERYLONGMETHODINDEEDANDEVENLONGER" };
	char text[128];

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n" L "\r\n", methods[i]);
		ck_answered(text, 405);
		ck_in_answer("\r\nAllow: GET, HEAD\r\n");
		ck_in_answer("\r\nX-Go-Pprof: 1\r\n");
		ck_in_answer("\r\nContent-Type: text/plain; charset=utf-8\r\n");
		ck_in_answer("\r\n\r\nMethod Not Allowed\n");
	}
	ck_answered("OPTIONS * HTTP/1.1\r\n" L "\r\n", 405);
	ck_answered("PUT / HTTP/1.1\r\n" L "Content-Length: 3\r\n\r\nabc", 405);
}
END_TEST

START_TEST(malformed_request_is_400)
{
	static const char *const bad[] = {
		"GET /\r\n\r\n", "GET / HTTP/0.9\r\n\r\n", "GET / HTTP/-1.1\r\n" L "\r\n", "GET / HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.1 x\r\n" L "\r\n", "\r\n\r\n", "x\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" L "Host: localhost\r\n\r\n",
		"GET / HTTP/1.1\r\n" L "no colon\r\n\r\n",
		"GET / HTTP/1.1\r\n" L "blank before : colon\r\n\r\n",
		"GET / HTTP/1.1\r\n" L ": no name\r\n\r\n",
		"GET x HTTP/1.1\r\n" L "\r\n",
		"GET /a%00b HTTP/1.1\r\n" L "\r\n",
		"POST / HTTP/1.1\r\n" L "Content-Length: -5\r\n\r\n",
		"POST / HTTP/1.1\r\n" L "Content-Length: +3\r\n\r\nabc",
		"POST / HTTP/1.1\r\n" L "Content-Length: x\r\n\r\n",
		"POST / HTTP/1.1\r\n" L "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\n" L "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"GET / HTTP/1.1\r\n" L "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\n" L "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\n" L "Transfer-Encoding: gzip\r\n\r\n",
		"POST / HTTP/1.1\r\n" L "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_answered(bad[i], 400);
}
END_TEST

START_TEST(malformed_request_ends_its_connection)
{
	struct client c = client_open();

	client_say(&c, "GET / HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n" L "\r\n");
	client_wait_closed(&c);
	ck_assert_int_eq(client_status(&c), 400);
	ck_assert(client_has(&c, "missing Host"));
	ck_assert(!client_has(&c, "/next"));
	client_close(&c);
}
END_TEST

START_TEST(nul_garbage_is_400)
{
	static const char garbage[] = "\0\0\0\0GET\0/\0 HTTP/1.1\r\n\r\n\0\0\xff\xfe\r\n\r\n";
	struct client c = client_open();

	client_send(&c, garbage, sizeof(garbage) - 1);
	client_wait_closed(&c);
	ck_assert_int_eq(client_status(&c), 400);
	client_close(&c);
}
END_TEST

START_TEST(bare_line_feeds_are_taken)
{
	ck_answered("GET /lf HTTP/1.1\nHost: localhost\n\n", 200);
	ck_in_answer("path=/lf ");
}
END_TEST

START_TEST(body_too_large_is_413_at_once)
{
	ck_answered("POST / HTTP/1.1\r\n" L "Content-Length: 99999999999\r\n\r\n", 413);
	ck_answered("POST / HTTP/1.1\r\n" L "Content-Length: 65537\r\n\r\n", 413);
	ck_answered("POST / HTTP/1.1\r\n" L "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413);
	ck_answered("POST / HTTP/1.1\r\n" L "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", 413);
}
END_TEST

START_TEST(headers_too_large_are_refused)
{
	char *text = malloc(40000);
	struct client c;
	int status;

	for (int i = 0; i < 3; i++) {
		if (i == 0)
			(void)sprintf(text, "GET /%020000d HTTP/1.1\r\n" L "\r\n", 0);
		else if (i == 1)
			(void)sprintf(text, "GET / HTTP/1.1\r\n" L "X: %020000d\r\n\r\n", 0);
		else
			(void)sprintf(text, "GET / HTTP/1.1\r\n" L "X: %020000d", 0);	/* and never ends */
		c = client_open();
		client_say(&c, text);
		client_wait_closed(&c);
		status = client_status(&c);
		ck_assert_msg(status == 400 || status == 414 || status == 431, "%d", status);
		client_close(&c);
	}
	(void)sprintf(text, "GET /%08000d HTTP/1.1\r\n" L "\r\n", 0);
	ck_assert_int_eq(ask(text), 200);
	free(text);
}
END_TEST

START_TEST(body_of_a_get_is_not_the_next_request)
{
	static const char smuggled[] = "GET /smuggled HTTP/1.1\r\n" L "\r\n";
	char text[256];
	struct client c = client_open();

	(void)snprintf(text, sizeof(text), "GET /outer HTTP/1.1\r\n" L "Content-Length: %zu\r\n\r\n%s",
		sizeof(smuggled) - 1, smuggled);
	client_say(&c, text);
	client_wait_closed(&c);
	ck_assert(client_has(&c, "path=/outer"));
	ck_assert(client_has(&c, "Connection: close"));
	ck_assert(!client_has(&c, "/smuggled"));
	client_close(&c);
}
END_TEST

START_TEST(http_1_0_needs_no_host_and_closes)
{
	struct client c = client_open();

	client_say(&c, "GET /old HTTP/1.0\r\n\r\n");
	client_wait_closed(&c);
	ck_assert_int_eq(client_status(&c), 200);
	ck_assert(client_has(&c, "path=/old query= host= "));
	client_close(&c);
}
END_TEST

START_TEST(client_that_has_said_all_is_still_answered)
{
	struct client c = client_open();

	client_say(&c, "GET /big HTTP/1.1\r\n" L "\r\n");
	(void)shutdown(c.fd, SHUT_WR);
	client_wait(&c, 1);
	ck_assert_uint_gt(c.len, BIG);
	client_close(&c);
}
END_TEST

START_TEST(attachment_name_cannot_leave_its_header)
{
	ck_answered("GET /file HTTP/1.1\r\n" L "\r\n", 200);
	ck_in_answer("\r\nContent-Disposition: attachment; filename=\"pro_fi_le\"\r\n");
}
END_TEST

START_TEST(route_without_an_answer_is_500)
{
	ck_answered("GET /silent HTTP/1.1\r\n" L "\r\n", 500);
}
END_TEST

START_TEST(host_on_loopback_is_localhost_or_an_address)
{
	static const char *const good[] = { "localhost", "LOCALHOST", "localhost:6060", "127.0.0.1", "127.0.0.1:1",
		"[::1]", "[::1]:6060", "10.2.3.4:80", "localhost:" };
	static const char *const bad[] = { "example.com", "example.com:6060", "localhost.example.com", "localhost.",
		"127.0.0.1.example.com", "[::1].example.com", "127.1", "2130706433", "[::1", "::1", "localhost:6060x",
		"a@localhost", "localhost/", "", "127.0.0.1:123456", "[localhost]" };
	char text[128];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
		ck_answered(text, 200);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
		ck_answered(text, 403);
	}
}
END_TEST

START_TEST(host_cannot_be_hidden_behind_an_absolute_uri)
{
	ck_answered("GET http://localhost/ HTTP/1.1\r\nHost: example.com\r\n\r\n", 403);
	ck_answered("GET //localhost/x HTTP/1.1\r\nHost: example.com\r\n\r\n", 403);
	ck_answered("GET http://example.com/ HTTP/1.1\r\n" L "\r\n", 403);
	ck_answered("GET http://example.com/ HTTP/1.0\r\n\r\n", 403);
}
END_TEST

START_TEST(with_tokens_one_of_them_is_needed)
{
	listen_with("127.0.0.1:0", "first-one\nsecond-one\n");
	ck_answered("GET / HTTP/1.1\r\n" L "\r\n", 401);
	ck_in_answer("\r\nWWW-Authenticate: Bearer\r\n");
	ck_in_answer("\r\nX-Content-Type-Options: nosniff\r\n");
	ck_answered("GET / HTTP/1.1\r\n" L "Authorization: Bearer first-two\r\n\r\n", 401);
	ck_answered("GET / HTTP/1.1\r\n" L "Authorization: Basic first-one\r\n\r\n", 401);
	ck_answered("GET / HTTP/1.1\r\n" L "Authorization: Bearer first-one\r\n\r\n", 200);
	ck_answered("GET / HTTP/1.1\r\nHost: example.com\r\nAuthorization: Bearer second-one\r\n\r\n", 200);
	ck_in_answer("auth=Bearer second-one");
	ck_answered("GET / HTTP/1.1\r\n" L "Authorization: Bearer first-one\r\nAuthorization: x\r\n\r\n", 400);
	ck_answered("GET / HTTP/1.1\r\nAuthorization: Bearer first-one\r\n\r\n", 400);
}
END_TEST

START_TEST(beyond_loopback_tokens_are_needed_to_listen)
{
	struct sn_address a;
	struct sn_tokens none = { .is_open = true };
	char why[256];
	uint16_t at;

	ck_assert_int_eq(sn_address_parse("0.0.0.0:0", &a, why, sizeof(why)), 0);
	ck_assert_int_eq(sn_http_listen_tcp(http, &a, NULL, NULL, &at), -EACCES);
	ck_assert_int_eq(sn_http_listen_tcp(http, &a, &none, NULL, &port), 0);
	ck_answered("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 200);
}
END_TEST

START_TEST(word_none_on_loopback_keeps_the_rule_of_hosts)
{
	listen_with("localhost:0", "none");
	ck_answered("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 403);
	ck_answered("GET / HTTP/1.1\r\n" L "\r\n", 200);
}
END_TEST

START_TEST(taken_port_is_said_so)
{
	struct sn_address a = { .host = "127.0.0.1", .port = port, .is_loopback = true };
	uint16_t at;

	ck_assert_int_eq(sn_http_listen_tcp(http, &a, NULL, NULL, &at), -EADDRINUSE);
}
END_TEST

static void
tagged(void *ctx, void *tag, struct sn_request *r)
{
	*(void **)ctx = tag;
	sn_request_reply(r, 200, "text/plain", NULL, "other\n", 6);
}

START_TEST(two_servers_do_not_mix)
{
	struct sn_address a = { .host = "127.0.0.1", .is_loopback = true };
	void *tag = NULL;
	struct sn_http *other = sn_http_new(base, tagged, &tag);
	struct sn_http_figures f;
	uint16_t first = port;

	ck_assert_int_eq(sn_http_listen_tcp(other, &a, NULL, &a, &port), 0);
	ck_assert_int_eq(ask("GET /x HTTP/1.1\r\n" L "\r\n"), 200);
	ck_assert_ptr_nonnull(strstr(answer, "\r\n\r\nother\n"));
	ck_assert_ptr_eq(tag, &a);
	sn_http_figures(other, &f);
	ck_assert_uint_eq(f.requests, 1);
	sn_http_figures(http, &f);
	ck_assert_uint_eq(f.requests, 0);
	sn_http_free(other);
	port = first;
	ck_assert_int_eq(ask("GET /x HTTP/1.1\r\n" L "\r\n"), 200);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("http");
	TCase *t = tcase_create("forms");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 3 * PATIENCE_S);
	tcase_add_test(t, get_is_answered_with_its_headers);
	tcase_add_test(t, head_has_the_headers_of_get_and_no_body);
	tcase_add_test(t, post_brings_its_body);
	tcase_add_test(t, pipelined_requests_are_answered_in_order);
	tcase_add_test(t, request_may_come_byte_by_byte);
	tcase_add_test(t, absolute_uri_is_its_path);
	tcase_add_test(t, other_methods_reach_the_route_and_get_405);
	tcase_add_test(t, malformed_request_is_400);
	tcase_add_test(t, malformed_request_ends_its_connection);
	tcase_add_test(t, nul_garbage_is_400);
	tcase_add_test(t, bare_line_feeds_are_taken);
	tcase_add_test(t, body_too_large_is_413_at_once);
	tcase_add_test(t, headers_too_large_are_refused);
	tcase_add_test(t, body_of_a_get_is_not_the_next_request);
	tcase_add_test(t, http_1_0_needs_no_host_and_closes);
	tcase_add_test(t, client_that_has_said_all_is_still_answered);
	tcase_add_test(t, attachment_name_cannot_leave_its_header);
	tcase_add_test(t, route_without_an_answer_is_500);
	tcase_add_test(t, host_on_loopback_is_localhost_or_an_address);
	tcase_add_test(t, host_cannot_be_hidden_behind_an_absolute_uri);
	tcase_add_test(t, with_tokens_one_of_them_is_needed);
	tcase_add_test(t, beyond_loopback_tokens_are_needed_to_listen);
	tcase_add_test(t, word_none_on_loopback_keeps_the_rule_of_hosts);
	tcase_add_test(t, taken_port_is_said_so);
	tcase_add_test(t, two_servers_do_not_mix);
	suite_add_tcase(s, t);
	suite_add_tcase(s, limits_case());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

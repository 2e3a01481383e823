/* SPDX-License-Identifier: Apache-2.0
 *
 * test_client.c - URLs, answers of hostile servers, the status text.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deliver/status.h"
#include "tools/client.h"

/* ---- URLs ---- */

static char why[160];

static int
url(const char *text, struct sn_url *u)
{
	why[0] = '\0';
	return sn_url_parse(text, u, why, sizeof(why));
}

START_TEST(good_urls_are_taken_apart)
{
	static const struct {
		const char *text, *host, *port, *authority, *path;
	} rows[] = {
		{ "http://localhost:6060", "localhost", "6060", "localhost:6060", "" },
		{ "http://localhost:6060/", "localhost", "6060", "localhost:6060", "/" },
		{ "HTTP://10.0.0.1", "10.0.0.1", "80", "10.0.0.1", "" },
		{ "http://[::1]:1/debug/pprof/heap?debug=1", "::1", "1", "[::1]:1", "/debug/pprof/heap?debug=1" },
		{ "http://[fe80::1]", "fe80::1", "80", "[fe80::1]", "" },
		{ "http://h:065535?seconds=3", "", "", "", "" },
		{ "http://h:65535?seconds=3", "h", "65535", "h:65535", "/?seconds=3" },
	};
	struct sn_url u;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].host[0] == '\0') {
			ck_assert_int_eq(url(rows[i].text, &u), -EINVAL);
			continue;
		}
		ck_assert_msg(url(rows[i].text, &u) == 0, "%s: %s", rows[i].text, why);
		ck_assert_str_eq(u.host, rows[i].host);
		ck_assert_str_eq(u.port, rows[i].port);
		ck_assert_str_eq(u.authority, rows[i].authority);
		ck_assert_str_eq(u.path, rows[i].path);
	}
}
END_TEST

START_TEST(bad_urls_say_what_is_wrong)
{
	static const struct {
		const char *text, *word;
	} rows[] = {
		{ "https://localhost:6060", "https" }, { "localhost:6060", "http://" }, { "", "http://" },
		{ "http://", "host" }, { "http://:6060", "host" }, { "http://h:", "port" }, { "http://h:0", "port" },
		{ "http://h:65536", "port" }, { "http://h:6x", "port" }, { "http://h:6060000000", "port" },
		{ "http://[::1", "]" }, { "http://[::1]x", "PORT" }, { "http://[]:1", "host" },
		{ "http://u:p@h:1", "token" }, { "http://h:1/a b", "blanks" }, { "http://h:1/\r\nX: y", "blanks" },
		{ "http://h:1/a#b", "fragment" },
	};
	char longer[3000];
	struct sn_url u;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(url(rows[i].text, &u) == -EINVAL, "%s was taken", rows[i].text);
		ck_assert_msg(strstr(why, rows[i].word) != NULL, "%s: %s", rows[i].text, why);
	}
	(void)snprintf(longer, sizeof(longer), "http://h:1/%02500d", 0);
	ck_assert_int_eq(url(longer, &u), -EINVAL);
	(void)snprintf(longer, sizeof(longer), "http://%0300d:1/", 0);
	ck_assert_int_eq(url(longer, &u), -EINVAL);
}
END_TEST

/* ---- answers ---- */

static struct sn_answer answer;

static int
take(const char *text)
{
	int r;

	sn_answer_free(&answer);
	sn_answer_init(&answer, 100);
	r = sn_answer_feed(&answer, text, strlen(text));
	return r != 0 ? r : sn_answer_end(&answer);
}

static void
refused(const char *text, int err, const char *word)
{
	ck_assert_msg(take(text) == err, "%.60s: %s", text, answer.why);
	ck_assert_msg(strstr(answer.why, word) != NULL, "%.60s: %s", text, answer.why);
}

START_TEST(a_good_answer_is_taken_whole_or_in_bytes)
{
	static const char text[] = "HTTP/1.1 200 OK\r\ncontent-type: Text/Plain; charset=utf-8\r\n"
		"X-GO-PPROF: 1\r\nContent-Length:  5 \r\n\r\nhello";

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		int r = 0;

		sn_answer_init(&answer, 100);
		for (size_t i = 0; i < sizeof(text) - 1; i += piece) {
			ck_assert_int_eq(r, 0);
			r = sn_answer_feed(&answer, text + i,
				piece < sizeof(text) - 1 - i ? piece : sizeof(text) - 1 - i);
		}
		ck_assert_int_eq(r, 1);
		ck_assert_int_eq(answer.status, 200);
		ck_assert_str_eq(answer.reason, "OK");
		ck_assert_str_eq(answer.type, "text/plain");
		ck_assert(answer.is_pprof_error);
		ck_assert_uint_eq(answer.body.len, 5);
		ck_assert_int_eq(memcmp(answer.body.data, "hello", 5), 0);
		sn_answer_free(&answer);
	}
}
END_TEST

START_TEST(without_a_length_the_end_is_the_end)
{
	ck_assert_int_eq(take("HTTP/1.0 404 Not Found\n\nUnknown profile\n"), 0);
	ck_assert_int_eq(answer.status, 404);
	ck_assert_uint_eq(answer.body.len, 16);
	ck_assert_int_eq(take("HTTP/1.0 204\r\nContent-Length: 0\r\n\r\n"), 1);
	sn_answer_free(&answer);
}
END_TEST

START_TEST(hostile_answers_are_refused_with_a_reason)
{
	refused("", -EPROTO, "without an answer");
	refused("SSH-2.0-OpenSSH_9.6\r\n", -EPROTO, "SSH-2.0");
	refused("\033[2J\r\n", -EPROTO, "?[2J");
	refused("HTTP/2 200 OK\r\n\r\n", -EPROTO, "HTTP/2");
	refused("HTTP/1.1 2x0 OK\r\n\r\n", -EPROTO, "HTTP/1");
	refused("HTTP/1.1 2000 OK\r\n\r\n", -EPROTO, "HTTP/1");
	refused("HTTP/1.1 099 OK\r\n\r\n", -EPROTO, "HTTP/1");
	refused("HTTP/1.1 200 OK\r\nContent-Le", -EPROTO, "of the head");
	refused("HTTP/1.1 200 OK\r\n: x\r\n\r\n", -EPROTO, "without a name");
	refused("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", -EPROTO, "without a name");
	refused("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", -EPROTO, "after 4 of 5");
	refused("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello", -EPROTO, "more than");
	refused("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EPROTO, "no number");
	refused("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", -EPROTO, "no number");
	refused("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", -EPROTO, "no number");
	refused("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", -EFBIG, "at most 100");
	refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", -EPROTO, "two different");
	refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -EPROTO, "Transfer-Encoding");
	refused("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", -EPROTO, "Content-Encoding");
	sn_answer_free(&answer);
}
END_TEST

START_TEST(a_head_or_body_without_end_is_cut_off)
{
	static char line[100];
	int r;

	sn_answer_init(&answer, 1000);
	r = sn_answer_feed(&answer, "HTTP/1.1 200 OK\r\n", 17);
	memset(line, 'a', sizeof(line));
	line[10] = ':';
	line[99] = '\n';
	for (int i = 0; i < 1000 && r == 0; i++)
		r = sn_answer_feed(&answer, line, sizeof(line));
	ck_assert_int_eq(r, -EFBIG);
	ck_assert_uint_le(answer.head.len, SN_ANSWER_HEAD_MAX);
	sn_answer_free(&answer);
	sn_answer_init(&answer, 1000);
	r = sn_answer_feed(&answer, "HTTP/1.1 200 OK\r\n\r\n", 19);
	for (int i = 0; i < 1000 && r == 0; i++)
		r = sn_answer_feed(&answer, line, sizeof(line));
	ck_assert_int_eq(r, -EFBIG);
	ck_assert_uint_eq(answer.body.len, 1000);
	sn_answer_free(&answer);
	sn_answer_init(&answer, 1000);
	ck_assert_int_eq(sn_answer_feed(&answer, "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", 25), -EPROTO);
	sn_answer_free(&answer);
}
END_TEST

START_TEST(the_servers_line_is_fit_for_a_terminal)
{
	char line[16];

	ck_assert_int_eq(take("HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\na\033]0;b\007\nmore\n"), 0);
	sn_answer_line(&answer, line, sizeof(line));
	ck_assert_str_eq(line, "a?]0;b?");
	ck_assert_int_eq(take("HTTP/1.1 500 No\r\nX-Go-Pprof: 1\r\n\r\n0123456789012345678901234567890"), 0);
	sn_answer_line(&answer, line, sizeof(line));
	ck_assert_str_eq(line, "012345678901234");
	ck_assert_int_eq(take("HTTP/1.1 500 No\r\nContent-Type: text/html\r\n\r\n<html>"), 0);
	sn_answer_line(&answer, line, sizeof(line));
	ck_assert_str_eq(line, "");
	sn_answer_free(&answer);
}
END_TEST

/* ---- a server ---- */

static char name[64];			/* its abstract socket */

/* A child that gives this answer to one client, after it has read the request (into a pipe). */
static pid_t
serve(const char *text, size_t len, int linger_s, int *request)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), to[2];
	pid_t pid;

	(void)snprintf(name, sizeof(name), "@sonde-test-client-%d", (int)getpid());
	strcpy(at.sun_path, name);
	at.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(pipe(to), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char asked[4096];
		int c = accept(fd, NULL, NULL);
		ssize_t n = recv(c, asked, sizeof(asked), 0);

		(void)signal(SIGPIPE, SIG_IGN);
		if (n > 0 && write(to[1], asked, (size_t)n) == n)
			(void)send(c, text, len, MSG_NOSIGNAL);
		if (linger_s > 0)
			(void)sleep((unsigned)linger_s);
		_exit(0);
	}
	(void)close(fd);
	(void)close(to[1]);
	*request = to[0];
	return pid;
}

static void
end_server(pid_t pid, int request)
{
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	(void)close(request);
	sn_answer_free(&answer);
}

START_TEST(what_is_asked_and_what_comes_back)
{
	static const char text[] = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct sn_get get = { .socket = name, .path = "/debug/pprof/profile?seconds=1", .token = "secret",
		.idle_ms = 10000, .body_max = 100 };
	char asked[4096] = "";
	int request;
	pid_t pid = serve(text, sizeof(text) - 1, 5, &request);

	ck_assert_int_eq(sn_client_get(&get, &answer), 0);	/* does not wait for the end of the connection */
	ck_assert_int_eq(answer.status, 200);
	ck_assert_uint_eq(answer.body.len, 2);
	ck_assert_int_gt(read(request, asked, sizeof(asked) - 1), 0);
	ck_assert_ptr_eq(strstr(asked, "GET /debug/pprof/profile?seconds=1 HTTP/1.0\r\nHost: localhost\r\n"), asked);
	ck_assert_ptr_nonnull(strstr(asked, "\r\nAuthorization: Bearer secret\r\n"));
	ck_assert_ptr_nonnull(strstr(asked, "\r\nConnection: close\r\n"));
	ck_assert_str_eq(asked + strlen(asked) - 4, "\r\n\r\n");
	end_server(pid, request);
}
END_TEST

START_TEST(a_server_that_leaves_early_or_lies_is_named)
{
	static const struct {
		const char *text, *word;
	} rows[] = {
		{ "", "without an answer" },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 50\r\n\r\nok", "after 2 of 50" },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nok", "more than" },
		{ "220 mail.example ESMTP\r\n", "220 mail" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sn_get get = { .socket = name, .path = "/", .idle_ms = 10000, .body_max = 100 };
		int request;
		pid_t pid = serve(rows[i].text, strlen(rows[i].text), 0, &request);

		ck_assert_int_eq(sn_client_get(&get, &answer), -EPROTO);
		ck_assert_msg(strstr(answer.why, rows[i].word) != NULL, "%s", answer.why);
		end_server(pid, request);
	}
}
END_TEST

START_TEST(a_silent_server_is_given_up)
{
	static const char half[] = "HTTP/1.0 200 OK\r\n";
	struct sn_get get = { .socket = name, .path = "/", .idle_ms = 50, .body_max = 100 };
	int request;
	pid_t pid = serve(half, sizeof(half) - 1, 60, &request);

	ck_assert_int_eq(sn_client_get(&get, &answer), -ETIMEDOUT);
	end_server(pid, request);
	get.idle_ms = 60000;
	get.total_ms = 50;
	pid = serve(half, sizeof(half) - 1, 60, &request);
	ck_assert_int_eq(sn_client_get(&get, &answer), -ETIMEDOUT);
	end_server(pid, request);
}
END_TEST

START_TEST(nobody_there_is_said)
{
	struct sn_url u;
	struct sn_get get = { .socket = "@sonde-test-nobody", .path = "/", .idle_ms = 50, .body_max = 100 };

	ck_assert_int_eq(sn_client_get(&get, &answer), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(answer.why, "@sonde-test-nobody"));
	sn_answer_free(&answer);
	ck_assert_int_eq(url("http://127.0.0.1:1", &u), 0);	/* tcpmux: nobody has it */
	get.socket = NULL;
	get.url = &u;
	ck_assert_int_eq(sn_client_get(&get, &answer), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(answer.why, "cannot connect"));
	sn_answer_free(&answer);
}
END_TEST

/* ---- status ---- */

START_TEST(a_status_comes_back_as_it_was_put)
{
	struct sn_buf b = { 0 };
	struct sn_status st;

	for (int k = 0; k < SN_STATUS_COUNT; k++)
		sn_status_put(&b, (enum sn_status_key)k, "%s is %d", sn_status_name((enum sn_status_key)k), k);
	ck_assert_int_eq(b.err, 0);
	ck_assert_int_eq(sn_status_parse(b.data, b.len, &st), SN_STATUS_COUNT);
	for (int k = 0; k < SN_STATUS_COUNT; k++) {
		char expected[64];

		(void)snprintf(expected, sizeof(expected), "%s is %d", sn_status_name((enum sn_status_key)k), k);
		ck_assert_str_eq(st.value[k], expected);
	}
	sn_buf_free(&b);
	sn_status_put(&b, SN_STATUS_program, "a\nlost 5");	/* a name that wants to be two lines */
	ck_assert_int_eq(sn_status_parse(b.data, b.len, &st), 1);
	ck_assert_str_eq(st.value[SN_STATUS_program], "a?lost 5");
	sn_buf_free(&b);
}
END_TEST

START_TEST(a_hostile_status_does_no_harm)
{
	static const char text[] = "pid 12\npid 13\nnobody knows\n\nlost\nhttp \n\n"
		"program \033[2J\302\233x\001\nkinds cpu";
	char longer[SN_STATUS_VALUE_MAX + 100];
	struct sn_status st;

	ck_assert_int_eq(sn_status_parse(text, sizeof(text) - 1, &st), 3);
	ck_assert_str_eq(st.value[SN_STATUS_pid], "12");
	ck_assert_str_eq(st.value[SN_STATUS_program], "?[2J??x?");
	ck_assert_str_eq(st.value[SN_STATUS_kinds], "cpu");
	ck_assert_str_eq(st.value[SN_STATUS_lost], "");
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "hz ", 3);
	ck_assert_int_eq(sn_status_parse(longer, sizeof(longer), &st), 1);
	ck_assert_uint_eq(strlen(st.value[SN_STATUS_hz]), SN_STATUS_VALUE_MAX - 1);
	ck_assert_int_eq(sn_status_parse("hz a\0b\n", 7, &st), 1);
	ck_assert_str_eq(st.value[SN_STATUS_hz], "a?b");
	ck_assert_int_eq(sn_status_parse(NULL, 0, &st), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("client");
	TCase *c = tcase_create("client");
	SRunner *r;
	int failed;

	tcase_add_test(c, good_urls_are_taken_apart);
	tcase_add_test(c, bad_urls_say_what_is_wrong);
	tcase_add_test(c, a_good_answer_is_taken_whole_or_in_bytes);
	tcase_add_test(c, without_a_length_the_end_is_the_end);
	tcase_add_test(c, hostile_answers_are_refused_with_a_reason);
	tcase_add_test(c, a_head_or_body_without_end_is_cut_off);
	tcase_add_test(c, the_servers_line_is_fit_for_a_terminal);
	tcase_add_test(c, what_is_asked_and_what_comes_back);
	tcase_add_test(c, a_server_that_leaves_early_or_lies_is_named);
	tcase_add_test(c, a_silent_server_is_given_up);
	tcase_add_test(c, nobody_there_is_said);
	tcase_add_test(c, a_status_comes_back_as_it_was_put);
	tcase_add_test(c, a_hostile_status_does_no_harm);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

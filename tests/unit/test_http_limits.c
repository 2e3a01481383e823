/* SPDX-License-Identifier: Apache-2.0
 *
 * test_http_limits.c - deadlines, held requests, clients that leave, the cap, Unix sockets.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "unit/http_client.h"

TCase *limits_case(void);

#define L	"Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" L "\r\n"
#define FOREVER	3000.0

static struct sn_http_figures
figures(void)
{
	struct sn_http_figures f;

	sn_http_figures(http, &f);
	return f;
}

static bool
connections_are(void *arg)
{
	return figures().connections == (uint32_t)(uintptr_t)arg;
}

static bool
held_are(void *arg)
{
	return held_count == (int)(intptr_t)arg;
}

static bool
gone_are(void *arg)
{
	return gone_count == (int)(intptr_t)arg;
}

#define WAIT(is_so, n)	wait_until(is_so, (void *)(intptr_t)(n))

START_TEST(silence_is_closed)
{
	struct client c = client_open();

	sn_http_set_deadlines(http, 0.05, FOREVER);
	client_wait_closed(&c);
	ck_assert_uint_eq(c.len, 0);
	client_close(&c);
}
END_TEST

START_TEST(headers_that_trickle_do_not_move_the_deadline)
{
	struct client c = client_open();

	sn_http_set_deadlines(http, 0.2, FOREVER);
	client_say(&c, "GET / HTTP/1.1\r\n");
	while (!c.is_closed) {		/* each byte would begin evhttp's own timeout again */
		client_say(&c, "X");
		usleep(5000);
		c.is_closed = recv(c.fd, answer, sizeof(answer), MSG_DONTWAIT) != -1 || errno != EAGAIN;
		ck_assert(figures().requests == 0);
	}
	client_close(&c);
}
END_TEST

START_TEST(body_that_does_not_come_is_closed)
{
	struct client c = client_open();

	sn_http_set_deadlines(http, 0.05, FOREVER);
	client_say(&c, "POST / HTTP/1.1\r\n" L "Content-Length: 5\r\n\r\nabc");
	client_wait_closed(&c);
	ck_assert_uint_eq(figures().requests, 0);
	client_close(&c);
}
END_TEST

START_TEST(idle_connection_gets_the_deadline_of_headers_again)
{
	struct client c = client_open();

	client_say(&c, GET("/x"));
	client_wait(&c, 1);
	ck_assert(!c.is_closed);
	sn_http_set_deadlines(http, 0.05, FOREVER);
	client_say(&c, GET("/y"));
	client_wait(&c, 2);
	client_wait_closed(&c);
	ck_assert(client_has(&c, "path=/y"));
	client_close(&c);
}
END_TEST

START_TEST(held_request_outlives_the_deadline_of_headers)
{
	struct client c = client_open();

	sn_http_set_deadlines(http, 0.05, FOREVER);
	client_say(&c, GET("/hold?0"));
	WAIT(held_are, 1);
	ck_assert_uint_eq(figures().held, 1);
	for (int i = 0; i < 30; i++) {	/* five times as long */
		usleep(10000);
		turn();
	}
	ck_assert_int_eq(gone_count, 0);
	sn_request_reply(held[0], 200, "text/plain", NULL, "late\n", 5);
	ck_assert_uint_eq(figures().held, 0);
	client_wait(&c, 1);
	ck_assert(client_has(&c, "\r\n\r\nlate\n"));
	client_close(&c);
}
END_TEST

START_TEST(held_request_ends_at_its_own_deadline)
{
	struct client c = client_open();

	sn_http_set_deadlines(http, FOREVER, 0.05);
	client_say(&c, GET("/hold?0.05"));
	client_wait_closed(&c);
	ck_assert_int_eq(gone_count, 1);
	ck_assert_uint_eq(figures().connections, 0);
	client_close(&c);
}
END_TEST

START_TEST(client_that_leaves_a_held_request_is_noticed)
{
	struct client c[3];

	for (int i = 0; i < 3; i++) {
		c[i] = client_open();
		client_say(&c[i], i < 2 ? GET("/hold?1000") : "POST /hold?1000 HTTP/1.1\r\n" L
			"Content-Length: 2\r\n\r\nab");
		WAIT(held_are, i + 1);
	}
	client_close(&c[1]);
	WAIT(gone_are, 1);
	ck_assert(held[0] != NULL && held[1] == NULL && held[2] != NULL);
	client_close(&c[2]);
	WAIT(gone_are, 2);
	ck_assert_uint_eq(figures().connections, 1);
	sn_request_error(held[0], 500, "%s", "done");
	client_wait(&c[0], 1);
	ck_assert_int_eq(client_status(&c[0]), 500);
	client_close(&c[0]);
	WAIT(connections_are, 0);
	ck_assert_int_eq(gone_count, 2);
}
END_TEST

/* evhttp 2.1 ends the process when it reads while an answer is due. */
START_TEST(requests_sent_while_one_is_held_wait_their_turn)
{
	struct client c = client_open();
	const char *first, *second;

	client_say(&c, GET("/hold?1000"));
	WAIT(held_are, 1);
	client_say(&c, GET("/second"));
	client_say(&c, GET("/hold?1000"));
	for (int i = 0; i < 20; i++)
		turn();
	ck_assert_int_eq(held_count, 1);
	sn_request_reply(held[0], 200, "text/plain", NULL, "first\n", 6);
	WAIT(held_are, 2);
	sn_request_reply(held[1], 200, "text/plain", NULL, "third\n", 6);
	client_wait(&c, 3);
	first = strstr(c.data, "\r\nfirst\n");
	second = strstr(c.data, "path=/second");
	ck_assert(first != NULL && second != NULL && first < second);
	ck_assert(strstr(second, "\r\nthird\n") != NULL);
	client_close(&c);
}
END_TEST

START_TEST(flood_behind_a_held_request_is_bounded)
{
	struct client c = client_open();
	char *flood = calloc(1, 1 << 20);
	size_t sent = 0;
	int idle = 0;

	client_say(&c, GET("/hold?1000"));
	WAIT(held_are, 1);
	while (idle < 100) {
		ssize_t n = send(c.fd, flood, 1 << 20, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turn();
		ck_assert_uint_lt(sent, 64u << 20);	/* what the kernel's own buffers take */
	}
	ck_assert_uint_le(evbuffer_get_length(bufferevent_get_input(held[0]->conn->bev)), 64u << 10);
	sn_request_reply(held[0], 200, "text/plain", NULL, "x", 1);
	client_wait_closed(&c);
	ck_assert_int_eq(client_status(&c), 200);
	free(flood);
	client_close(&c);
}
END_TEST

START_TEST(hold_again_takes_the_later_deadline_and_function)
{
	struct client c = client_open();

	sn_http_set_deadlines(http, FOREVER, 0.05);
	client_say(&c, GET("/hold?1000"));
	WAIT(held_are, 1);
	sn_request_hold(held[0], 0, NULL, NULL);
	client_wait_closed(&c);
	ck_assert_int_eq(gone_count, 0);
	client_close(&c);
}
END_TEST

START_TEST(slow_reader_is_counted_and_closed_while_others_are_answered)
{
	struct client c = client_open();
	int small = 4096;

	(void)setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	sn_http_set_deadlines(http, FOREVER, 0.3);
	client_say(&c, GET("/big"));
	ck_assert_int_eq(ask(GET("/other")), 200);
	ck_assert_uint_gt(figures().bytes_held, BIG / 4);
	WAIT(connections_are, 0);
	ck_assert_uint_eq(figures().bytes_held, 0);
	client_close(&c);
}
END_TEST

START_TEST(client_that_leaves_its_answer_is_noticed)
{
	struct client c = client_open();

	sn_http_set_deadlines(http, FOREVER, FOREVER);
	client_say(&c, GET("/big"));
	ck_assert_uint_gt(figures().bytes_held, 0);
	client_close(&c);
	WAIT(connections_are, 0);
}
END_TEST

START_TEST(at_the_cap_the_longest_waiting_gives_way)
{
	static struct client c[SN_HTTP_CONNECTIONS];

	sn_http_set_deadlines(http, FOREVER, FOREVER);
	c[0] = client_open();
	client_say(&c[0], GET("/hold?1000"));
	WAIT(held_are, 1);
	for (int i = 1; i < SN_HTTP_CONNECTIONS; i++) {
		c[i] = client_open();
		client_say(&c[i], "GET / HTT");
		WAIT(connections_are, i + 1);
	}
	ck_assert_int_eq(ask(GET("/new")), 200);
	ck_assert_uint_eq(figures().refused, 1);
	client_wait_closed(&c[1]);
	ck_assert_int_eq(recv(c[2].fd, answer, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(gone_count, 0);
	for (int i = 0; i < SN_HTTP_CONNECTIONS; i++)
		client_close(&c[i]);
	WAIT(connections_are, 0);
	ck_assert_int_eq(gone_count, 1);
}
END_TEST

START_TEST(at_the_cap_of_requests_the_new_one_is_closed)
{
	static struct client c[SN_HTTP_CONNECTIONS];
	struct client late;

	sn_http_set_deadlines(http, FOREVER, FOREVER);
	for (int i = 0; i < SN_HTTP_CONNECTIONS; i++) {
		c[i] = client_open();
		client_say(&c[i], GET("/hold?1000"));
		WAIT(held_are, i + 1);
	}
	ck_assert_uint_eq(figures().held, SN_HTTP_CONNECTIONS);
	late = client_open();
	client_wait_closed(&late);
	ck_assert_uint_eq(late.len, 0);
	ck_assert_uint_eq(figures().refused, 1);
	ck_assert_int_eq(gone_count, 0);
	client_close(&late);
	for (int i = 0; i < SN_HTTP_CONNECTIONS; i++)
		client_close(&c[i]);
	WAIT(gone_are, SN_HTTP_CONNECTIONS);
}
END_TEST

START_TEST(without_descriptors_the_longest_waiting_gives_way)
{
	struct client c[8], late;
	struct rlimit old, few;

	sn_http_set_deadlines(http, FOREVER, FOREVER);
	c[0] = client_open();
	client_say(&c[0], GET("/hold?1000"));
	WAIT(held_are, 1);
	for (int i = 1; i < 8; i++) {
		c[i] = client_open();
		WAIT(connections_are, i + 1);
	}
	late = client_open();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ (rlim_t)late.fd + 1, old.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	client_say(&late, GET("/late"));
	client_wait(&late, 1);
	ck_assert_int_eq(client_status(&late), 200);
	ck_assert_int_eq(gone_count, 0);
	ck_assert_uint_ge(figures().refused, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 0; i < 8; i++)
		client_close(&c[i]);
	client_close(&late);
}
END_TEST

START_TEST(all_that_is_open_ends_with_the_server)
{
	struct client c[4];

	for (int i = 0; i < 4; i++)
		c[i] = client_open();
	client_say(&c[0], GET("/hold?1000"));
	WAIT(held_are, 1);
	client_say(&c[1], GET("/big"));
	client_say(&c[2], "POST / HT");
	client_close(&c[3]);
	c[3] = client_open();			/* not accepted yet */
	sn_http_free(http);
	ck_assert_int_eq(gone_count, 1);
	http = NULL;
	for (int i = 0; i < 4; i++) {
		client_wait_closed(&c[i]);
		client_close(&c[i]);
	}
}
END_TEST

/* A listening Unix socket of a name that the kernel gives; *at to connect to. */
static int
unix_socket(struct sockaddr_un *at, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	*len = sizeof(*at);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)at, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)at, len), 0);
	return fd;
}

static struct client
unix_client(const struct sockaddr_un *at, socklen_t len, const char *own_name)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (own_name != NULL) {
		(void)snprintf(own.sun_path, sizeof(own.sun_path), "%s", own_name);
		(void)unlink(own_name);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
		(void)unlink(own_name);
	}
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)at, len), 0);
	return client_of(fd);
}

START_TEST(unix_socket_serves_with_its_tag_and_any_host)
{
	struct sockaddr_un at;
	socklen_t len;
	struct sn_http_listener *l = sn_http_listen_fd(http, unix_socket(&at, &len), getuid(), &at);
	struct client c = unix_client(&at, len, NULL);

	ck_assert_ptr_nonnull(l);
	client_say(&c, "GET /u HTTP/1.1\r\nHost: whatever\r\n\r\nGET /v HTTP/1.1\r\n\r\n");
	client_wait_closed(&c);
	ck_assert_int_eq(client_status(&c), 200);
	ck_assert(client_has(&c, "path=/u ") && client_has(&c, "HTTP/1.1 400 "));
	ck_assert_ptr_eq(last_tag, &at);
	client_close(&c);
}
END_TEST

/* evhttp turns peers' addresses into text, and exits if it cannot. */
START_TEST(unix_client_with_a_long_name_is_served)
{
	char name[100];
	struct sockaddr_un at;
	socklen_t len;
	struct client c;

	ck_assert_ptr_nonnull(sn_http_listen_fd(http, unix_socket(&at, &len), getuid(), NULL));
	(void)snprintf(name, sizeof(name), "/tmp/%080d", (int)getpid());
	c = unix_client(&at, len, name);
	client_say(&c, GET("/u"));
	client_wait(&c, 1);
	ck_assert_int_eq(client_status(&c), 200);
	client_close(&c);
}
END_TEST

START_TEST(unix_listener_that_is_ended_lets_connections_go_on_without_tag)
{
	struct sockaddr_un at;
	socklen_t len;
	struct sn_http_listener *l = sn_http_listen_fd(http, unix_socket(&at, &len), getuid(), &at);
	struct client c = unix_client(&at, len, NULL);
	int fd;

	client_say(&c, GET("/u"));
	client_wait(&c, 1);
	sn_http_unlisten(l);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, len), -1);
	(void)close(fd);
	client_say(&c, GET("/u"));
	client_wait(&c, 2);
	ck_assert_ptr_null(last_tag);
	client_close(&c);
	WAIT(connections_are, 0);
	turn();
	l = sn_http_listen_fd(http, unix_socket(&at, &len), getuid(), &at);
	sn_http_unlisten(l);			/* without connections */
	turn();
	ck_assert_int_eq(ask(GET("/tcp")), 200);
}
END_TEST

START_TEST(unix_peer_of_another_user_is_closed_at_once)
{
	struct sockaddr_un at;
	socklen_t len;
	struct client c;
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		printf("skipped: only root can be another user\n");
		return;
	}
	ck_assert_ptr_nonnull(sn_http_listen_fd(http, unix_socket(&at, &len), 12345, NULL));
	for (int i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0) {
			int fd = socket(AF_UNIX, SOCK_STREAM, 0), got;

			if (setuid(i == 0 ? 54321 : 12345) != 0 || connect(fd, (struct sockaddr *)&at, len) != 0 ||
			    send(fd, GET("/x"), sizeof(GET("/x")) - 1, MSG_NOSIGNAL) < 0)
				_exit(3);
			got = recv(fd, answer, 1, 0) == 1;
			_exit(got);
		}
		ck_assert_int_gt(pid, 0);
		while (waitpid(pid, &status, WNOHANG) == 0) {
			turn();
			usleep(200);
		}
		ck_assert_int_eq(WEXITSTATUS(status), i);
	}
	ck_assert_uint_eq(figures().refused, 1);
	c = unix_client(&at, len, NULL);	/* root may */
	client_say(&c, GET("/x"));
	client_wait(&c, 1);
	ck_assert_int_eq(client_status(&c), 200);
	client_close(&c);
}
END_TEST

START_TEST(large_body_comes_through_after_a_held_request)
{
	static char body[60001];
	struct client c = client_open();

	memset(body, 'b', sizeof(body) - 1);
	client_say(&c, GET("/hold?1000"));
	WAIT(held_are, 1);
	client_say(&c, "POST /next HTTP/1.1\r\n" L "Content-Length: 60000\r\n\r\n");
	sn_request_reply(held[0], 200, "text/plain", NULL, "first\n", 6);
	client_say(&c, body);
	client_wait(&c, 2);
	ck_assert(client_has(&c, "path=/next"));
	client_close(&c);
}
END_TEST

static bool
is_reset(void *arg)
{
	return send(*(int *)arg, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN;
}

START_TEST(child_that_closed_its_copies_holds_no_client)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct client c = client_open();
	int pair[2], status, fd;
	char byte = 0;
	pid_t pid;

	client_say(&c, GET("/x"));
	client_wait(&c, 1);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(pair[1]);
		(void)close(c.fd);
		sn_http_close_in_child(http);
		_exit(write(pair[0], &byte, 1) == 1 && read(pair[0], &byte, 1) == 0 ? 0 : 1);
	}
	(void)close(pair[0]);
	ck_assert_int_eq(read(pair[1], &byte, 1), 1);
	ck_assert_int_eq(ask(GET("/y")), 200);		/* the parent has not lost its own */
	client_say(&c, GET("/z"));
	client_wait(&c, 2);
	sn_http_free(http);
	http = NULL;
	client_wait_closed(&c);
	wait_until(is_reset, &c.fd);
	to.sin_port = htons(port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
	(void)close(fd);
	client_close(&c);
	(void)close(pair[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

TCase *
limits_case(void)
{
	TCase *t = tcase_create("limits");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 3 * PATIENCE_S);
	tcase_add_test(t, silence_is_closed);
	tcase_add_test(t, headers_that_trickle_do_not_move_the_deadline);
	tcase_add_test(t, body_that_does_not_come_is_closed);
	tcase_add_test(t, idle_connection_gets_the_deadline_of_headers_again);
	tcase_add_test(t, held_request_outlives_the_deadline_of_headers);
	tcase_add_test(t, held_request_ends_at_its_own_deadline);
	tcase_add_test(t, client_that_leaves_a_held_request_is_noticed);
	tcase_add_test(t, requests_sent_while_one_is_held_wait_their_turn);
	tcase_add_test(t, flood_behind_a_held_request_is_bounded);
	tcase_add_test(t, large_body_comes_through_after_a_held_request);
	tcase_add_test(t, hold_again_takes_the_later_deadline_and_function);
	tcase_add_test(t, slow_reader_is_counted_and_closed_while_others_are_answered);
	tcase_add_test(t, client_that_leaves_its_answer_is_noticed);
	tcase_add_test(t, at_the_cap_the_longest_waiting_gives_way);
	tcase_add_test(t, at_the_cap_of_requests_the_new_one_is_closed);
	tcase_add_test(t, without_descriptors_the_longest_waiting_gives_way);
	tcase_add_test(t, all_that_is_open_ends_with_the_server);
	tcase_add_test(t, unix_socket_serves_with_its_tag_and_any_host);
	tcase_add_test(t, unix_client_with_a_long_name_is_served);
	tcase_add_test(t, unix_listener_that_is_ended_lets_connections_go_on_without_tag);
	tcase_add_test(t, unix_peer_of_another_user_is_closed_at_once);
	tcase_add_test(t, child_that_closed_its_copies_holds_no_client);
	return t;
}

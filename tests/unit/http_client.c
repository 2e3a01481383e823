/* SPDX-License-Identifier: Apache-2.0
 *
 * http_client.c - see http_client.h.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit/http_client.h"

struct event_base *base;
struct sn_http *http;
uint16_t port;
struct sn_request *held[300];
int held_count, gone_count;
void *last_tag;
char answer[65536];

static void
on_gone(void *arg)
{
	int i = (int)(intptr_t)arg;

	ck_assert_ptr_nonnull(held[i]);
	held[i] = NULL;
	gone_count++;
}

static void
describe(struct sn_request *r)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "OTHER" };
	char text[4096];
	size_t len;
	const char *body = sn_request_body(r, &len);

	(void)snprintf(text, sizeof(text), "method=%s path=%s query=%s host=%s auth=%s body=%.*s\n",
		methods[sn_request_method(r)], sn_request_path(r), sn_request_query(r), sn_request_host(r),
		sn_request_authorization(r), (int)len, len > 0 ? body : "");
	sn_request_reply(r, 200, "text/plain", NULL, text, strlen(text));
}

static void
route(void *ctx, void *tag, struct sn_request *r)
{
	static char big[BIG];
	const char *path = sn_request_path(r);

	ck_assert_ptr_eq(ctx, &port);
	last_tag = tag;
	if (sn_request_method(r) == SN_OTHER_METHOD) {
		sn_request_header(r, "Allow", "GET, HEAD");
		sn_request_error(r, 405, "Method Not Allowed");
	} else if (strcmp(path, "/hold") == 0) {
		held[held_count] = r;
		sn_request_hold(r, strtod(sn_request_query(r), NULL), on_gone, (void *)(intptr_t)held_count++);
	} else if (strcmp(path, "/big") == 0) {
		sn_request_reply(r, 200, "application/octet-stream", NULL, big, sizeof(big));
	} else if (strcmp(path, "/file") == 0) {
		sn_request_reply(r, 200, "application/octet-stream", "pro\"fi\nle", "x", 1);
	} else if (strcmp(path, "/silent") != 0) {
		describe(r);
	}
}

void
listen_with(const char *host, const char *tokens)
{
	struct sn_address a;
	struct sn_tokens t = { 0 };
	char why[256];

	ck_assert_int_eq(sn_address_parse(host, &a, why, sizeof(why)), 0);
	if (tokens != NULL && strcmp(tokens, "none") == 0)
		t.is_open = true;
	else if (tokens != NULL)
		ck_assert_int_eq(sn_tokens_parse(tokens, strlen(tokens), &t, why, sizeof(why)), 0);
	ck_assert_int_eq(sn_http_listen_tcp(http, &a, tokens != NULL ? &t : NULL, &base, &port), 0);
	sn_tokens_free(&t);
}

void
setup(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	held_count = gone_count = 0;
	memset(held, 0, sizeof(held));
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	http = sn_http_new(base, route, &port);
	ck_assert_ptr_nonnull(http);
	listen_with("127.0.0.1:0", NULL);
}

void
teardown(void)
{
	sn_http_free(http);
	event_base_free(base);
}

void
turn(void)
{
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

struct client
client_of(int fd)
{
	struct client c = { .fd = fd, .data = calloc(1, 1) };

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_nonnull(c.data);
	return c;
}

struct client
client_open(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return client_of(fd);
}

/* What there is to read. */
static void
take(struct client *c)
{
	char *more = realloc(c->data, c->len + 65537);
	ssize_t n;

	ck_assert_ptr_nonnull(more);
	c->data = more;
	n = recv(c->fd, c->data + c->len, 65536, MSG_DONTWAIT);
	if (n > 0)
		c->len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		c->is_closed = true;
	c->data[c->len] = '\0';
}

static void
be_patient(uint64_t since_ns, const char *what)
{
	ck_assert_msg(sn_clock_mono_ns() - since_ns < PATIENCE_S * SN_NS_PER_SEC, "%s did not come", what);
	(void)usleep(200);
}

void
client_send(struct client *c, const void *data, size_t len)
{
	uint64_t start = sn_clock_mono_ns();

	for (size_t at = 0; at < len;) {
		ssize_t n = send(c->fd, (const char *)data + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		turn();
		if (n > 0)
			at += (size_t)n;
		else if (errno != EAGAIN)
			return;			/* the server has had enough of it */
		else
			be_patient(start, "room to send");
	}
}

void
client_say(struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
}

/* Whole answers in what came; to a HEAD there is no body. */
static int
answers(const struct client *c, bool to_head)
{
	const char *at = c->data, *end = c->data + c->len;
	int n = 0;

	while (at < end) {
		const char *stop = strstr(at, "\r\n\r\n"), *length = strcasestr(at, "\r\nContent-Length:");
		size_t body = stop != NULL && length != NULL && length < stop ? strtoul(length + 17, NULL, 10) : 0;

		if (stop == NULL || (!to_head && (size_t)(end - stop - 4) < body))
			break;
		at = stop + 4 + (to_head ? 0 : body);
		n++;
	}
	return n;
}

static void
wait_for(struct client *c, int count, bool to_head)
{
	uint64_t start = sn_clock_mono_ns();

	while (!c->is_closed && answers(c, to_head) < count) {
		turn();
		take(c);
		be_patient(start, "the answer");
	}
}

void
client_wait(struct client *c, int count)
{
	wait_for(c, count, false);
}

void
client_wait_closed(struct client *c)
{
	uint64_t start = sn_clock_mono_ns();

	while (!c->is_closed) {
		turn();
		take(c);
		be_patient(start, "the end of the connection");
	}
}

void
client_close(struct client *c)
{
	(void)close(c->fd);
	free(c->data);
	c->data = NULL;
}

int
client_status(const struct client *c)
{
	return strncmp(c->data, "HTTP/1.", 7) == 0 ? atoi(c->data + 9) : 0;
}

bool
client_has(const struct client *c, const char *text)
{
	return strstr(c->data, text) != NULL;
}

int
ask(const char *text)
{
	struct client c = client_open();
	int status;

	client_say(&c, text);
	wait_for(&c, 1, strncmp(text, "HEAD", 4) == 0);
	for (int i = 0; i < 20; i++)	/* a body that should not be there would come now */
		turn();
	take(&c);
	(void)snprintf(answer, sizeof(answer), "%s", c.data);
	status = client_status(&c);
	client_close(&c);
	return status;
}

void
wait_until(bool (*is_so)(void *arg), void *arg)
{
	uint64_t start = sn_clock_mono_ns();

	while (!is_so(arg)) {
		turn();
		be_patient(start, "what was waited for");
	}
}

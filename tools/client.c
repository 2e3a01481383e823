/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c - one GET (see client.h).
 *
 * Runs in:  the sonde command.
 * Memory:   the answer's, up to get->body_max.
 * When the server is slow: -ETIMEDOUT after idle_ms without a byte, or after total_ms.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "deliver/socket.h"
#include "tools/client.h"

#define CONNECT_MS	10000
#define READ_BYTES	(64u << 10)

struct client {
	const struct sn_get *get;
	struct sn_answer *out;
	int fd;
	uint64_t deadline_ns;	/* of all; 0 none */
};

__attribute__((format(printf, 3, 4))) static int
refuse(struct client *c, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->out->why, sizeof(c->out->why), fmt, ap);
	va_end(ap);
	return err;
}

/* Wait for the descriptor.  0, or -ETIMEDOUT or another -errno. */
static int
wait_for(struct client *c, int fd, short events, unsigned ms)
{
	uint64_t now = sn_clock_mono_ns(), until = now + (uint64_t)ms * 1000000;

	if (c->deadline_ns != 0 && c->deadline_ns < until)
		until = c->deadline_ns;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		uint64_t left_ms = until > now ? (until - now + 999999) / 1000000 : 0;
		int n = poll(&p, 1, left_ms > 1000000000 ? 1000000000 : (int)left_ms);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		now = sn_clock_mono_ns();
		if (n == 0 && now >= until)
			return -ETIMEDOUT;
	}
}

/* One address of a host.  A descriptor or -errno. */
static int
connect_to(struct client *c, const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	int err = 0;
	socklen_t len = sizeof(err);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		err = errno == EINPROGRESS ? wait_for(c, fd, POLLOUT, CONNECT_MS) : -errno;
		if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
			err = errno;
		err = err > 0 ? -err : err;
	}
	if (err < 0)
		(void)close(fd);
	return err < 0 ? err : fd;
}

static int
open_tcp(struct client *c)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	const struct sn_url *u = c->get->url;
	struct addrinfo *all, *a;
	int fd = -EADDRNOTAVAIL;
	int e = getaddrinfo(u->host, u->port, &hints, &all);

	if (e != 0)
		return refuse(c, -EHOSTUNREACH, "host %.80s: %s", u->host, gai_strerror(e));
	for (a = all; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_to(c, a);
	freeaddrinfo(all);
	return fd < 0 ? refuse(c, fd, "cannot connect: %s", strerror(-fd)) : fd;
}

static int
open_unix(struct client *c)
{
	int fd = sn_socket_connect(c->get->socket);

	return fd < 0 ? refuse(c, fd, "cannot connect to %.80s: %s", c->get->socket, strerror(-fd)) : fd;
}

static int
send_all(struct client *c, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
		int err;

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* It may have answered and closed without reading: then the answer says why. */
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		err = errno == EAGAIN ? wait_for(c, c->fd, POLLOUT, CONNECT_MS) : -errno;
		if (err < 0)
			return refuse(c, err, "cannot send the request: %s", strerror(-err));
	}
	return 0;
}

static int
send_request(struct client *c)
{
	const struct sn_get *g = c->get;
	struct sn_buf b = { 0 };
	int err;

	sn_buf_putf(&b, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: sonde\r\nConnection: close\r\n", g->path,
		g->socket != NULL ? "localhost" : g->url->authority);
	if (g->token != NULL)
		sn_buf_putf(&b, "Authorization: Bearer %s\r\n", g->token);
	sn_buf_putf(&b, "\r\n");
	err = b.err < 0 ? refuse(c, b.err, "out of memory") : send_all(c, b.data, b.len);
	sn_buf_free(&b);
	return err;
}

static int
receive(struct client *c)
{
	static uint8_t bytes[READ_BYTES];
	int err = 0;

	while (err == 0) {
		ssize_t n;

		err = wait_for(c, c->fd, POLLIN, c->get->idle_ms);
		if (err < 0)
			return refuse(c, err, "no answer: %s", strerror(-err));
		n = recv(c->fd, bytes, sizeof(bytes), 0);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return refuse(c, -errno, "the connection broke: %s", strerror(errno));
		if (n == 0)
			return sn_answer_end(c->out);
		err = sn_answer_feed(c->out, bytes, (size_t)n);
	}
	return err < 0 ? err : 0;
}

int
sn_client_get(const struct sn_get *get, struct sn_answer *out)
{
	struct client c = { .get = get, .out = out };
	int err;

	sn_answer_init(out, get->body_max);
	if (get->total_ms != 0)
		c.deadline_ns = sn_clock_mono_ns() + (uint64_t)get->total_ms * 1000000;
	c.fd = get->socket != NULL ? open_unix(&c) : open_tcp(&c);
	if (c.fd < 0)
		return c.fd;
	err = send_request(&c);
	if (err == 0)
		err = receive(&c);
	(void)close(c.fd);
	return err;
}

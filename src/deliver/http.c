/* SPDX-License-Identifier: Apache-2.0
 *
 * http.c - listeners, connections and their deadlines.
 *
 * Runs in:  the collector's event loop; one thread.
 * Memory:   a struct evhttp a listener, so that a connection knows where it came in; it outlives the listener until
 *           its last connection has gone.
 * When full: the connection that has waited longest for a request gives way to a new one; if all have one, the new
 *           one is closed.
 * Traps of evhttp 2.1: its timeouts restart with each byte, so none is set and an event of ours closes; it exits when
 *           bytes come while an answer is due, see sn_request_hold(); it drops what it has read of a request that
 *           nobody answers, see sn_conn_request_gone().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "deliver/http_parts.h"

#define LOG_LINES_MAX	10		/* of libevent, a minute */
#define BACKLOG		128
#define RESUME_MS	100		/* after accept() had no descriptor left */

/* evconnlistener passes its error callback the struct evhttp, which leads nowhere. */
static struct sn_http *servers;

/* What libevent says goes to the log: never to stderr, never without end, never a client's control characters. */
static void
on_libevent_log(int severity, const char *text)
{
	static uint64_t minute;
	static uint32_t lines;
	uint64_t now = sn_clock_mono_ns() / (60 * SN_NS_PER_SEC) + 1;
	char line[256];
	size_t i = 0;

	if (severity == EVENT_LOG_DEBUG)
		return;
	if (now != minute)
		lines = 0;
	minute = now;
	if (lines++ >= LOG_LINES_MAX)
		return;
	for (; text[i] != '\0' && i < sizeof(line) - 1; i++)
		line[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	line[i] = '\0';
	sn_log(SN_LOG_FILE, "libevent: %s", line);
}

void
sn_conn_deadline(struct sn_conn *c, double seconds)
{
	struct timeval tv;

	tv.tv_sec = (time_t)seconds;
	tv.tv_usec = (suseconds_t)((seconds - (double)tv.tv_sec) * 1e6);
	(void)event_add(c->timer, &tv);		/* fails only without memory for a timer that it has already */
}

/* Out of the list, and freed; evhttp's part of it is not touched. */
static void
forget(struct sn_conn *c)
{
	struct sn_http *h = c->http;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		h->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	h->figures.connections--;
	c->listener->connections--;
	if (c->listener->bound == NULL && c->listener->connections == 0)
		event_active(h->sweep, EV_TIMEOUT, 1);	/* evhttp is still at work on it */
	event_free(c->timer);
	free(c);
}

/* evhttp ends the connection: its client, the deadline or we wanted it. */
static void
on_close(struct evhttp_connection *ev, void *arg)
{
	struct sn_conn *c = arg;

	(void)ev;
	sn_conn_request_gone(c);
	forget(c);
}

/* The one that has waited longest for a request makes room. */
static bool
one_gives_way(struct sn_http *h, const struct sn_conn *but)
{
	struct sn_conn *oldest = NULL;

	for (struct sn_conn *c = h->conns; c != NULL; c = c->next)
		if (c != but && c->ev != NULL && c->state == SN_CONN_WAITING &&
		    (oldest == NULL || c->since_ns < oldest->since_ns))
			oldest = c;
	if (oldest == NULL)
		return false;
	evhttp_connection_free(oldest->ev);
	return true;
}

static bool
may_connect(const struct sn_http_listener *l, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!l->is_unix)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == l->owner || peer.uid == geteuid() || peer.uid == 0;
}

/* Once evhttp has set the connection up.  False: it had no memory, and has closed it. */
static bool
attach(struct sn_conn *c)
{
	void *ev = NULL;

	bufferevent_getcb(c->bev, NULL, NULL, NULL, &ev);
	(void)bufferevent_decref(c->bev);
	c->ev = ev;
	if (ev == NULL) {
		forget(c);
		return false;
	}
	evhttp_connection_set_closecb(c->ev, on_close, c);
	return true;
}

/* Before any event of the connection. */
static void
begin(struct sn_conn *c)
{
	struct sn_http *h = c->http;

	if (!attach(c))
		return;
	sn_conn_deadline(c, h->headers_s);
	if (!may_connect(c->listener, bufferevent_getfd(c->bev))) {
		h->figures.refused++;
		sn_log(SN_LOG_FILE, "a process of another user was refused at the Unix socket");
		evhttp_connection_free(c->ev);
	} else if (h->figures.connections > SN_HTTP_CONNECTIONS) {
		h->figures.refused++;
		if (!one_gives_way(h, c))
			evhttp_connection_free(c->ev);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sn_conn *c = arg;

	(void)fd;
	if ((what & EV_TIMEOUT) == 0)
		begin(c);
	else
		evhttp_connection_free(c->ev);
}

/*
 * evhttp accepts a connection and asks for its bufferevent; its own struct exists only after our return.  begin()
 * runs as the next event of all.
 */
static struct bufferevent *
on_accept(struct event_base *base, void *arg)
{
	static const struct timeval limit = { .tv_sec = SN_HTTP_HEADERS_S };
	struct sn_http_listener *l = arg;
	struct sn_http *h = l->http;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
	struct sn_conn *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->timer = event_new(base, -1, 0, on_timer, c);
	if (bev == NULL || c == NULL || c->timer == NULL) {
		if (c != NULL && c->timer != NULL)
			event_free(c->timer);
		free(c);
		if (bev != NULL)	/* on_request() will not know it */
			bufferevent_set_timeouts(bev, &limit, &limit);
		return bev;
	}
	bufferevent_setwatermark(bev, EV_READ, 0, SN_HTTP_INPUT_MAX);
	bufferevent_incref(bev);
	c->http = h;
	c->listener = l;
	c->bev = bev;
	c->since_ns = sn_clock_mono_ns();
	c->next = h->conns;
	if (c->next != NULL)
		c->next->prev = c;
	h->conns = c;
	h->figures.connections++;
	l->connections++;
	event_active(c->timer, EV_READ, 1);
	return bev;
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct sn_http_listener *l = arg;
	struct evhttp_connection *evcon = evhttp_request_get_connection(ev);
	struct sn_conn *c = l->http->conns;

	l->http->figures.requests++;
	while (c != NULL && c->ev != evcon)
		c = c->next;
	if (c != NULL)
		sn_conn_request(c, ev);
	else
		evhttp_send_error(ev, HTTP_SERVUNAVAIL, NULL);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct sn_http_listener *l = arg;

	(void)fd;
	(void)what;
	if (l->bound != NULL)
		(void)evconnlistener_enable(evhttp_bound_socket_get_listener(l->bound));
}

/* No descriptors left: the listener stays readable; with none to be had, only a pause lets us do anything else. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = { .tv_usec = RESUME_MS * 1000 };
	int err = errno;

	for (struct sn_http *h = servers; h != NULL; h = h->next)
		for (struct sn_http_listener *l = h->listeners; l != NULL; l = l->next) {
			if ((void *)l->ev != arg)
				continue;
			on_libevent_log(EVENT_LOG_WARN, strerror(err));
			h->figures.refused++;
			if (!one_gives_way(h, NULL) && event_add(l->resume, &pause) == 0)
				(void)evconnlistener_disable(listener);
			return;
		}
}

static void
free_listener(struct sn_http_listener *l)
{
	if (l->ev != NULL)
		evhttp_free(l->ev);	/* closes the socket and, by on_close(), the connections */
	if (l->resume != NULL)
		event_free(l->resume);
	sn_tokens_free(&l->tokens);
	free(l);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct sn_http *h = arg;
	struct sn_http_listener **at = &h->listeners, *l;

	(void)fd;
	(void)what;
	while ((l = *at) != NULL) {
		if (l->bound != NULL || l->connections > 0) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free_listener(l);
	}
}

struct sn_http *
sn_http_new(struct event_base *base, sn_http_route *route, void *ctx)
{
	struct sn_http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	event_set_log_callback(on_libevent_log);
	sn_hide_peer_names();
	h->base = base;
	h->route = route;
	h->ctx = ctx;
	sn_http_set_deadlines(h, SN_HTTP_HEADERS_S, SN_HTTP_SLACK_S);
	h->sweep = event_new(base, -1, 0, on_sweep, h);
	if (h->sweep == NULL) {
		free(h);
		return NULL;
	}
	h->next = servers;
	servers = h;
	return h;
}

void
sn_http_free(struct sn_http *h)
{
	struct sn_http **at = &servers;

	if (h == NULL)
		return;
	for (struct sn_conn *c = h->conns, *next; c != NULL; c = next) {
		next = c->next;
		if (c->ev == NULL)
			(void)attach(c);
	}
	for (struct sn_http_listener *l = h->listeners, *next; l != NULL; l = next) {
		next = l->next;
		free_listener(l);
	}
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	event_free(h->sweep);
	free(h);
}

void
sn_http_set_deadlines(struct sn_http *h, double headers_s, double slack_s)
{
	h->headers_s = headers_s;
	h->slack_s = slack_s;
}

/* Takes fd over if all goes well. */
static struct sn_http_listener *
add_listener(struct sn_http *h, int fd, void *tag)
{
	struct sn_http_listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->http = h;
	l->tag = tag;
	l->resume = evtimer_new(h->base, on_resume, l);
	l->ev = evhttp_new(h->base);
	if (l->ev != NULL && l->resume != NULL)
		l->bound = evhttp_accept_socket_with_handle(l->ev, fd);
	if (l->bound == NULL) {
		free_listener(l);
		return NULL;
	}
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(l->bound), on_accept_error);
	evhttp_set_max_headers_size(l->ev, SN_HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(l->ev, SN_HTTP_BODY_MAX);
	evhttp_set_allowed_methods(l->ev, 0xffff);	/* 405 is the route's to say, of unknown ones too */
	evhttp_set_default_content_type(l->ev, NULL);
	evhttp_set_bevcb(l->ev, on_accept, l);
	evhttp_set_gencb(l->ev, on_request, l);
	l->next = h->listeners;
	h->listeners = l;
	return l;
}

/* A listening socket; *port as it has become.  Descriptor or -errno. */
static int
open_tcp(const struct sn_address *a, uint16_t *port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	struct sockaddr *to = a->is_v6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	socklen_t len = a->is_v6 ? sizeof(six) : sizeof(four);
	int fd, one = 1, zero = 0, err;

	if (inet_pton(to->sa_family, a->host, a->is_v6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1)
		return -EINVAL;
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->is_v6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, to, len) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, to, &len) < 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	*port = ntohs(a->is_v6 ? six.sin6_port : four.sin_port);
	return fd;
}

int
sn_http_listen_tcp(struct sn_http *h, const struct sn_address *a, const struct sn_tokens *tokens, void *tag,
	uint16_t *port)
{
	struct sn_tokens own = { 0 };
	struct sn_http_listener *l;
	int fd, err;

	if (tokens == NULL && !a->is_loopback)
		return -EACCES;
	err = tokens != NULL ? sn_tokens_copy(&own, tokens) : 0;
	if (err < 0)
		return err;
	fd = open_tcp(a, port);
	l = fd >= 0 ? add_listener(h, fd, tag) : NULL;
	if (l == NULL) {
		sn_tokens_free(&own);
		if (fd < 0)
			return fd;
		(void)close(fd);
		return -ENOMEM;
	}
	l->tokens = own;
	l->has_tokens = tokens != NULL && !tokens->is_open;
	l->is_loopback = a->is_loopback;
	return 0;
}

struct sn_http_listener *
sn_http_listen_fd(struct sn_http *h, int fd, uid_t owner, void *tag)
{
	struct sn_http_listener *l = add_listener(h, fd, tag);

	if (l == NULL) {
		(void)close(fd);
		return NULL;
	}
	l->is_unix = true;
	l->owner = owner;
	return l;
}

void
sn_http_unlisten(struct sn_http_listener *l)
{
	if (l == NULL || l->bound == NULL)
		return;
	(void)event_del(l->resume);
	evhttp_del_accept_socket(l->ev, l->bound);
	l->bound = NULL;
	l->tag = NULL;
	if (l->connections == 0)
		event_active(l->http->sweep, EV_TIMEOUT, 1);
}

void
sn_http_close_in_child(const struct sn_http *h)
{
	for (const struct sn_http_listener *l = h->listeners; l != NULL; l = l->next)
		if (l->bound != NULL)
			(void)close(evhttp_bound_socket_get_fd(l->bound));
	for (const struct sn_conn *c = h->conns; c != NULL; c = c->next)
		if (bufferevent_getfd(c->bev) >= 0)
			(void)close(bufferevent_getfd(c->bev));
}

void
sn_http_figures(const struct sn_http *h, struct sn_http_figures *f)
{
	*f = h->figures;
	for (const struct sn_conn *c = h->conns; c != NULL; c = c->next) {
		f->held += c->state == SN_CONN_ASKED && c->request.held;
		f->bytes_held += evbuffer_get_length(bufferevent_get_output(c->bev));
	}
}

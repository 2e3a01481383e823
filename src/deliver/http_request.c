/* SPDX-License-Identifier: Apache-2.0
 *
 * http_request.c - one request: is it well formed, may it ask, and its answer.
 *
 * Runs in:  the collector's event loop.
 * Memory:   the request lies in its connection; evhttp's own struct is evhttp's, but for a held one whose client left.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>

#include "base/clock.h"
#include "deliver/http_parts.h"

#define HOLD_MAX_S	86400.0

static const char *
header(const struct sn_request *r, const char *name)
{
	return evhttp_find_header(r->ev->input_headers, name);
}

static bool
is_twice(const struct sn_request *r, const char *name)
{
	int n = 0;

	for (const struct evkeyval *h = r->ev->input_headers->tqh_first; h != NULL; h = h->next.tqe_next)
		n += strcasecmp(h->key, name) == 0;
	return n > 1;
}

/* A name with anything else in it, like the blank before a colon, is read differently by different servers. */
static bool
has_bad_name(const struct sn_request *r)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (const struct evkeyval *h = r->ev->input_headers->tqh_first; h != NULL; h = h->next.tqe_next)
		if (*h->key == '\0' || h->key[strspn(h->key, token)] != '\0')
			return true;
	return false;
}

static bool
is_other_version(const struct sn_request *r)
{
	return r->ev->major != 1 || r->ev->minor < 0;
}

static bool
is_of_two_minds(const struct sn_request *r)
{
	return is_twice(r, "Content-Length") || is_twice(r, "Transfer-Encoding") || is_twice(r, "Host") ||
		is_twice(r, "Authorization");
}

static bool
has_bad_length(const struct sn_request *r)
{
	const char *length = header(r, "Content-Length"), *coding = header(r, "Transfer-Encoding");

	if (coding != NULL && (length != NULL || strcasecmp(coding, "chunked") != 0))
		return true;
	return length != NULL && (*length == '\0' || length[strspn(length, "0123456789")] != '\0');
}

static bool
lacks_host(const struct sn_request *r)
{
	return r->ev->minor > 0 && header(r, "Host") == NULL;
}

static bool
has_bad_path(const struct sn_request *r)
{
	return r->path == NULL;
}

/* localhost or an IP literal, with any port: what a page of another site cannot have in its address. */
static bool
is_local_name(const char *host)
{
	char name[80];
	struct in6_addr six;
	struct in_addr four;
	size_t len = strlen(host);
	const char *end = host;

	if (*host == '[')
		end = strchr(host, ']');
	if (end == NULL)
		return false;
	end = strchr(end, ':');
	if (end != NULL) {
		if (strspn(end + 1, "0123456789") > 5 || end[1 + strspn(end + 1, "0123456789")] != '\0')
			return false;
		len = (size_t)(end - host);
	}
	if (len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	if (*name == '[' && len > 2 && name[len - 1] == ']') {
		name[len - 1] = '\0';
		return inet_pton(AF_INET6, name + 1, &six) == 1;
	}
	return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &four) == 1;
}

/* Both the header and the host of an absolute URI: evhttp's own reading prefers the latter. */
static bool
is_from_elsewhere(const struct sn_request *r)
{
	const struct sn_http_listener *l = r->conn->listener;
	const char *host = header(r, "Host"), *named = evhttp_uri_get_host(r->ev->uri_elems);

	if (l->is_unix || l->has_tokens || !l->is_loopback)
		return false;
	return (host != NULL && !is_local_name(host)) || (named != NULL && *named != '\0' && !is_local_name(named));
}

static bool
lacks_token(const struct sn_request *r)
{
	const struct sn_http_listener *l = r->conn->listener;

	return l->has_tokens && !sn_tokens_admit(&l->tokens, sn_request_authorization(r));
}

/* In this order; the form comes first. */
static const struct {
	bool (*is_bad)(const struct sn_request *r);
	int status;
	bool must_close;	/* where the next request would begin is uncertain */
	const char *text;
} rules[] = {
	{ is_other_version, 400, true, "this server speaks HTTP/1.1 and HTTP/1.0" },
	{ has_bad_name, 400, true, "malformed header name" },
	{ is_of_two_minds, 400, true, "a header is there twice that must be there once" },
	{ has_bad_length, 400, true, "malformed length of the body" },
	{ lacks_host, 400, true, "missing Host header" },
	{ has_bad_path, 400, true, "malformed path" },
	{ is_from_elsewhere, 403, false, "the Host must be localhost or an IP address" },
	{ lacks_token, 401, false, "a bearer token is needed: Authorization: Bearer TOKEN" },
};

/* Decoded; NULL when it does not begin with a slash or has a NUL in it. */
static char *
decoded_path(const struct evhttp_request *ev)
{
	const char *raw = ev->uri_elems != NULL ? evhttp_uri_get_path(ev->uri_elems) : NULL;
	size_t len = 0;
	char *path;

	if (raw == NULL)
		return NULL;
	if (strcmp(raw, "*") == 0 || *raw == '\0')	/* OPTIONS *, http://host */
		raw = "/";
	path = evhttp_uridecode(raw, 0, &len);
	if (path != NULL && (*path != '/' || strlen(path) != len)) {
		free(path);
		path = NULL;
	}
	return path;
}

static enum sn_method
method_of(const struct evhttp_request *ev)
{
	switch (evhttp_request_get_command(ev)) {
	case EVHTTP_REQ_GET:
		return SN_GET;
	case EVHTTP_REQ_HEAD:
		return SN_HEAD;
	case EVHTTP_REQ_POST:
		return SN_POST;
	default:
		return SN_OTHER_METHOD;
	}
}

/* evhttp leaves the body of these in its input, where it would be the next request. */
static bool
body_was_left(const struct sn_request *r)
{
	enum evhttp_cmd_type command = evhttp_request_get_command(r->ev);
	const char *length = header(r, "Content-Length");

	if (command == EVHTTP_REQ_POST || command == EVHTTP_REQ_PUT || command == EVHTTP_REQ_PATCH)
		return false;
	return header(r, "Transfer-Encoding") != NULL || (length != NULL && length[strspn(length, "0")] != '\0');
}

static bool
is_refused(struct sn_request *r)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (!rules[i].is_bad(r))
			continue;
		r->must_close |= rules[i].must_close;
		if (rules[i].status == 401)
			sn_request_header(r, "WWW-Authenticate", "Bearer");
		sn_request_error(r, rules[i].status, "%s", rules[i].text);
		return true;
	}
	return false;
}

void
sn_conn_request(struct sn_conn *c, struct evhttp_request *ev)
{
	struct sn_request *r = &c->request;

	*r = (struct sn_request){ .conn = c, .ev = ev, .method = method_of(ev), .path = decoded_path(ev) };
	c->state = SN_CONN_ASKED;
	ev->flags &= ~EVHTTP_PROXY_REQUEST;	/* an absolute URI is ours; as a proxy's it would close */
	r->must_close = body_was_left(r);
	if (is_refused(r))
		return;
	c->http->route(c->http->ctx, c->listener->tag, r);
	if (c->state == SN_CONN_ASKED && !r->held)
		sn_request_error(r, 500, "no answer");
}

void
sn_conn_request_gone(struct sn_conn *c)
{
	struct sn_request *r = &c->request;

	if (c->state != SN_CONN_ASKED)
		return;
	c->state = SN_CONN_WAITING;
	free(r->path);
	r->path = NULL;
	if (evhttp_request_get_connection(r->ev) == NULL)	/* evhttp has let go of what it had given to us */
		evhttp_request_free(r->ev);
	r->ev = NULL;
	if (r->held && r->gone != NULL)
		r->gone(r->gone_arg);
}

enum sn_method
sn_request_method(const struct sn_request *r)
{
	return r->method;
}

const char *
sn_request_path(const struct sn_request *r)
{
	return r->path;
}

const char *
sn_request_query(const struct sn_request *r)
{
	const char *query = evhttp_uri_get_query(r->ev->uri_elems);

	return query != NULL ? query : "";
}

const void *
sn_request_body(const struct sn_request *r, size_t *len)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(r->ev);
	const void *data = r->method == SN_POST ? evbuffer_pullup(body, -1) : NULL;

	*len = data != NULL ? evbuffer_get_length(body) : 0;
	return data;
}

const char *
sn_request_host(const struct sn_request *r)
{
	const char *host = header(r, "Host");

	return host != NULL ? host : "";
}

const char *
sn_request_authorization(const struct sn_request *r)
{
	const char *value = header(r, "Authorization");

	return value != NULL ? value : "";
}

/*
 * evhttp exits when it reads in this state, so its read callback is taken away: what comes waits, up to a bound, for
 * the next request; only the end of the stream is seen.  evhttp sets its callbacks anew before it reads on.
 */
void
sn_request_hold(struct sn_request *r, double seconds, void (*gone)(void *arg), void *arg)
{
	struct sn_conn *c = r->conn;
	bufferevent_data_cb on_write = NULL;
	bufferevent_event_cb on_event = NULL;
	void *evcon = NULL;

	r->held = true;
	r->gone = gone;
	r->gone_arg = arg;
	bufferevent_getcb(c->bev, NULL, &on_write, &on_event, &evcon);
	bufferevent_setcb(c->bev, NULL, on_write, on_event, evcon);
	bufferevent_setwatermark(c->bev, EV_READ, 0, SN_HTTP_AHEAD_MAX);
	(void)bufferevent_enable(c->bev, EV_READ);
	if (!(seconds > 0))		/* nor is it a number */
		seconds = 0;
	sn_conn_deadline(c, (seconds < HOLD_MAX_S ? seconds : HOLD_MAX_S) + c->http->slack_s);
}

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
		{ 200, "OK" }, { 307, "Temporary Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 408, "Request Timeout" }, { 410, "Gone" }, { 413, "Content Too Large" },
		{ 429, "Too Many Requests" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Other";
}

void
sn_request_header(struct sn_request *r, const char *name, const char *value)
{
	if (strpbrk(value, "\r\n") == NULL)	/* evhttp lets folded lines through */
		(void)evhttp_add_header(evhttp_request_get_output_headers(r->ev), name, value);
}

/* Quotes and control characters have no place in the header. */
static void
name_attachment(struct sn_request *r, const char *filename)
{
	char value[256], name[200];
	size_t n = 0;

	for (const char *at = filename; *at != '\0' && n < sizeof(name) - 1; at++)
		name[n++] = (char)(*at < ' ' || *at > '~' || *at == '"' || *at == '\\' ? '_' : *at);
	name[n] = '\0';
	(void)snprintf(value, sizeof(value), "attachment; filename=\"%s\"", name);
	sn_request_header(r, "Content-Disposition", value);
}

/* The answer has been taken: evhttp goes on to the next request, or closes. */
static void
on_complete(struct evhttp_request *ev, void *arg)
{
	struct sn_conn *c = arg;

	(void)ev;
	c->state = SN_CONN_WAITING;
	c->since_ns = sn_clock_mono_ns();
	bufferevent_setwatermark(c->bev, EV_READ, 0, SN_HTTP_INPUT_MAX);
	sn_conn_deadline(c, c->http->headers_s);
}

void
sn_request_reply(struct sn_request *r, int status, const char *type, const char *filename, const void *data,
	size_t len)
{
	struct sn_conn *c = r->conn;
	char length[24];

	if (len > 0 && r->method != SN_HEAD &&
	    evbuffer_add(evhttp_request_get_output_buffer(r->ev), data, len) < 0) {
		status = 503;
		len = 0;
	}
	(void)snprintf(length, sizeof(length), "%zu", len);
	sn_request_header(r, "Content-Type", type);
	sn_request_header(r, "X-Content-Type-Options", "nosniff");
	sn_request_header(r, "Content-Length", length);
	if (filename != NULL)
		name_attachment(r, filename);
	if (r->must_close)
		sn_request_header(r, "Connection", "close");
	if (is_other_version(r))
		r->ev->major = r->ev->minor = 1;	/* evhttp answers in the client's version */
	free(r->path);
	r->path = NULL;
	c->state = SN_CONN_ANSWERING;
	sn_conn_deadline(c, c->http->slack_s);
	evhttp_request_set_on_complete_cb(r->ev, on_complete, c);
	evhttp_send_reply(r->ev, status, reason(status), NULL);
	/* A client that has said all it had to say may still listen; one that has left shows when we write. */
	(void)bufferevent_disable(c->bev, EV_READ);
}

void
sn_request_error(struct sn_request *r, int status, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : n > (int)sizeof(line) - 2 ? (int)sizeof(line) - 2 : n;
	line[n++] = '\n';
	sn_request_header(r, "X-Go-Pprof", "1");
	sn_request_reply(r, status, "text/plain; charset=utf-8", NULL, line, (size_t)n);
}

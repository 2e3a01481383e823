/* SPDX-License-Identifier: Apache-2.0
 *
 * http.h - the HTTP server: listeners, limits, deadlines, who may ask; no route is known here.
 *
 * Runs in:  the collector's event loop (libevent's evhttp).
 * Memory:   a request belongs to the server until it is answered or its client has gone; the route
 *           must not touch it after sn_request_reply() or after its gone function was called.
 * When full: beyond SN_HTTP_CONNECTIONS the one that has waited longest for a request is closed, or the new one if
 *           all have one; answers that clients do not take are closed at their deadline.
 */
#ifndef SN_DELIVER_HTTP_H
#define SN_DELIVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

#define SN_HTTP_CONNECTIONS	256
#define SN_HTTP_HEADERS_MAX	(16u << 10)
#define SN_HTTP_BODY_MAX	(64u << 10)
#define SN_HTTP_HEADERS_S	5	/* a connection without a whole request is closed after so long */
#define SN_HTTP_SLACK_S		10	/* for an answer to be taken, beyond what the request is to last */

struct sn_http;
struct sn_request;

enum sn_method { SN_GET, SN_HEAD, SN_POST, SN_OTHER_METHOD };

/*
 * A request whose form, Host and token were found good.  tag: of the listener.  The route calls
 * sn_request_reply() now, or sn_request_hold() now and sn_request_reply() later.
 */
typedef void sn_http_route(void *ctx, void *tag, struct sn_request *r);

struct sn_http *sn_http_new(struct event_base *base, sn_http_route *route, void *ctx);
/* Closes all; gone functions are called.  Not from within a route. */
void sn_http_free(struct sn_http *h);
/*
 * In a forked child that goes on without exec: close the descriptors, so that no client waits for it should the
 * collector die.  The parent's event loop does not notice; the child must not use h any more.
 */
void sn_http_close_in_child(const struct sn_http *h);

/* An address as SONDE_HTTP may have it (DESIGN §8). */
struct sn_address {
	char host[64];		/* numeric, without brackets */
	uint16_t port;		/* 0: any free one */
	bool is_v6, is_loopback;
};

/* Who may ask on TCP beyond loopback. */
#define SN_TOKEN_MIN	8
#define SN_TOKEN_MAX	512
struct sn_tokens {
	bool is_open;		/* the word `none`: everybody */
	char **token;		/* each in SN_TOKEN_MAX + 1 bytes, the rest of them 0 */
	size_t count;
};

/*
 * `6060`, `localhost:6060`, `127.0.0.1:6060`, `[::1]:6060` are loopback; `:6060`, `0.0.0.0:6060` and other
 * numeric addresses are not.  0, or -EINVAL with a line in why (what is wrong, what is allowed).
 */
int sn_address_parse(const char *text, struct sn_address *a, char *why, size_t why_size);

/*
 * Read SONDE_TOKEN_FILE: one bearer token a line (8 to 512 visible characters; empty lines and # comments are passed
 * over), regular file, owned by us or root, mode without group and other bits.  The word `none` opens.  0 or
 * -errno with a line in why.
 */
int sn_tokens_read(const char *path, struct sn_tokens *t, char *why, size_t why_size);
/* The same of what such a file holds; names no token in why. */
int sn_tokens_parse(const char *data, size_t len, struct sn_tokens *t, char *why, size_t why_size);
int sn_tokens_copy(struct sn_tokens *to, const struct sn_tokens *from);
/* Is the value of an Authorization header `Bearer` and one of them?  The time taken does not depend on them. */
bool sn_tokens_admit(const struct sn_tokens *t, const char *authorization);
void sn_tokens_free(struct sn_tokens *t);

/*
 * Listen on TCP.  tokens NULL: only a loopback address is taken (-EACCES else).  Requests on loopback without
 * tokens, or with `none`, must have a Host of localhost or an IP literal (403: DNS rebinding).  With tokens: 401
 * with WWW-Authenticate, in constant time.  *port: the one in force.  0 or -errno (-EADDRINUSE …).  The tokens are
 * copied.
 */
int sn_http_listen_tcp(struct sn_http *h, const struct sn_address *a, const struct sn_tokens *tokens, void *tag,
	uint16_t *port);

/*
 * Serve a listening Unix socket (ours from now on, closed also on failure); peers must be of uid `owner`, our
 * effective uid or root (SO_PEERCRED), others are closed at once.  Returns a handle to end it by, NULL when out of
 * memory.
 */
struct sn_http_listener;
struct sn_http_listener *sn_http_listen_fd(struct sn_http *h, int fd, uid_t owner, void *tag);
void sn_http_unlisten(struct sn_http_listener *l);	/* open connections of it go on, with tag NULL */

/* The request. */
enum sn_method sn_request_method(const struct sn_request *r);
/* Decoded, begins with '/'; of an absolute URI its path. */
const char *sn_request_path(const struct sn_request *r);
const char *sn_request_query(const struct sn_request *r);	/* raw, without '?'; "" when there is none */
const void *sn_request_body(const struct sn_request *r, size_t *len);	/* of a POST */
const char *sn_request_host(const struct sn_request *r);	/* "" when there is none (Unix socket) */
const char *sn_request_authorization(const struct sn_request *r);	/* "" when there is none */

/*
 * The answer comes later: the deadline becomes now + seconds + SN_HTTP_SLACK_S, and gone(arg) is called at once
 * when the client has left or the deadline has passed; the request is then no more.  May be called again, with
 * another time or function.  A client that has only shut down its writing side counts as gone.
 */
void sn_request_hold(struct sn_request *r, double seconds, void (*gone)(void *arg), void *arg);

/*
 * Answer, once.  type: of the content.  filename: NULL, or for `Content-Disposition: attachment`.  The bytes are
 * copied.  Every answer has X-Content-Type-Options: nosniff and Content-Length; HEAD sends headers alone.  (Of what
 * is no request at all, evhttp itself says 400 or 413 in HTML, without nosniff.)
 */
void sn_request_reply(struct sn_request *r, int status, const char *type, const char *filename, const void *data,
	size_t len);
/* Add a header before the reply. */
void sn_request_header(struct sn_request *r, const char *name, const char *value);
/* An error as Go's pprof has it: text/plain; charset=utf-8, X-Go-Pprof: 1, the line ends in \n. */
void sn_request_error(struct sn_request *r, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* For the index page and tests. */
struct sn_http_figures {
	uint32_t connections, held;
	uint64_t requests, refused;
	size_t bytes_held;		/* answers that clients have not taken yet */
};
void sn_http_figures(const struct sn_http *h, struct sn_http_figures *f);

#endif

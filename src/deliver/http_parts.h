/* SPDX-License-Identifier: Apache-2.0
 *
 * http_parts.h - what http.c and http_request.c share; tests take the short deadlines from here.
 *
 * Runs in:  the collector's event loop.
 * Memory:   a connection is ours from evhttp's bevcb to its closecb; the request lies in it.
 */
#ifndef SN_DELIVER_HTTP_PARTS_H
#define SN_DELIVER_HTTP_PARTS_H

#include <event2/bufferevent.h>
#include <event2/http.h>

#include "deliver/http.h"

/* While nobody reads: what a connection may send ahead.  Else a whole body and some. */
#define SN_HTTP_AHEAD_MAX	(4u << 10)
#define SN_HTTP_INPUT_MAX	(SN_HTTP_HEADERS_MAX + SN_HTTP_BODY_MAX + (16u << 10))

/* Does nothing when it runs: who calls it has the accept4 of peer_name.c in its program. */
void sn_hide_peer_names(void);

enum sn_conn_state {
	SN_CONN_WAITING,	/* for a whole request */
	SN_CONN_ASKED,		/* the route has it */
	SN_CONN_ANSWERING,	/* evhttp writes */
};

struct sn_request {
	struct sn_conn *conn;
	struct evhttp_request *ev;
	enum sn_method method;
	char *path;
	bool held, must_close;
	void (*gone)(void *arg);
	void *gone_arg;
};

struct sn_conn {
	struct sn_http *http;
	struct sn_http_listener *listener;
	struct bufferevent *bev;
	struct evhttp_connection *ev;		/* NULL until it has begun */
	struct event *timer;
	enum sn_conn_state state;
	uint64_t since_ns;			/* it waits */
	struct sn_request request;
	struct sn_conn *prev, *next;
};

struct sn_http_listener {
	struct sn_http *http;
	struct evhttp *ev;
	struct evhttp_bound_socket *bound;	/* NULL: no longer listening */
	struct event *resume;			/* after accept() had failed */
	struct sn_tokens tokens;
	bool is_unix, has_tokens, is_loopback;
	uid_t owner;
	void *tag;
	uint32_t connections;
	struct sn_http_listener *next;
};

struct sn_http {
	struct event_base *base;
	sn_http_route *route;
	void *ctx;
	double headers_s, slack_s;
	struct sn_http_listener *listeners;
	struct sn_conn *conns;
	struct event *sweep;			/* frees listeners that are done with */
	struct sn_http_figures figures;		/* bytes_held and held are counted when asked for */
	struct sn_http *next;			/* of all there are */
};

/* http.c: the connection is closed unless this is called again in time. */
void sn_conn_deadline(struct sn_conn *c, double seconds);
/* http_request.c: a whole request has arrived; judge it, hand it to the route. */
void sn_conn_request(struct sn_conn *c, struct evhttp_request *ev);
/* http_request.c: the connection goes away; the request with it. */
void sn_conn_request_gone(struct sn_conn *c);

/* For tests: in place of SN_HTTP_HEADERS_S and SN_HTTP_SLACK_S. */
void sn_http_set_deadlines(struct sn_http *h, double headers_s, double slack_s);

#endif

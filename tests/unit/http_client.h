/* SPDX-License-Identifier: Apache-2.0
 *
 * http_client.h - a server, its loop and raw clients in one thread, for test_http*.c.
 *
 * A client's sockets do not block; the loop turns while it waits.  Nothing is judged by time: what does not come
 * within PATIENCE_S fails.
 */
#ifndef SN_TESTS_HTTP_CLIENT_H
#define SN_TESTS_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "deliver/http.h"
#include "deliver/http_parts.h"

#define PATIENCE_S	20
#define BIG		(8u << 20)

struct client {
	int fd;
	char *data;		/* all that came; a NUL behind it */
	size_t len;
	bool is_closed;		/* by the server */
};

/* The server of a test, and what its route has seen. */
extern struct event_base *base;
extern struct sn_http *http;
extern uint16_t port;
extern struct sn_request *held[300];
extern int held_count, gone_count;
extern void *last_tag;

void setup(void);		/* on a free port of loopback, no tokens */
void teardown(void);
void listen_with(const char *host, const char *tokens);	/* another listener; tokens NULL, "none" or lines */

void turn(void);		/* the loop, once */
struct client client_open(void);
struct client client_of(int fd);	/* connected already */
void client_send(struct client *c, const void *data, size_t len);
void client_say(struct client *c, const char *text);
/* Read until there are `count` whole answers or the server has closed. */
void client_wait(struct client *c, int count);
void client_wait_closed(struct client *c);
void client_close(struct client *c);
int client_status(const struct client *c);	/* of the first answer; 0 for none */
bool client_has(const struct client *c, const char *text);

/* Connect, say it, wait for one answer, close; the status. */
int ask(const char *text);
extern char answer[65536];	/* to it */

void wait_until(bool (*is_so)(void *arg), void *arg);

#endif

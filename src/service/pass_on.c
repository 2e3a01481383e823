/* SPDX-License-Identifier: Apache-2.0
 *
 * pass_on.c - one port for a tree: processes that have collectors of their own are listed, and asked for who asks us.
 *
 * Runs in:  the collector's loop.
 * Who:      descendants of our processes, and those of the same session: programs of one start script.  Each is asked
 *           over its Unix socket; who listens there must be root or of the user of the process.
 * Memory:   an answer is held until it is whole, at most ANSWER_MAX; a client that leaves takes it along.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "base/clock.h"
#include "deliver/answer.h"
#include "service/internal.h"

#define ANSWER_MAX	(256u << 20)
#define ANCESTORS_MAX	64
#define LISTED_MAX	200
#define LIST_AGAIN_NS	(5 * SN_NS_PER_SEC)
#define LIST_SHARE	100	/* of our time, one part */
#define WAIT_S		100		/* for an answer, beyond the seconds that were asked for */

struct passed {
	struct sn_service *service;
	struct sn_request *request;
	struct bufferevent *bev;
	struct sn_answer answer;
	struct passed *next;
};

bool
sn_tree_has(struct sn_service *s, pid_t pid)
{
	const struct sn_guest *g = sn_guest_main(s);
	pid_t session = g != NULL ? (pid_t)sn_proc_stat(g->process->pid, 6) : 0;
	pid_t at = pid;

	if (session > 0 && (pid_t)sn_proc_stat(pid, 6) == session)
		return true;
	for (int i = 0; i < ANCESTORS_MAX && at > 1; i++) {
		if (sn_guest_find(s, at) != NULL)
			return true;
		at = (pid_t)sn_proc_stat(at, 4);
	}
	return false;
}

/* What sn_socket_find found for one pid. */
struct found {
	struct sn_service *service;
	struct sn_buf *list;		/* of pids; NULL: only the path of one is wanted */
	char path[4096];
	uint32_t count;
};

static int
on_found(void *ctx, const struct sn_socket_found *at)
{
	struct found *f = ctx;

	if (f->list == NULL) {
		(void)snprintf(f->path, sizeof(f->path), "%s", at->path);
		return 1;
	}
	if (sn_guest_find(f->service, at->pid) != NULL || !sn_tree_has(f->service, at->pid))
		return 0;
	sn_buf_put(f->list, &at->pid, sizeof(at->pid));
	return ++f->count >= LISTED_MAX;
}

/* Looking through /proc is not for each client: what was found is kept for a while, longer where it takes long. */
uint32_t
sn_tree_list(struct sn_service *s, const pid_t **pids)
{
	uint64_t now = sn_clock_mono_ns();

	if (now >= s->tree_again_ns) {
		struct found f = { .service = s, .list = &s->tree };

		sn_buf_free(&s->tree);
		s->tree = (struct sn_buf){ 0 };
		(void)sn_socket_find(0, on_found, &f);
		s->tree_again_ns = now + LIST_AGAIN_NS + LIST_SHARE * (sn_clock_mono_ns() - now);
	}
	*pids = (const pid_t *)(const void *)s->tree.data;
	return s->tree.err == 0 ? (uint32_t)(s->tree.len / sizeof(**pids)) : 0;
}

static void
end_passed(struct passed *p)
{
	bufferevent_free(p->bev);	/* closes: the other collector sees that nobody waits */
	sn_answer_free(&p->answer);
	p->service->passed--;
	free(p);
}

static void
on_client_gone(void *arg)
{
	end_passed(arg);
}

/* As the other collector said it. */
static void
give_back(struct passed *p)
{
	const struct sn_answer *a = &p->answer;

	if (a->is_pprof_error)
		sn_request_header(p->request, "X-Go-Pprof", "1");
	sn_request_reply(p->request, a->status, *a->type != '\0' ? a->type : "application/octet-stream",
		strcmp(a->type, "application/octet-stream") == 0 ? "profile" : NULL, a->body.data, a->body.len);
	end_passed(p);
}

static void
give_up(struct passed *p, const char *why)
{
	sn_request_error(p->request, 502, "the process's own collector gave no answer: %s", why);
	end_passed(p);
}

static void
on_bytes(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct passed *p = arg;
	int n = 0;

	while (n == 0 && evbuffer_get_length(in) > 0) {
		size_t len = evbuffer_get_contiguous_space(in);

		n = sn_answer_feed(&p->answer, evbuffer_pullup(in, (ev_ssize_t)len), len);
		(void)evbuffer_drain(in, len);
	}
	if (n > 0)
		give_back(p);
	else if (n < 0)
		give_up(p, p->answer.why);
}

static void
on_end(struct bufferevent *bev, short what, void *arg)
{
	struct passed *p = arg;

	(void)bev;
	if (what & BEV_EVENT_TIMEOUT)
		give_up(p, "it took too long");
	else if (sn_answer_end(&p->answer) < 0)
		give_up(p, p->answer.why);
	else
		give_back(p);
}

static void
put_request(struct passed *p)
{
	static const char *const method[] = { [SN_GET] = "GET", [SN_HEAD] = "GET", [SN_POST] = "POST" };
	struct evbuffer *out = bufferevent_get_output(p->bev);
	const char *path = strchr(sn_request_path(p->request) + strlen("/pid/"), '/');
	const char *query = sn_request_query(p->request);
	enum sn_method m = sn_request_method(p->request);
	const void *body;
	size_t len;

	body = sn_request_body(p->request, &len);
	/* The path was found in a table, and the query came on one line: nothing in them ends the line. */
	(void)evbuffer_add_printf(out, "%s %s%s%s HTTP/1.0\r\nHost: localhost\r\n", method[m],
		path != NULL ? path : "/", *query != '\0' ? "?" : "", query);
	if (m == SN_POST)
		(void)evbuffer_add_printf(out, "Content-Length: %zu\r\n", len);
	(void)evbuffer_add(out, "\r\n", 2);
	if (m == SN_POST && len > 0)
		(void)evbuffer_add(out, body, len);
}

/* Who listens must be who may read the process anyway. */
static int
connect_checked(const char *path, pid_t pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	char proc[32];
	struct stat st;
	int fd = sn_socket_connect(path);

	if (fd < 0)
		return fd;
	(void)snprintf(proc, sizeof(proc), "/proc/%d", (int)pid);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid != 0 && peer.uid != geteuid() && (stat(proc, &st) < 0 || peer.uid != st.st_uid))) {
		(void)close(fd);
		return -EPERM;
	}
	return fd;
}

bool
sn_pass_on(struct sn_service *s, const struct sn_route *route, struct sn_request *r)
{
	struct timeval wait = { (time_t)route->seconds + WAIT_S, 0 };
	struct found f = { .service = s };
	struct passed *p;
	int fd;

	if (s->passed >= SN_PASSED_MAX || !sn_tree_has(s, route->pid) ||
	    sn_socket_find(route->pid, on_found, &f) <= 0)
		return false;
	fd = connect_checked(f.path, route->pid);
	p = fd >= 0 ? calloc(1, sizeof(*p)) : NULL;
	if (p != NULL)
		p->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (p == NULL || p->bev == NULL) {
		if (fd >= 0)
			(void)close(fd);
		free(p);
		return false;
	}
	p->service = s;
	p->request = r;
	s->passed++;
	sn_answer_init(&p->answer, ANSWER_MAX);
	bufferevent_setcb(p->bev, on_bytes, NULL, on_end, p);
	bufferevent_set_timeouts(p->bev, &wait, &wait);
	put_request(p);
	sn_request_hold(r, route->seconds + WAIT_S, on_client_gone, p);
	(void)bufferevent_enable(p->bev, EV_READ | EV_WRITE);
	return true;
}

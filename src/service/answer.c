/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.c - what each route answers; clients that take a profile.
 *
 * Runs in:  the collector's loop.  Profiles and names are made out of it, by jobs.
 * Memory:   a take lives from the request to the answer; several share one sampler, each cuts its own span
 *           out of the history.
 * When full: deliver/http.c bounds connections; a take's rows are held by SONDE_MEMORY like all others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/internal.h"

#define ANSWER_MAX	(512u << 20)	/* bytes of one profile */
#define ENCODE_S	60		/* time that symbolizing may take before the client is given up */
#define TAKES_MAX	64		/* each may need an eighth of SONDE_MEMORY at its end */
#define SYMBOLS_MAX	20000

/* A client that waits: for its span to pass, then for its job. */
struct sn_take {
	struct sn_service *service;
	struct sn_request *request;	/* NULL: its client has gone */
	struct sn_guest *guest;		/* NULL: the span is over */
	struct event *due;
	uint64_t from_ns, own_before_ns;
	const char *type, *filename;	/* of the answer */
	bool has_heading;		/* of /symbol */
	struct sn_take *next;
};

static void
free_take(struct sn_take *t)
{
	struct sn_take **at;

	for (at = &t->service->takes; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	if (t->due != NULL)
		event_free(t->due);
	free(t);
}

/* The rows that the oldest client of the guest needs, or the program itself, stay. */
void
sn_answers_pin_oldest(struct sn_service *s, struct sn_guest *g)
{
	uint64_t oldest = g->span.from_ns;

	for (const struct sn_take *t = s->takes; t != NULL; t = t->next)
		if (t->guest == g && (oldest == 0 || t->from_ns < oldest))
			oldest = t->from_ns;
	g->process->history.pinned_ns = oldest;
}

/* The take needs its guest no longer. */
static void
let_go(struct sn_take *t)
{
	struct sn_guest *g = t->guest;

	t->guest = NULL;
	if (g == NULL)
		return;
	sn_guest_unpin(g);
	sn_answers_pin_oldest(t->service, g);
}

static void
on_client_gone(void *arg)
{
	struct sn_take *t = arg;
	bool in_job = t->guest == NULL;

	t->request = NULL;
	if (in_job) {
		(void)sn_job_cancel(t->service, t);	/* one that runs ends the take when it is done */
		return;
	}
	let_go(t);
	free_take(t);
}

static void
on_job_done(void *arg, int err, int memfd)
{
	struct sn_take *t = arg;
	struct sn_buf bytes = { 0 };

	if (t->request == NULL) {
		free_take(t);
		return;
	}
	if (t->has_heading)
		sn_buf_putf(&bytes, "num_symbols: 1\n");
	if (err == 0 && memfd >= 0 && lseek(memfd, 0, SEEK_SET) == 0)
		err = sn_buf_read_fd(&bytes, memfd, ANSWER_MAX);
	if (err == 0)
		err = bytes.err;
	if (err == -ECANCELED)
		sn_request_error(t->request, 503, "the program is ending");
	else if (err < 0)
		sn_request_error(t->request, 500, "the profile could not be made: %s", strerror(-err));
	else
		sn_request_reply(t->request, 200, t->type, t->filename, bytes.data, bytes.len);
	sn_buf_free(&bytes);
	free_take(t);
}

/* Answer with an error now. */
static void
fail_take(struct sn_take *t, int err)
{
	if (t->request != NULL && err == -EBUSY)
		sn_request_error(t->request, 503, "too many profiles are being made for SONDE_MEMORY");
	else if (t->request != NULL && err == -ESHUTDOWN)
		sn_request_error(t->request, 503, "the program is ending");
	else if (t->request != NULL)
		sn_request_error(t->request, 500, "the profile could not be made: %s", strerror(-err));
	let_go(t);
	free_take(t);
}

static struct sn_take *
new_take(struct sn_service *s, struct sn_request *r, struct sn_guest *g)
{
	struct sn_take *t;
	uint32_t n = 0;

	for (t = s->takes; t != NULL; t = t->next)
		n++;
	if (n >= TAKES_MAX) {
		sn_request_header(r, "Retry-After", "30");
		sn_request_error(r, 503, "%u clients are taking profiles already", n);
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		sn_request_error(r, 500, "out of memory");
		return NULL;
	}
	t->service = s;
	t->request = r;
	t->guest = g;
	t->type = "application/octet-stream";
	t->filename = "profile";
	t->next = s->takes;
	s->takes = t;
	return t;
}

/* The span is over: its profile becomes a job. */
static void
finish_span(struct sn_take *t, uint64_t to_ns, uint64_t own_ns)
{
	struct sn_service *s = t->service;
	struct sn_guest *g = t->guest;
	struct sn_job *j = sn_job_new(s, g->process);
	int err = -ENOMEM;

	if (j != NULL && sn_jobs_bytes(s) > (size_t)s->options.memory / 4)
		err = -EBUSY;
	else if (j != NULL)
		err = sn_process_window(g->process, &s->options, t->from_ns, to_ns, own_ns, &j->window);
	if (err < 0) {
		if (j != NULL)
			sn_job_finish(s, j, err);
		fail_take(t, err);
		return;
	}
	j->done = on_job_done;
	j->arg = t;
	let_go(t);
	sn_job_submit(s, j);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct sn_take *t = arg;
	struct sn_service *s = t->service;
	struct sn_guest *g = t->guest;

	(void)fd;
	(void)what;
	if (g == NULL)
		return;
	finish_span(t, sn_process_mark(g->process, &s->options), g->own_cpu_ns - t->own_before_ns);
	sn_workers_start(s);
}

static void
take_future(struct sn_service *s, struct sn_guest *g, struct sn_request *r, double seconds)
{
	struct timeval tv = { (time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) };
	struct sn_take *t = new_take(s, r, g);

	if (t == NULL)
		return;
	sn_guest_pin(g);
	t->from_ns = sn_process_mark(g->process, &s->options);
	t->own_before_ns = g->own_cpu_ns;
	sn_answers_pin_oldest(s, g);
	t->due = event_new(s->base, -1, 0, on_due, t);
	if (t->due == NULL || event_add(t->due, &tv) < 0) {
		fail_take(t, -ENOMEM);
		return;
	}
	sn_request_hold(r, seconds + ENCODE_S, on_client_gone, t);
}

static void
take_past(struct sn_service *s, struct sn_guest *g, struct sn_request *r, uint32_t last)
{
	uint64_t lived = sn_clock_mono_ns() - g->process->began_mono_ns;
	uint64_t span = (uint64_t)last * SN_NS_PER_SEC;
	struct sn_take *t = new_take(s, r, g);
	uint64_t to_ns;

	if (t == NULL)
		return;
	sn_guest_pin(g);
	to_ns = sn_process_mark(g->process, &s->options);
	t->from_ns = to_ns > span ? to_ns - span : 0;
	sn_request_hold(r, ENCODE_S, on_client_gone, t);
	/* What we spent on it is known since its start only: the share of this span. */
	finish_span(t, to_ns, lived > span ? (uint64_t)((double)g->own_cpu_ns * (double)span / (double)lived) :
		g->own_cpu_ns);
}

/* Addresses as in 0x10+0x20, or separated by blanks and commas; what is none is passed over, as in Go. */
static size_t
parse_addresses(const char *text, size_t len, uint64_t *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < max;) {
		char word[32];
		size_t w = 0;
		char *end;

		while (i < len && strchr("+, \t\r\n&=", text[i]) != NULL && text[i] != '\0')
			i++;
		while (i < len && (strchr("+, \t\r\n&=", text[i]) == NULL || text[i] == '\0')) {
			if (w < sizeof(word) - 1)
				word[w++] = text[i];
			i++;
		}
		word[w] = '\0';
		errno = 0;
		out[n] = strtoull(word, &end, 0);
		if (w > 0 && word[0] >= '0' && word[0] <= '9' && *end == '\0' && errno == 0)
			n++;
	}
	return n;
}

static void
answer_symbol(struct sn_service *s, struct sn_guest *g, struct sn_request *r)
{
	static const char heading[] = "num_symbols: 1\n";
	size_t len, n;
	const char *text = sn_request_body(r, &len);
	uint64_t *addr;
	struct sn_take *t;
	struct sn_job *j;

	if (sn_request_method(r) != SN_POST) {
		text = sn_request_query(r);
		len = strlen(text);
	}
	addr = calloc(SYMBOLS_MAX, sizeof(*addr));
	n = addr != NULL ? parse_addresses(text, len, addr, SYMBOLS_MAX) : 0;
	if (n == 0 || g == NULL || !g->process->has_segment) {
		free(addr);
		sn_request_reply(r, 200, "text/plain; charset=utf-8", NULL, heading, sizeof(heading) - 1);
		return;
	}
	t = new_take(s, r, NULL);
	j = t != NULL ? sn_job_new(s, g->process) : NULL;
	if (j == NULL) {
		free(addr);
		if (t != NULL)
			fail_take(t, -ENOMEM);
		return;
	}
	(void)sn_process_refresh_modules(g->process);
	t->type = "text/plain; charset=utf-8";
	t->filename = NULL;
	t->has_heading = true;
	j->how = SN_SYMBOLIZE_FUNCTIONS;
	j->addr = addr;
	j->addr_count = n;
	j->done = on_job_done;
	j->arg = t;
	sn_request_hold(r, ENCODE_S, on_client_gone, t);
	sn_job_submit(s, j);
	sn_workers_start(s);
}

static void
answer_page(struct sn_service *s, struct sn_guest *g, const struct sn_route *route, struct sn_request *r)
{
	struct sn_buf page = { 0 };
	const char *type = "text/plain; charset=utf-8";

	switch (route->what) {
	case SN_ROUTE_INDEX:
		type = "text/html; charset=utf-8";
		sn_page_index(s, g, route->pid, &page);
		break;
	case SN_ROUTE_STATUS:
		sn_page_status(s, g, &page);
		break;
	default:
		sn_buf_put(&page, g->cmdline.data, g->cmdline.len);
		break;
	}
	if (page.err < 0)
		sn_request_error(r, 500, "out of memory");
	else
		sn_request_reply(r, 200, type, NULL, page.data, page.len);
	sn_buf_free(&page);
}

static void
answer_profile(struct sn_service *s, struct sn_guest *g, const struct sn_route *route, struct sn_request *r)
{
	if ((s->options.kinds & SN_KIND_CPU) == 0)
		sn_request_error(r, 404, "CPU time is not sampled: SONDE_KINDS does not have cpu");
	else if (sn_request_method(r) == SN_HEAD)
		sn_request_reply(r, 200, "application/octet-stream", "profile", "", 0);
	else if (route->last > 0 && s->options.keep == 0)
		sn_request_error(r, 404, "nothing is kept: SONDE_KEEP is 0");
	else if (route->last > 0)
		take_past(s, g, r, route->last);
	else
		take_future(s, g, r, route->seconds);
	sn_workers_start(s);
}

static struct sn_guest *
find_guest(struct sn_service *s, struct sn_guest *of_listener, const struct sn_route *route)
{
	struct sn_guest *g;

	if (route->pid == 0)
		return of_listener != NULL ? of_listener : sn_guest_main(s);
	g = sn_guest_find(s, route->pid);
	for (struct sn_guest *i = s->guests; g == NULL && i != NULL; i = i->next)
		if (i->process->has_segment && i->process->seg.shared->pid_inside == (uint64_t)route->pid)
			g = i;		/* as its own pid namespace has it */
	return g;
}

static void
redirect(struct sn_request *r, const char *to)
{
	sn_request_header(r, "Location", to);
	sn_request_reply(r, 307, "text/plain; charset=utf-8", NULL, "see Location\n", 13);
}

static void
on_request(void *ctx, void *tag, struct sn_request *r)
{
	struct sn_service *s = ctx;
	struct sn_route route;
	struct sn_guest *g;

	sn_route_parse(sn_request_method(r), sn_request_path(r), sn_request_query(r), &route);
	if (tag == NULL) {		/* the socket of a process that has ended: nobody else answers there */
		sn_request_error(r, 410, "this process has ended");
		return;
	}
	g = find_guest(s, tag != s ? tag : NULL, &route);
	if (route.what == SN_ROUTE_ERROR) {
		if (route.allow != NULL)
			sn_request_header(r, "Allow", route.allow);
		sn_request_error(r, route.status, "%s", route.text);
	} else if (route.what == SN_ROUTE_REDIRECT || route.what == SN_ROUTE_ROOT) {
		redirect(r, route.what == SN_ROUTE_ROOT ? "/debug/pprof/" : route.text);
	} else if (g == NULL && route.pid != 0 && sn_pass_on(s, &route, r)) {
		return;
	} else if (g == NULL) {
		sn_request_error(r, route.pid != 0 ? 404 : 503, "%s", route.pid != 0 ?
			"no profiled process has this pid" : "no program is being profiled");
	} else if (route.what == SN_ROUTE_SYMBOL) {
		answer_symbol(s, g, r);
	} else if (route.what == SN_ROUTE_PROFILE) {
		answer_profile(s, g, &route, r);
	} else {
		answer_page(s, g, &route, r);
	}
}

int
sn_answers_open(struct sn_service *s)
{
	s->http = sn_http_new(s->base, on_request, s);
	return s->http == NULL ? -ENOMEM : 0;
}

void
sn_answers_close(struct sn_service *s)
{
	if (s->http != NULL)
		sn_http_free(s->http);
	s->http = NULL;
}

int
sn_answers_listen(struct sn_service *s, const char *text, char *why, size_t why_size)
{
	struct sn_tokens tokens = { 0 };
	struct sn_address a;
	uint16_t port = 0;
	char what[300] = "";
	int err = sn_address_parse(text, &a, what, sizeof(what));

	if (err < 0)
		(void)snprintf(why, why_size, "SONDE_HTTP: %s", what);
	if (err == 0 && s->port != 0) {
		(void)snprintf(why, why_size, "already serving on %s", s->address);
		return -EALREADY;
	}
	if (err < 0)
		return err;
	if (s->options.token_file != NULL) {
		err = sn_tokens_read(s->options.token_file, &tokens, what, sizeof(what));
		if (err < 0) {
			(void)snprintf(why, why_size, "SONDE_TOKEN_FILE=%.100s: %s", s->options.token_file, what);
			return err;
		}
	}
	if (!a.is_loopback && s->options.token_file == NULL) {
		(void)snprintf(why, why_size, "SONDE_HTTP=%.100s is not loopback: name a file of bearer tokens in "
			"SONDE_TOKEN_FILE, or `none` there to let everybody read the profiles", text);
		return -EACCES;
	}
	err = sn_http_listen_tcp(s->http, &a, s->options.token_file != NULL ? &tokens : NULL, s, &port);
	if ((err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) && strcmp(a.host, "::") == 0) {
		a.is_v6 = false;		/* `:PORT` where there is no IPv6, as in many containers */
		strcpy(a.host, "0.0.0.0");
		err = sn_http_listen_tcp(s->http, &a, s->options.token_file != NULL ? &tokens : NULL, s, &port);
	}
	sn_tokens_free(&tokens);
	if (err < 0) {
		(void)snprintf(why, why_size, "cannot serve on %.100s: %s", text, strerror(-err));
		return err;
	}
	s->port = port;
	(void)snprintf(s->address, sizeof(s->address), a.is_v6 ? "[%s]:%u" : "%s:%u", a.host, port);
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		if (g->process->is_first)
			(void)sn_socket_note_http(&g->socket, s->address);
	return port;
}

void
sn_answers_guest_ends(struct sn_service *s, struct sn_guest *g)
{
	uint64_t now = sn_clock_mono_ns();
	struct sn_take *next;

	for (struct sn_take *t = s->takes; t != NULL; t = next) {
		next = t->next;
		if (t->guest == g && s->is_ending)
			fail_take(t, -ESHUTDOWN);
		else if (t->guest == g)
			finish_span(t, now, g->own_cpu_ns - t->own_before_ns);
	}
	sn_workers_start(s);
}

bool
sn_answers_busy(const struct sn_service *s)
{
	struct sn_http_figures f;

	sn_http_figures(s->http, &f);
	return s->takes != NULL || s->passed > 0 || f.bytes_held > 0 || s->asks > 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * guest.c - the processes that are profiled: found, named, given their sockets, ended.
 *
 * Runs in:  the collector.
 * Memory:   guests are owned by the service until they end, then by the job that writes them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/internal.h"

#define CMDLINE_MAX (128u << 10)

struct sn_guest *
sn_guest_find(struct sn_service *s, pid_t pid)
{
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		if (g->process->pid == pid)
			return g;
	return NULL;
}

struct sn_guest *
sn_guest_by_cookie(struct sn_service *s, uint64_t cookie)
{
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		if (g->process->has_segment && g->process->seg.cookie == cookie)
			return g;
	return NULL;
}

struct sn_guest *
sn_guest_main(struct sn_service *s)
{
	struct sn_guest *oldest = NULL;

	for (struct sn_guest *g = s->guests; g != NULL; g = g->next) {
		if (g->process->is_first)
			return g;
		oldest = g;			/* new ones are put in front */
	}
	return oldest;
}

uint64_t
sn_guest_cost_begin(void)
{
	return sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t
sn_guest_cost_end(struct sn_guest *g, uint64_t begun)
{
	uint64_t cost = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun;

	g->own_cpu_ns += cost;
	return cost;
}

void
sn_guest_close_socket(struct sn_guest *g)
{
	if (g->listener != NULL) {
		sn_http_unlisten(g->listener);
		g->listener = NULL;
		g->socket.fd = -1;		/* the listener had it */
	}
	sn_socket_remove(&g->socket);
	g->socket = (struct sn_socket){ .fd = -1 };
	g->socket_tried = false;
}

static void
free_guest(struct sn_guest *g)
{
	if (g->ended != NULL)
		event_free(g->ended);
	sn_guest_close_socket(g);
	if (g->pidfd >= 0)
		(void)close(g->pidfd);
	sn_buf_free(&g->cmdline);
	free(g);
}

static void
unlink_guest(struct sn_service *s, struct sn_guest *g)
{
	struct sn_guest **at;

	for (at = &s->guests; *at != g; at = &(*at)->next)
		;
	*at = g->next;
}

/* Does its profile become a file?  The command's always, others' only with a sample in it. */
static bool
is_worth_a_file(const struct sn_service *s, const struct sn_process *p)
{
	return s->file != NULL && s->options.mode != SN_MODE_IDLE && (p->is_first || p->count.samples > 0);
}

static void
fill_result(struct sn_service *s, const struct sn_process *p)
{
	if (!p->is_first || s->result == NULL)
		return;
	s->result->profiled = p->images > 0;
	s->result->samples = p->count.samples;
	s->result->lost = p->count.lost;
	s->result->cpu_s = (double)p->cpu_ns / 1e9;
}

void
sn_guest_end(struct sn_service *s, struct sn_guest *g)
{
	struct sn_process *p = g->process;
	uint64_t begun = sn_guest_cost_begin();
	bool has_file, is_told;
	struct sn_guest *main;
	int err;

	p->ended = true;
	if (sn_process_read_cpu(p) > 0)
		p->cpu_is_final = true;
	(void)sn_guest_cost_end(g, begun);
	err = sn_process_finish(p, &s->options, g->own_cpu_ns);
	s->ended_cpu_ns += sn_process_with_kin(p);
	sn_answers_guest_ends(s, g);
	if (g->span.toggled)
		(void)sn_span_toggle(s, g);	/* its file; an error is in the log */
	has_file = g->file_is_final;
	unlink_guest(s, g);
	free_guest(g);
	main = sn_guest_main(s);
	if (err < 0)
		sn_log(SN_LOG_STDERR, "profile of process %d is not whole: %s", (int)p->pid, strerror(-err));
	fill_result(s, p);
	is_told = is_worth_a_file(s, p);	/* now, or by the file that it had when it stopped */
	if (main != NULL && !is_told)
		sn_process_take_unsampled(main->process, p);
	else if (main != NULL)
		sn_process_take_rest(main->process, p);
	if (is_told && !has_file)
		sn_job_add_ended(s, p);
	else
		sn_process_free(p);
}

void
sn_guest_free(struct sn_service *s, struct sn_guest *g)
{
	sn_answers_guest_ends(s, g);
	unlink_guest(s, g);
	sn_process_free(g->process);
	free_guest(g);
}

static void
on_guest_ended(evutil_socket_t fd, short what, void *arg)
{
	struct sn_guest *g = arg;

	(void)fd;
	(void)what;
	if (g->service->host != NULL || g->process->pid != g->service->command)
		sn_guest_end(g->service, g);	/* the command's end is SIGCHLD, before it is reaped */
}

static void
watch_end(struct sn_service *s, struct sn_guest *g)
{
#ifdef SYS_pidfd_open
	g->pidfd = (int)syscall(SYS_pidfd_open, g->process->pid, 0);	/* sets close-on-exec itself */
#endif
	if (g->pidfd < 0)
		return;				/* noticed by the scan */
	g->ended = event_new(s->base, g->pidfd, EV_READ, on_guest_ended, g);
	if (g->ended != NULL)
		(void)event_add(g->ended, NULL);
}

struct sn_guest *
sn_guest_of(struct sn_service *s, struct sn_process *p)
{
	struct sn_guest *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->service = s;
	g->pidfd = -1;
	g->socket.fd = -1;
	g->process = p;
	if (s->host == NULL || p->pid != getpid())
		watch_end(s, g);
	g->next = s->guests;
	s->guests = g;
	return g;
}

struct sn_guest *
sn_guest_new(struct sn_service *s, pid_t pid)
{
	struct sn_process *p = sn_process_new(pid, &s->options, s->images);
	struct sn_guest *g = p != NULL ? sn_guest_of(s, p) : NULL;

	if (g == NULL)
		sn_process_free(p);
	else
		p->is_first = pid == (s->host != NULL ? getpid() : s->command) && !s->command_ended;
	return g;
}

void
sn_guest_note_program(struct sn_guest *g, const struct sn_guest *parent)
{
	char path[32];

	sn_buf_free(&g->cmdline);
	g->cmdline = (struct sn_buf){ 0 };
	if (parent != NULL) {
		sn_buf_put(&g->cmdline, parent->cmdline.data, parent->cmdline.len);
	} else {
		(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)g->process->pid);
		(void)sn_buf_read_path(&g->cmdline, path, CMDLINE_MAX);		/* longer ones are cut */
	}
	while (g->cmdline.len > 0 && g->cmdline.data[g->cmdline.len - 1] == '\0')
		g->cmdline.len--;
}

bool
sn_guest_has_execed(struct sn_guest *g)
{
	uint64_t now;

	if (g->service->host == NULL || g->process->host != NULL)
		return false;
	now = sn_proc_stat(g->process->pid, 28);	/* 0 or 1 where we may not know */
	if (g->stack_start == 0)
		g->stack_start = now;
	return now != g->stack_start && now > 1 && g->stack_start > 1;
}

/* The number that the process has in its own pid namespace. */
static pid_t
pid_inside(const struct sn_process *p)
{
	uint64_t inside = p->has_segment ? p->seg.shared->pid_inside : 0;

	return inside > 0 && inside < 1u << 30 ? (pid_t)inside : p->pid;
}

void
sn_guest_open_socket(struct sn_guest *g)
{
	struct sn_service *s = g->service;
	struct stat st = { .st_uid = geteuid() };
	char path[32];
	int err;

	if (g->socket_tried || s->http == NULL)
		return;
	g->socket_tried = true;
	err = sn_socket_make(s->options.socket, s->runtime_dir, pid_inside(g->process), &g->socket);
	if (err < 0) {
		sn_log(SN_LOG_FILE, "process %d has no socket: %s", (int)g->process->pid, strerror(-err));
		return;
	}
	if (g->socket.fd < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)g->process->pid);
	(void)stat(path, &st);
	g->listener = sn_http_listen_fd(s->http, g->socket.fd, st.st_uid, g);
	if (g->listener == NULL)
		sn_socket_remove(&g->socket);
	else if (g->process->is_first && s->address[0] != '\0')
		(void)sn_socket_note_http(&g->socket, s->address);
}

void
sn_guest_pin(struct sn_guest *g)
{
	struct sn_service *s = g->service;

	if (g->takers++ > 0)
		return;
	if (s->options.mode == SN_MODE_IDLE)
		sn_process_set_sampling(g->process, &s->options, true);
}

void
sn_guest_unpin(struct sn_guest *g)
{
	struct sn_service *s = g->service;

	if (--g->takers > 0)
		return;
	g->process->history.pinned_ns = 0;
	if (s->options.mode == SN_MODE_IDLE)
		sn_process_set_sampling(g->process, &s->options, false);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * inside_loop.c - a loop that drains and counts, and hands out segments to children.
 *
 * Runs in:  the collector's thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "service/inside.h"
#include "service/internal.h"

struct loop {
	struct sn_host *host;
	struct sn_service *service;
	struct event *tick;
	uint64_t samples, exits;
};

static void
take(void *ctx, uint32_t slot, const struct sn_record *r)
{
	struct loop *l = ctx;

	(void)slot;
	if (r->rec.kind == SN_REC_EXIT)
		l->exits++;
	else
		l->samples += r->rec.weight;
}

static void
drain(struct loop *l)
{
	const struct sn_segment *s = l->host->segment;
	uint32_t ready = SN_LOAD_ACQUIRE(&s->shared->slots_ready);
	struct sn_segment own = *s;

	for (uint32_t i = 0; i < ready && SN_LOAD_RELAXED(&own.slots[i].uses) != 0; i++)
		(void)sn_drain_ring(&own, i, UINT32_MAX, -1, false, take, l);
}

static bool
must_end(const struct loop *l)
{
	return SN_LOAD_ACQUIRE(&l->host->stop) != SN_HOST_RUN || sn_inside_is_alone();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct timeval tv = { 0, 100000 };

	(void)fd;
	(void)what;
	drain(l);
	for (struct sn_guest *g = l->service->guests; g != NULL; g = g->next) {
		uint32_t fullest = 0;

		if (g->process->has_segment)
			(void)sn_process_drain(g->process, 2000, &fullest);
	}
	if (must_end(l))
		(void)event_base_loopbreak(l->service->base);
	else
		(void)event_add(l->tick, &tv);
}

/* What the file of a real collector would be. */
static void
write_file(const struct loop *l)
{
	char path[4096], text[128];
	int fd, n;

	if (l->host->options.file == NULL)
		return;
	(void)snprintf(path, sizeof(path), "%s.%d", l->host->options.file, (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "samples %llu threads %llu\n", (unsigned long long)l->samples,
		(unsigned long long)l->exits);
	if (write(fd, text, (size_t)n) != n)
		(void)unlink(path);
	(void)close(fd);
}

static void
quiet(int severity, const char *msg)
{
	(void)severity;
	(void)msg;
}

/* Descriptors ended with the thread that had them, if there was one: all that has any is made anew. */
static int
begin(struct loop *l, struct sn_host *host)
{
	int err = -ENOMEM;

	event_set_log_callback(quiet);
	l->host = host;
	l->service = sn_service_new(&host->options, "none", &err);
	if (l->service != NULL) {
		event_free(l->service->ticking);	/* a nudge is a tick of ours */
		l->service->ticking = NULL;
	}
	l->tick = l->service != NULL ? event_new(l->service->base, -1, 0, on_tick, l) : NULL;
	if (l->tick == NULL)
		return err < 0 ? err : -ENOMEM;
	l->service->ticking = l->tick;
	return 0;
}

static void
end(struct loop *l)
{
	sn_service_free(l->service);		/* its tick too */
	l->tick = NULL;
	l->service = NULL;
}

int
sn_service_run_inside(struct sn_host *host)
{
	struct timeval tv = { 0, 100000 };
	struct loop *l = host->kept != NULL ? host->kept : calloc(1, sizeof(*l));
	int err;

	if (l == NULL)
		return -ENOMEM;
	host->kept = l;
	err = begin(l, host);
	if (err == 0) {
		(void)snprintf(host->collector, sizeof(host->collector), "%s", sn_service_socket(l->service));
		(void)event_add(l->tick, &tv);
		SN_STORE_RELEASE(&host->ready, 1u);
		(void)syscall(SYS_futex, &host->ready, FUTEX_WAKE_PRIVATE, INT32_MAX);
		if (!must_end(l) && event_base_dispatch(l->service->base) < 0)
			err = -EIO;
		drain(l);
	}
	end(l);
	if (SN_LOAD_ACQUIRE(&host->stop) != SN_HOST_PAUSE) {
		write_file(l);
		free(l);
		host->kept = NULL;
	}
	return err;
}

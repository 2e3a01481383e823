/* SPDX-License-Identifier: Apache-2.0
 *
 * flush.c - files that are written while the program goes on, or seems to: before it dies, before exec, at
 * SONDE_DUMP_SIGNAL.
 *
 * Runs in:  the collector's loop, once a tick.
 * Memory:   each file is a job with a profile of its own; one a process at a time.
 * When it fails: a line in the log; whoever waits is let go all the same.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "service/internal.h"

#define SOCKET_AGAIN_NS	SN_NS_PER_SEC	/* a process that was about to die and lives: its socket comes back */

int
sn_job_so_far(struct sn_service *s, struct sn_guest *g, bool is_span, struct sn_job **out)
{
	struct sn_job *j = sn_job_new(s, g->process);
	int err;

	*out = NULL;
	if (j == NULL)
		return -ENOMEM;
	(void)sn_process_mark(g->process, &s->options);
	err = is_span ? sn_span_profile(s, g, j) :
		sn_process_so_far(g->process, &s->options, g->own_cpu_ns, &j->window);
	if (err < 0) {
		sn_job_finish(s, j, err);
		return err;
	}
	j->is_interim = true;
	*out = j;
	return 0;
}

int
sn_flush_guest(struct sn_service *s, struct sn_guest *g, void (*done)(void *arg, int err, int memfd), void *arg)
{
	pid_t pid = g->process->pid;
	struct sn_job *j;
	int err = sn_job_so_far(s, g, false, &j);

	if (err == 0) {
		j->done = done;
		j->arg = arg;
		err = sn_job_submit_file(s, j);
	}
	if (err < 0)
		sn_log(SN_LOG_FILE, "the profile of process %d could not be written: %s", (int)pid, strerror(-err));
	return err;
}

/* ---- the program that we are in ---- */

/* Those who are about to end leave nothing behind; who lives on gets it again, by the scan. */
static void
remove_sockets(struct sn_service *s)
{
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		sn_guest_close_socket(g);
	s->next_scan_ns = sn_clock_mono_ns() + SOCKET_AGAIN_NS;
}

static void
finish_flush(struct sn_service *s)
{
	struct sn_host *h = s->host;

	if (SN_LOAD_ACQUIRE(&h->flush_how) == SN_FLUSH_DYING && !s->is_ending)
		remove_sockets(s);
	s->flush.busy = false;
	SN_STORE_RELEASE(&h->flush_done, s->flush.asked);
	(void)syscall(SYS_futex, &h->flush_done, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void
on_flushed(void *arg, int err, int memfd)
{
	struct sn_service *s = arg;

	(void)err;			/* logged */
	(void)memfd;
	if (--s->flush.files == 0)
		finish_flush(s);
}

/* Also the files of children: who collects for them is about to be gone. */
static void
begin_flush(struct sn_service *s, uint32_t asked)
{
	struct sn_guest *own = sn_guest_find(s, getpid());

	s->flush.asked = asked;
	s->flush.busy = true;
	s->flush.began_ns = sn_clock_mono_ns();
	s->flush.files = 1;		/* ours, until all are on their way */
	for (struct sn_guest *g = s->guests; s->file != NULL && g != NULL; g = g->next) {
		if (s->options.mode == SN_MODE_IDLE || g->file_is_final ||
		    (g != own && g->process->count.samples == 0))
			continue;
		s->flush.files++;
		if (sn_flush_guest(s, g, on_flushed, s) < 0)
			s->flush.files--;
	}
	on_flushed(s, 0, -1);
}

static void
tick_own(struct sn_service *s)
{
	uint32_t asked = SN_LOAD_ACQUIRE(&s->host->flush_asked);

	if (!s->flush.busy && asked != SN_LOAD_RELAXED(&s->host->flush_done))
		begin_flush(s, asked);
	else if (s->flush.busy &&
	    sn_clock_mono_ns() - s->flush.began_ns > (uint64_t)s->options.exit_wait / 3 * 2)
		sn_inside_child_hurry(s);	/* the program waits: names from symbol tables must do */
}

/* ---- SONDE_DUMP_SIGNAL ---- */

static void
on_dumped(void *arg, int err, int memfd)
{
	struct sn_process *p = arg;		/* the job holds it */

	(void)err;				/* logged */
	(void)memfd;
	p->is_dumping = false;
}

static void
tick_dump(struct sn_service *s, struct sn_guest *g)
{
	struct sn_process *p = g->process;
	uint32_t asked = p->has_segment ? SN_LOAD_RELAXED(&p->seg.shared->dumps_asked) : 0;

	if (p->is_dumping || asked == p->dumps_done)
		return;
	p->dumps_done = asked;
	if (asked == 0)
		return;				/* another image: its word begins anew */
	if (s->file == NULL) {
		sn_log(SN_LOG_FILE, "process %d got SONDE_DUMP_SIGNAL: no file was asked for", (int)p->pid);
		return;
	}
	p->is_dumping = true;
	if (sn_flush_guest(s, g, on_dumped, p) < 0)
		p->is_dumping = false;
}

void
sn_flush_tick(struct sn_service *s)
{
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		tick_dump(s, g);
	if (s->host != NULL)
		tick_own(s);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * run_inside.c - the collector as a thread of the program that it serves.
 *
 * Runs in:  that thread (see inside.c for its first acts), until the program wants it to stop.
 * Memory:   the process's samples are kept over a pause, in host->kept; all else is made anew.
 * When it cannot start: host->error and host->complaint say why, and the program goes on unprofiled.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "collect/tables.h"
#include "service/inside.h"
#include "service/internal.h"

#define STOP_WAIT_NS	(8 * SN_NS_PER_SEC)	/* profiler_stop() waits for 10 s */

/* One process over a pause. */
struct kept_guest {
	struct sn_process *process;
	struct sn_buf cmdline;
	uint64_t own_cpu_ns, stack_start;
	struct sn_span span;
	bool file_is_final;
	struct kept_guest *next;
};

/* What outlives a pause. */
struct kept {
	struct sn_images images;
	struct kept_guest *guests;
	char file[PATH_MAX];		/* of the options, absolute */
	char address[80];		/* TCP in force: clients know it, also if any free port was asked for */
};

static void
set_ready(struct sn_host *host, uint32_t value)
{
	SN_STORE_RELEASE(&host->ready, value);
	(void)syscall(SYS_futex, &host->ready, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

bool
sn_inside_is_alone(void)
{
	char path[64], text[512];
	struct stat st;
	const char *end;
	ssize_t n;
	int fd;

	if (stat("/proc/self/task", &st) < 0 || st.st_nlink > 4)
		return false;
	if (st.st_nlink == 3)
		return true;
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' && end[2] == 'Z';
}

/* A file is where it was at the start, wherever the program's folder is later; the folder's own name is no pattern. */
static const char *
absolute_file(struct kept *kept, const char *file)
{
	char folder[PATH_MAX];
	size_t at = 0;

	if (file == NULL || file[0] == '/' || kept->file[0] != '\0')
		return file == NULL || file[0] == '/' ? file : kept->file;
	if (getcwd(folder, sizeof(folder)) == NULL || folder[0] != '/')
		return file;
	for (const char *c = folder; *c != '\0' && at < sizeof(kept->file) - 2; c++) {
		if (*c == '%')
			kept->file[at++] = '%';
		kept->file[at++] = *c;
	}
	(void)snprintf(kept->file + at, sizeof(kept->file) - at, "/%s", file);
	return kept->file;
}

/* The processes from before the pause. */
static int
rejoin(struct sn_service *s, struct kept *kept)
{
	struct kept_guest *k;

	while ((k = kept->guests) != NULL) {
		struct sn_guest *g = sn_guest_of(s, k->process);

		if (g == NULL)
			return -ENOMEM;
		g->cmdline = k->cmdline;
		g->own_cpu_ns = k->own_cpu_ns;
		g->stack_start = k->stack_start;
		g->span = k->span;
		g->file_is_final = k->file_is_final;
		if (g->span.from_ns != 0) {
			sn_guest_pin(g);
			sn_answers_pin_oldest(s, g);
		}
		kept->guests = k->next;
		free(k);
		if (g->process->host == NULL)
			continue;
		(void)sn_tables_open(s->images, (size_t)s->options.memory / 4);
		sn_process_offer_tables(g->process);	/* guests have mapped the one before: theirs are copied */
		sn_guest_open_socket(g);
	}
	return 0;
}

/* The program itself as a guest. */
static int
join_own_program(struct sn_service *s)
{
	struct sn_guest *g = sn_guest_new(s, getpid());
	int err = g != NULL ? sn_process_adopt(g->process, &s->options, s->host) : -ENOMEM;

	if (err < 0)
		return err;
	if (s->host->is_late)
		sn_process_begin_late(g->process, &s->options);
	sn_guest_note_program(g, NULL);
	sn_guest_open_socket(g);
	return 0;
}

/* The program waits, so not for ever: when two thirds of the time are over, names from symbol tables must do. */
static void
wait_for_files(struct sn_service *s, uint64_t wait)
{
	uint64_t began = sn_clock_mono_ns(), now = began;

	while (sn_workers_busy(s) && (now = sn_clock_mono_ns()) - began < wait) {
		if (now - began > wait / 3 * 2)
			sn_inside_child_hurry(s);
		if (event_base_loop(s->base, EVLOOP_ONCE) < 0)
			break;
	}
	if (sn_workers_busy(s))
		sn_log(SN_LOG_FILE, "process %d ended before its profile was written: SONDE_EXIT_WAIT was over",
			(int)getpid());
}

/* The files that were asked for, also those of children, who are on their own from here on. */
static void
write_last_files(struct sn_service *s)
{
	struct sn_guest *own;

	(void)event_base_loop(s->base, EVLOOP_NONBLOCK);	/* children that have ended by now get theirs as such */
	own = sn_guest_find(s, getpid());
	if (own != NULL && !own->file_is_final)
		(void)sn_flush_guest(s, own, NULL, NULL);
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		if (g != own && g->process->count.samples > 0 && !g->file_is_final)
			(void)sn_flush_guest(s, g, NULL, NULL);
	wait_for_files(s, own != NULL && own->file_is_final ? STOP_WAIT_NS : (uint64_t)s->options.exit_wait);
}

/*
 * Only memory outlives the thread: descriptors are closed with its table.  A process that asks for more rings later
 * gets none, and its new threads are counted as not sampled.
 */
static void
keep_guests(struct sn_service *s, struct kept *kept)
{
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next) {
		struct kept_guest *k = calloc(1, sizeof(*k));

		if (k == NULL)
			continue;		/* it ends here, as if it had never been asked */
		*k = (struct kept_guest){ g->process, g->cmdline, g->own_cpu_ns, g->stack_start, g->span,
			g->file_is_final, kept->guests };
		g->cmdline = (struct sn_buf){ 0 };
		g->process->holders++;
		if (g->process->memfd >= 0)
			(void)close(g->process->memfd);
		g->process->memfd = -1;
		kept->guests = k;
	}
	memcpy(kept->address, s->address, sizeof(kept->address));
}

static void
end_own_program(struct sn_service *s)
{
	struct sn_guest *g = sn_guest_find(s, getpid());

	if (g == NULL)
		return;
	if (s->file != NULL && s->options.mode != SN_MODE_IDLE)
		write_last_files(s);
	if (s->file != NULL && sn_span_end_toggled(s))
		wait_for_files(s, (uint64_t)s->options.exit_wait);
	if (sn_process_is_sampling(g->process))
		sn_process_set_sampling(g->process, &s->options, false);
}

/* The descriptor of the store goes with this thread: it begins anew after a pause. */
static void
drop_tables(struct sn_service *s)
{
	struct sn_guest *own = sn_guest_find(s, getpid());

	if (own != NULL)
		(void)sn_process_unpublish(own->process);	/* held up: it stays mapped */
	sn_tables_close(s->images);
}

static int
run(struct sn_service *s, struct kept *kept)
{
	int err = kept->guests != NULL ? rejoin(s, kept) : join_own_program(s);

	if (err < 0)
		return err;
	(void)snprintf(s->host->collector, sizeof(s->host->collector), "%s", s->socket);
	sn_service_tick(s);
	set_ready(s->host, 1);
	err = sn_service_must_stop(s) || event_base_dispatch(s->base) == 0 ? 0 : -EIO;
	if (SN_LOAD_ACQUIRE(&s->host->stop) == SN_HOST_PAUSE)
		keep_guests(s, kept);
	else
		end_own_program(s);
	drop_tables(s);
	return err;
}

int
sn_service_run_inside(struct sn_host *host)
{
	struct kept *kept = host->kept;
	struct sn_options options;
	struct sn_service *s;
	char why[SN_WHY_MAX];
	int err;

	if (kept == NULL)
		kept = calloc(1, sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	host->kept = kept;
	options = host->options;
	if (kept->address[0] != '\0')
		options.http = kept->address;
	s = sn_service_new(&options, absolute_file(kept, host->options.file), host, why, &err);
	if (s == NULL) {
		(void)snprintf(host->complaint, sizeof(host->complaint), "%s", why);
		sn_log(SN_LOG_FILE, "%s", why);
		return err;
	}
	s->images = &kept->images;
	err = run(s, kept);
	if (err < 0)
		sn_log(SN_LOG_FILE, "the collector in process %d ended: %s", (int)getpid(), strerror(-err));
	sn_service_free(s);
	if (kept->guests == NULL) {
		free(kept);
		host->kept = NULL;
	}
	return err;
}

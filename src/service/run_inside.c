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
#include "service/inside.h"
#include "service/internal.h"

/* What outlives a pause. */
struct kept {
	struct sn_images images;
	struct sn_process *process;
	struct sn_buf cmdline;
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

/* The program itself as a guest: a new process, or the one from before the pause. */
static int
join_own_program(struct sn_service *s, struct kept *kept)
{
	struct sn_guest *g = sn_guest_new(s, getpid());
	int err;

	if (g == NULL)
		return -ENOMEM;
	if (kept->process != NULL) {
		sn_process_free(g->process);
		g->process = kept->process;
		g->cmdline = kept->cmdline;
		kept->process = NULL;
		kept->cmdline = (struct sn_buf){ 0 };
	} else {
		err = sn_process_adopt(g->process, &s->options, s->host);
		if (err < 0)
			return err;
		sn_guest_note_program(g, NULL);
	}
	sn_guest_open_socket(g);
	return 0;
}

/* The file that was asked for, as of now; the program waits for it, so not for ever. */
static void
write_last_file(struct sn_service *s, struct sn_guest *g)
{
	uint64_t until = sn_clock_mono_ns() + (uint64_t)s->options.exit_wait;
	struct sn_job *j;
	int err;

	(void)sn_process_mark(g->process, &s->options);
	j = sn_job_new(s, g->process);
	err = j == NULL ? -ENOMEM : sn_process_so_far(g->process, &s->options, g->own_cpu_ns, &j->window);
	if (err < 0 && j != NULL)
		sn_job_finish(s, j, err);
	else if (err == 0)
		err = sn_job_submit_file(s, j);
	if (err < 0)
		sn_log(SN_LOG_FILE, "the profile could not be written: %s", strerror(-err));
	while (sn_workers_busy(s) && sn_clock_mono_ns() < until)
		if (event_base_loop(s->base, EVLOOP_ONCE) < 0)
			break;
}

static void
end_own_program(struct sn_service *s, struct kept *kept)
{
	struct sn_guest *g = sn_guest_find(s, getpid());

	if (g == NULL)
		return;
	if (SN_LOAD_ACQUIRE(&s->host->stop) == SN_HOST_PAUSE) {
		g->process->holders++;			/* ours, when the guest goes */
		kept->process = g->process;
		kept->cmdline = g->cmdline;
		g->cmdline = (struct sn_buf){ 0 };
		return;
	}
	if (s->file != NULL && s->options.mode != SN_MODE_IDLE && !s->file_is_final)
		write_last_file(s, g);
	if (sn_process_is_sampling(g->process))
		sn_process_set_sampling(g->process, &s->options, false);
}

static int
run(struct sn_service *s, struct kept *kept)
{
	int err = join_own_program(s, kept);

	if (err < 0)
		return err;
	(void)snprintf(s->host->collector, sizeof(s->host->collector), "%s", s->socket);
	sn_service_tick(s);
	set_ready(s->host, 1);
	err = sn_service_must_stop(s) || event_base_dispatch(s->base) == 0 ? 0 : -EIO;
	end_own_program(s, kept);
	return err;
}

int
sn_service_run_inside(struct sn_host *host)
{
	struct kept *kept = host->kept;
	struct sn_service *s;
	char why[SN_WHY_MAX];
	int err;

	if (kept == NULL)
		kept = calloc(1, sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	host->kept = kept;
	s = sn_service_new(&host->options, host->options.file, host, why, &err);
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
	if (kept->process == NULL) {
		free(kept);
		host->kept = NULL;
	}
	return err;
}

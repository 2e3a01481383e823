/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c - a finished profile is symbolized, encoded and written by a child.
 *
 * Runs in:  the collector; the child has a copy of all it needs and gives back one number.
 * Why:      damaged DWARF may crash or occupy a library: then the child is the loss, and the next
 *           one tries with symbol tables only, then without names.
 * When it fails: the samples stay in memory until no attempt is left; the first error is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "deliver/file.h"
#include "encode/pprof.h"
#include "service/internal.h"
#include "symbol/symbol.h"

/* More CPU time than any sound file needs. */
#define WORKER_CPU_S 300

static int
write_profile(const struct sn_worker *w)
{
	struct sn_symbolizer *sym = sn_symbolizer_new(w->how, NULL);
	struct sn_buf out = { 0 };
	int err;

	if (sym == NULL)
		return -ENOMEM;
	err = sn_pprof_encode(&w->process->profile, sym, w->how, &out);
	if (err == 0)
		err = sn_file_write(w->file, out.data, out.len);
	sn_buf_free(&out);
	sn_symbolizer_free(sym);
	return err;
}

static void
be_worker(const struct sn_worker *w, int result_fd)
{
	static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct rlimit cpu = { WORKER_CPU_S, WORKER_CPU_S + 1 }, no_core = { 0, 0 };
	int err;

	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		(void)signal(passed_on[i], SIG_IGN);	/* the profile is written however the tree is ended */
	(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	err = write_profile(w);
	if (write(result_fd, &err, sizeof(err)) != sizeof(err))
		_exit(1);
	_exit(0);
}

static int
start(struct sn_worker *w)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	w->pid = fork();
	if (w->pid == 0) {
		(void)close(fds[0]);
		be_worker(w, fds[1]);
	}
	(void)close(fds[1]);
	if (w->pid < 0) {
		(void)close(fds[0]);
		w->pid = 0;
		return -errno;
	}
	w->result_fd = fds[0];
	return 0;
}

static void
finish(struct sn_service *s, struct sn_worker *w, int err)
{
	struct sn_service_result *r = s->result;
	struct sn_worker **at;

	if (err < 0)
		sn_log(SN_LOG_FILE, "profile of process %d: %s: %s", (int)w->process->pid, w->file, strerror(-err));
	if (w->process->is_first) {
		r->error = err;
		memcpy(r->file, w->file, sizeof(r->file));
	} else if (err < 0) {
		if (r->other_error == 0)
			r->other_error = err;
	} else {
		r->other_files++;
	}
	for (at = &s->workers; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	sn_process_free(w->process);
	free(w);
}

void
sn_workers_start(struct sn_service *s)
{
	uint32_t running = 0;
	struct sn_worker *next;

	for (struct sn_worker *w = s->workers; w != NULL; w = w->next)
		running += w->pid > 0;
	for (struct sn_worker *w = s->workers; w != NULL && running < SN_WORKERS_MAX; w = next) {
		int err;

		next = w->next;
		if (w->pid > 0)
			continue;
		err = start(w);
		if (err == 0)
			running++;
		else
			finish(s, w, err);
	}
}

void
sn_worker_add(struct sn_service *s, struct sn_process *p)
{
	const char *base = strrchr(p->exe, '/');
	struct sn_file_words words = {
		.pid = p->pid, .exe = base != NULL ? base + 1 : p->exe,
		.start_s = (int64_t)(p->began_real_ns / 1000000000u), .kind = "cpu", .add_pid = !p->is_first,
	};
	struct sn_worker *w = calloc(1, sizeof(*w));
	struct sn_worker **at = &s->workers;
	int err;

	if (w == NULL) {
		sn_log(SN_LOG_STDERR, "no memory to write the profile of process %d", (int)p->pid);
		if (p->is_first)
			s->result->error = -ENOMEM;
		sn_process_free(p);
		return;
	}
	w->process = p;
	w->how = (enum sn_symbolize)s->options.symbolize;
	w->result_fd = -1;
	while (*at != NULL)
		at = &(*at)->next;
	*at = w;
	err = sn_file_name(s->file, &words, w->file, sizeof(w->file));
	if (err < 0)
		finish(s, w, err);
	sn_workers_start(s);
}

/* The child has gone: its number, or -EAGAIN when it died without one. */
static int
result_of(struct sn_worker *w)
{
	int err = 0;
	ssize_t n = read(w->result_fd, &err, sizeof(err));

	(void)close(w->result_fd);
	w->result_fd = -1;
	return n == sizeof(err) ? err : -EAGAIN;
}

void
sn_workers_reap(struct sn_service *s)
{
	struct sn_worker *next;

	for (struct sn_worker *w = s->workers; w != NULL; w = next) {
		int status, err;

		next = w->next;
		if (w->pid <= 0 || waitpid(w->pid, &status, WNOHANG) != w->pid)
			continue;
		w->pid = 0;
		err = result_of(w);
		if (err == -EAGAIN && w->how > SN_SYMBOLIZE_NONE) {
			w->how--;		/* something in the files kills the reader: try with less of them */
			(void)sn_profile_comment(&w->process->profile,
				"sonde: debug information could not be read (signal %d); names fall back",
				WIFSIGNALED(status) ? WTERMSIG(status) : 0);
			continue;
		}
		finish(s, w, err);
	}
	sn_workers_start(s);
}

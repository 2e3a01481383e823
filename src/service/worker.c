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

#include "base/clock.h"
#include "base/log.h"
#include "deliver/file.h"
#include "encode/pprof.h"
#include "service/internal.h"
#include "symbol/symbol.h"

/* While the command runs, jobs gather: looking up libc's functions costs the same for one as for all. */
#define GATHER_NS SN_NS_PER_SEC
/* More CPU time than any sound file needs. */
#define WORKER_CPU_S 300

static int
write_profile(const struct sn_job *j, struct sn_symbolizer *sym)
{
	struct sn_buf out = { 0 };
	int err = sn_pprof_encode(&j->process->profile, sym, j->how, &out);

	if (err == 0)
		err = sn_file_write(j->file, out.data, out.len);
	sn_buf_free(&out);
	return err;
}

static void
be_worker(const struct sn_service *s, const struct sn_job *jobs, int result_fd)
{
	static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct rlimit cpu = { WORKER_CPU_S, WORKER_CPU_S + 1 }, no_core = { 0, 0 };
	struct sn_symbolizer *sym;

	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		(void)signal(passed_on[i], SIG_IGN);	/* the profile is written however the tree is ended */
	(void)close(s->listener);	/* should the collector be killed, nobody must wait for us to accept */
	(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	sym = sn_symbolizer_new(jobs->how, NULL);
	for (const struct sn_job *j = jobs; j != NULL; j = j->next) {
		int err = sym != NULL ? write_profile(j, sym) : -ENOMEM;

		if (write(result_fd, &err, sizeof(err)) != sizeof(err))
			_exit(1);
	}
	_exit(0);
}

static int
start(const struct sn_service *s, struct sn_worker *w)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	w->pid = fork();
	if (w->pid == 0) {
		(void)close(fds[0]);
		be_worker(s, w->jobs, fds[1]);
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

/* The news of one profile; frees it. */
static void
finish(struct sn_service *s, struct sn_job *j, int err)
{
	struct sn_service_result *r = s->result;

	if (err < 0)
		sn_log(SN_LOG_FILE, "profile of process %d: %s: %s", (int)j->process->pid, j->file, strerror(-err));
	if (j->process->is_first) {
		r->error = err;
		memcpy(r->file, j->file, sizeof(r->file));
	} else if (err < 0) {
		if (r->other_error == 0)
			r->other_error = err;
	} else {
		r->other_files++;
	}
	sn_process_free(j->process);
	free(j);
}

/* As many as one child may have, all to be looked up the same way. */
static struct sn_job *
take_jobs(struct sn_service *s)
{
	struct sn_job *first = s->waiting, *last = first;

	for (int n = 1; last->next != NULL && n < SN_JOBS_MAX && last->next->how == first->how; n++)
		last = last->next;
	s->waiting = last->next;
	last->next = NULL;
	for (const struct sn_job *j = first; j != NULL; j = j->next)
		s->waiting_count--;
	return first;
}

void
sn_workers_start(struct sn_service *s)
{
	if (!s->command_ended && s->waiting_count < SN_JOBS_MAX && sn_clock_mono_ns() - s->waiting_since_ns < GATHER_NS)
		return;
	for (int i = 0; i < SN_WORKERS_MAX && s->waiting != NULL; i++) {
		struct sn_worker *w = &s->workers[i];
		int err;

		if (w->pid > 0)
			continue;
		w->jobs = take_jobs(s);
		err = start(s, w);
		while (err < 0 && w->jobs != NULL) {
			struct sn_job *j = w->jobs;

			w->jobs = j->next;
			finish(s, j, err);
		}
	}
}

bool
sn_workers_busy(const struct sn_service *s)
{
	for (int i = 0; i < SN_WORKERS_MAX; i++)
		if (s->workers[i].pid > 0)
			return true;
	return s->waiting != NULL;
}

void
sn_worker_add(struct sn_service *s, struct sn_process *p)
{
	const char *base = strrchr(p->exe, '/');
	struct sn_file_words words = {
		.pid = p->pid, .exe = base != NULL ? base + 1 : p->exe,
		.start_s = (int64_t)(p->began_real_ns / 1000000000u), .kind = "cpu", .add_pid = !p->is_first,
	};
	struct sn_job *j = calloc(1, sizeof(*j));
	struct sn_job **at = &s->waiting;
	int err;

	if (j == NULL) {
		sn_log(SN_LOG_STDERR, "no memory to write the profile of process %d", (int)p->pid);
		if (p->is_first)
			s->result->error = -ENOMEM;
		sn_process_free(p);
		return;
	}
	j->process = p;
	j->how = (enum sn_symbolize)s->options.symbolize;
	err = sn_file_name(s->file, &words, j->file, sizeof(j->file));
	if (err < 0) {
		finish(s, j, err);
		return;
	}
	if (*at == NULL)
		s->waiting_since_ns = sn_clock_mono_ns();
	while (*at != NULL)
		at = &(*at)->next;
	*at = j;
	s->waiting_count++;
	sn_workers_start(s);
}

/* The child died of this one: something in the files kills the reader, so try with less of them. */
static bool
try_with_less(struct sn_job *j, int status)
{
	if (j->how == SN_SYMBOLIZE_NONE)
		return false;
	j->how--;
	(void)sn_profile_comment(&j->process->profile,
		"sonde: debug information could not be read (signal %d); names fall back",
		WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return true;
}

/* The child has gone: a number for each job that it finished, none for the one that it died of. */
static void
take_results(struct sn_service *s, struct sn_worker *w, int status)
{
	bool died = false;
	struct sn_job *j;

	while ((j = w->jobs) != NULL) {
		int err = 0;

		w->jobs = j->next;
		if (!died && read(w->result_fd, &err, sizeof(err)) == sizeof(err)) {
			finish(s, j, err);
			continue;
		}
		if (!died && !try_with_less(j, status)) {
			finish(s, j, -EIO);
		} else {
			j->next = s->waiting;
			s->waiting = j;
			s->waiting_count++;
		}
		died = true;
	}
	(void)close(w->result_fd);
}

void
sn_workers_reap(struct sn_service *s)
{
	for (int i = 0; i < SN_WORKERS_MAX; i++) {
		struct sn_worker *w = &s->workers[i];
		int status;

		if (w->pid <= 0 || waitpid(w->pid, &status, WNOHANG) != w->pid)
			continue;
		w->pid = 0;
		take_results(s, w, status);
	}
	sn_workers_start(s);
}

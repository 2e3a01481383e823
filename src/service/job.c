/* SPDX-License-Identifier: Apache-2.0
 *
 * job.c - a profile is symbolized and encoded by a child, and goes into a file or to who asked.
 *
 * Runs in:  the collector; the child has a copy of all it needs and gives back one number, the bytes in a memfd.
 *           Inside a program nothing is forked: see job_inside.c.
 * Why:      damaged DWARF may crash or occupy a library: then the child is the loss, and the next
 *           one tries with symbol tables only, then without names.
 * When it fails: the samples stay in memory until no attempt is left; the first error is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "deliver/file.h"
#include "encode/pprof.h"
#include "service/internal.h"

/* While the command runs, files gather: looking up libc's functions costs the same for one as for all. */
#define GATHER_NS SN_NS_PER_SEC
/* More CPU time than any sound file needs. */
#define WORKER_CPU_S 300
#define FILE_WORKERS (SN_WORKERS_MAX / 2)

struct sn_job *
sn_job_new(struct sn_service *s, struct sn_process *p)
{
	struct sn_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	p->holders++;
	j->process = p;
	j->profile = &j->window.profile;
	j->how = (enum sn_symbolize)s->options.symbolize;
	j->memfd = -1;
	return j;
}

static void
free_job(struct sn_job *j)
{
	if (j->memfd >= 0)
		(void)close(j->memfd);
	sn_profile_free(&j->window.profile);
	sn_process_free(j->process);
	free(j->addr);
	free(j);
}

/* Names for the addresses of one module, all at once: its file is opened once. */
static int
look_up_module(const struct sn_job *j, struct sn_symbolizer *sym, const struct sn_module *m, struct sn_buf *out)
{
	uint64_t *addr = calloc(j->addr_count, sizeof(*addr));
	struct sn_symbol *symbol = calloc(j->addr_count, sizeof(*symbol));
	size_t n = 0;
	int err = addr == NULL || symbol == NULL ? -ENOMEM : 0;

	for (size_t i = 0; err == 0 && i < j->addr_count; i++)
		if (j->addr[i] >= m->start && j->addr[i] < m->limit)
			addr[n++] = j->addr[i];
	if (err == 0)
		err = sn_symbolize_batch(sym, m, addr, n, symbol);
	for (size_t i = 0; err == 0 && i < n; i++)
		if (!symbol[i].is_fallback)
			sn_buf_putf(out, "0x%llx %s\n", (unsigned long long)addr[i],
				symbol[i].line[symbol[i].count - 1].name);
	free(addr);
	free(symbol);
	return err < 0 ? err : out->err;
}

/* A line for each address that has a name, as `pprof` reads them. */
static int
look_up(const struct sn_job *j, struct sn_symbolizer *sym, struct sn_buf *out)
{
	const struct sn_modules *all = j->process->modules;
	int err = 0;

	for (uint32_t i = 0; all != NULL && i < all->now_count && err == 0; i++) {
		const struct sn_module *m = all->now[i];
		bool wanted = false;

		for (size_t k = 0; k < j->addr_count && !wanted; k++)
			wanted = j->addr[k] >= m->start && j->addr[k] < m->limit;
		if (wanted)
			err = look_up_module(j, sym, m, out);
	}
	return err;
}

int
sn_job_work(const struct sn_job *j, struct sn_symbolizer *sym, struct sn_buf *out)
{
	if (sym != NULL)
		sn_symbolizer_set_process(sym, j->process->pid, j->process->start_time);
	return j->addr != NULL ? look_up(j, sym, out) : sn_pprof_encode(j->profile, sym, j->how, out);
}

int
sn_job_fill(int memfd, const struct sn_buf *bytes)
{
	size_t at = 0;

	while (at < bytes->len) {
		ssize_t n = pwrite(memfd, bytes->data + at, bytes->len - at, (off_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int
deliver(const struct sn_job *j, const struct sn_buf *out)
{
	return j->file[0] != '\0' ? sn_file_write(j->file, out->data, out->len) : sn_job_fill(j->memfd, out);
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
	sn_http_close_in_child(s->http);
	(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	sym = sn_symbolizer_new(jobs->how, NULL);
	for (const struct sn_job *j = jobs; j != NULL; j = j->next) {
		struct sn_buf out = { 0 };
		int err = sym != NULL ? sn_job_work(j, sym, &out) : -ENOMEM;

		if (err == 0)
			err = deliver(j, &out);
		sn_buf_free(&out);
		if (write(result_fd, &err, sizeof(err)) != sizeof(err))
			_exit(1);
	}
	_exit(0);
}

static int
start(const struct sn_service *s, struct sn_worker *w)
{
	int fds[2];

	for (struct sn_job *j = w->jobs; j != NULL; j = j->next) {
		if (j->file[0] == '\0' && j->memfd < 0)
			j->memfd = memfd_create("sonde-answer", MFD_CLOEXEC);
		if (j->file[0] == '\0' && j->memfd < 0)
			return -errno;
	}
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

/* A file of the tree was written, or not: the result of `sonde run` says so. */
static void
tell_result(struct sn_service *s, const struct sn_job *j, int err)
{
	struct sn_service_result *r = s->result;

	if (err < 0)
		sn_log(SN_LOG_FILE, "profile of process %d: %s: %s", (int)j->process->pid, j->file, strerror(-err));
	if (r == NULL || j->is_interim)
		return;			/* the last one counts */
	if (j->process->is_first) {
		r->error = err;
		memcpy(r->file, j->file, sizeof(r->file));
	} else if (err < 0) {
		if (r->other_error == 0)
			r->other_error = err;
	} else {
		r->other_files++;
	}
}

void
sn_job_finish(struct sn_service *s, struct sn_job *j, int err)
{
	if (j->file[0] != '\0')
		tell_result(s, j, err);
	if (j->done != NULL)
		j->done(j->arg, err, err == 0 && j->file[0] == '\0' ? j->memfd : -1);
	free_job(j);
}

/* Two children that write the same file would leave the older profile there, should its child be the slower. */
static bool
is_being_written(const struct sn_service *s, const struct sn_job *j)
{
	for (int i = 0; i < SN_WORKERS_MAX && j->file[0] != '\0'; i++)
		for (const struct sn_job *o = s->workers[i].jobs; s->workers[i].pid > 0 && o != NULL; o = o->next)
			if (strcmp(o->file, j->file) == 0)
				return true;
	return false;
}

/* As many as one child may have, all to be looked up the same way.  NULL: the first must wait. */
static struct sn_job *
take_jobs(const struct sn_service *s, struct sn_job_queue *q)
{
	struct sn_job *first = q->first, *last = first;

	if (is_being_written(s, first))
		return NULL;
	for (int n = 1; last->next != NULL && n < SN_JOBS_MAX && last->next->how == first->how &&
	     !is_being_written(s, last->next); n++)
		last = last->next;
	q->first = last->next;
	last->next = NULL;
	for (const struct sn_job *j = first; j != NULL; j = j->next)
		q->count--;
	return first;
}

static void
start_some(struct sn_service *s, struct sn_job_queue *q, int from, int to)
{
	for (int i = from; i < to && q->first != NULL; i++) {
		struct sn_worker *w = &s->workers[i];
		int err;

		if (w->pid > 0)
			continue;
		w->jobs = take_jobs(s, q);
		if (w->jobs == NULL)
			return;
		err = start(s, w);
		while (err < 0 && w->jobs != NULL) {
			struct sn_job *j = w->jobs;

			w->jobs = j->next;
			sn_job_finish(s, j, err);
		}
	}
}

void
sn_workers_start(struct sn_service *s)
{
	if (s->is_ending)
		return;
	/* Inside one at a time, and one a turn: the program may want us to stop. */
	if (s->host != NULL && s->child == NULL && (s->answers.first != NULL || s->files.first != NULL)) {
		struct sn_job_queue *q = s->answers.first != NULL ? &s->answers : &s->files;
		struct sn_job *j = q->first;

		q->first = j->next;
		q->count--;
		sn_job_run_inside(s, j);
		sn_service_nudged(s);
	}
	if (s->host != NULL)
		return;
	start_some(s, &s->answers, FILE_WORKERS, SN_WORKERS_MAX);
	if (s->command_ended || s->files.count >= SN_JOBS_MAX ||
	    sn_clock_mono_ns() - s->files.since_ns >= GATHER_NS)
		start_some(s, &s->files, 0, FILE_WORKERS);
}

bool
sn_workers_busy(const struct sn_service *s)
{
	for (int i = 0; i < SN_WORKERS_MAX; i++)
		if (s->workers[i].pid > 0)
			return true;
	return s->files.first != NULL || s->answers.first != NULL || s->child != NULL;
}

void
sn_job_submit(struct sn_service *s, struct sn_job *j)
{
	struct sn_job_queue *q = j->file[0] != '\0' ? &s->files : &s->answers;
	struct sn_job **at = &q->first;

	if (*at == NULL)
		q->since_ns = sn_clock_mono_ns();
	while (*at != NULL)
		at = &(*at)->next;
	j->next = NULL;
	*at = j;
	q->count++;
}

static bool
drop_from(struct sn_service *s, struct sn_job_queue *q, const void *arg)
{
	for (struct sn_job **at = &q->first; *at != NULL; at = &(*at)->next) {
		struct sn_job *j = *at;

		if (arg != NULL && j->arg != arg)
			continue;
		*at = j->next;
		q->count--;
		sn_job_finish(s, j, -ECANCELED);
		return true;
	}
	return false;
}

bool
sn_job_cancel(struct sn_service *s, const void *arg)
{
	return drop_from(s, &s->answers, arg);
}

void
sn_jobs_drop_all(struct sn_service *s)
{
	while (drop_from(s, &s->answers, NULL) || drop_from(s, &s->files, NULL))
		;
}

size_t
sn_jobs_bytes(const struct sn_service *s)
{
	size_t bytes = 0;

	for (const struct sn_job *j = s->answers.first; j != NULL; j = j->next)
		bytes += j->window.profile.held_bytes;
	for (int i = 0; i < SN_WORKERS_MAX; i++)
		for (const struct sn_job *j = s->workers[i].jobs; j != NULL; j = j->next)
			bytes += j->window.profile.held_bytes;
	return bytes;
}

static int
submit_file(struct sn_service *s, struct sn_job *j, const char *suffix)
{
	const struct sn_process *p = j->process;
	const char *base = strrchr(p->exe, '/');
	struct sn_file_words words = {
		.pid = p->pid, .exe = base != NULL ? base + 1 : p->exe,
		.start_s = (int64_t)(p->began_real_ns / 1000000000u), .kind = "cpu",
		.add_pid = !p->is_first || (s->host != NULL && s->host->is_forked),
	};
	int err = sn_file_name(s->file, &words, j->file, sizeof(j->file) - strlen(suffix));

	if (err < 0) {
		j->done = NULL;
		sn_job_finish(s, j, err);
		return err;
	}
	(void)strcat(j->file, suffix);
	sn_job_submit(s, j);
	sn_workers_start(s);
	return 0;
}

int
sn_job_submit_file(struct sn_service *s, struct sn_job *j)
{
	return submit_file(s, j, "");
}

int
sn_job_submit_numbered(struct sn_service *s, struct sn_job *j, uint32_t n)
{
	char suffix[16];

	(void)snprintf(suffix, sizeof(suffix), ".%u", n);
	return submit_file(s, j, suffix);
}

void
sn_job_add_ended(struct sn_service *s, struct sn_process *p)
{
	struct sn_job *j = sn_job_new(s, p);

	if (j == NULL) {
		sn_log(SN_LOG_STDERR, "no memory to write the profile of process %d", (int)p->pid);
		if (p->is_first && s->result != NULL)
			s->result->error = -ENOMEM;
	} else {
		j->profile = &p->profile;
		(void)sn_job_submit_file(s, j);		/* an error is in the result, and logged */
	}
	sn_process_free(p);				/* the job has it */
}

/* The child died of this one: something in the files kills the reader, so try with less of them. */
static bool
try_with_less(struct sn_job *j, int status)
{
	if (j->how == SN_SYMBOLIZE_NONE)
		return false;
	j->how--;
	if (j->addr == NULL)
		(void)sn_profile_comment((struct sn_profile *)j->profile,
			"sonde: debug information could not be read (signal %d); names fall back",
			WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return true;
}

/* It would be written anew after the last word on its process. */
static bool
is_outdated(const struct sn_service *s, const struct sn_job *j)
{
	for (const struct sn_job *o = s->files.first; j->is_interim && o != NULL; o = o->next)
		if (o->process == j->process && o->file[0] != '\0')
			return true;
	return false;
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
			sn_job_finish(s, j, err);
			continue;
		}
		if (!died && !try_with_less(j, status))
			sn_job_finish(s, j, -EIO);
		else if (is_outdated(s, j))
			sn_job_finish(s, j, -ECANCELED);
		else
			sn_job_submit(s, j);
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

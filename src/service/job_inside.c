/* SPDX-License-Identifier: Apache-2.0
 *
 * job_inside.c - jobs of a collector that is a thread of the program.
 *
 * Runs in:  that thread.  The program must not be forked, and no DWARF is read in it: `sonde symbolize`
 *           does that, as another process with limits of its own, from one memfd into another.
 * Hidden:   the program must not meet our child in its wait(), nor its SIGCHLD.  So a helper process is cloned that
 *           shares our memory and ends without a signal (exit signal 0: wait() passes it over); it starts the
 *           child, waits for it and reports by a pipe.  It makes raw system calls only: it has our thread's TLS.
 * When it fails: names come from symbol tables, read here; then the profile has addresses only.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/syscall.h"
#include "deliver/earlier.h"
#include "deliver/file.h"
#include "service/internal.h"

#define SN_SYS_CLOSE_RANGE 436	/* the same everywhere; an older kernel says ENOSYS, and the table stays as it is */
#define STACK_BYTES	(64u << 10)
#define FILES_WAITING	4
#define CHILD_S		45		/* of wall time; then it is killed */
#define CHILD_CPU_S	"60"
#define CHILD_MEMORY	"1GiB"
#define TABLES_MAX	(64u << 20)	/* symbol tables of larger files are not read into the program */

/* A child at work. */
struct sn_inside_child {
	struct sn_service *service;
	struct sn_job *job;
	int in, out;			/* memfds */
	int report[2];			/* the helper writes the status of the child, as of wait */
	bool is_shut;			/* report[1] is closed here */
	pid_t helper;
	int32_t child;			/* written by the helper */
	uint8_t *stacks;		/* of the helper, and of the child until it execs */
	struct event *reported;
	char pid[16];
	char *argv[12];
	char *envp[2];
};

/* In the helper: its table is a copy of the collector's, with the clients' sockets and the port. */
static void
close_others(const struct sn_inside_child *c)
{
	int keep[3] = { c->in, c->out, c->report[1] };
	unsigned from = 0;

	for (int i = 0; i < 3; i++)		/* three, by insertion */
		for (int k = i; k > 0 && keep[k] < keep[k - 1]; k--) {
			int t = keep[k];

			keep[k] = keep[k - 1];
			keep[k - 1] = t;
		}
	for (int i = 0; i < 3; i++) {
		if ((unsigned)keep[i] > from)
			(void)sn_syscall3(SN_SYS_CLOSE_RANGE, from, keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	(void)sn_syscall3(SN_SYS_CLOSE_RANGE, from, ~0u, 0);
}

/* In the child, which shares our memory until it is another program. */
static int
be_child(void *arg)
{
	struct sn_inside_child *c = arg;

	(void)sn_syscall5(SYS_prctl, 1 /* PR_SET_PDEATHSIG */, SIGKILL, 0, 0, 0);
	if (sn_syscall3(SYS_dup3, c->in, 0, 0) == 0 && sn_syscall3(SYS_dup3, c->out, 1, 0) == 1)
		(void)sn_syscall3(SYS_execve, c->argv[0], c->argv, c->envp);
	(void)sn_syscall1(SYS_exit_group, 127);
	return 0;
}

/* In the helper. */
static int
be_helper(void *arg)
{
	struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } dfl = { 0 };
	struct sn_inside_child *c = arg;
	int status = -1;
	long pid;

	/* Should the program end, we go with it: nothing of it is held by those who come after. */
	(void)sn_syscall5(SYS_prctl, 1 /* PR_SET_PDEATHSIG */, SIGKILL, 0, 0, 0);
	close_others(c);
	/* The program may ignore SIGCHLD: then the kernel would not keep the child's status for us. */
	(void)sn_syscall4(SYS_rt_sigaction, SIGCHLD, &dfl, NULL, sizeof(dfl.mask));
	pid = clone(be_child, c->stacks + (size_t)2 * STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, c);
	c->child = (int32_t)pid;
	while (pid > 0 && sn_syscall4(SYS_wait4, pid, &status, 0, NULL) == -EINTR)
		;
	(void)sn_syscall3(SYS_write, c->report[1], &status, sizeof(status));
	(void)sn_syscall1(SYS_exit_group, 0);
	return 0;
}

static void
free_child(struct sn_inside_child *c)
{
	if (c->helper > 0)
		while (waitpid(c->helper, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	if (c->reported != NULL)
		event_free(c->reported);
	if (c->report[0] >= 0)
		(void)close(c->report[0]);
	if (c->report[1] >= 0 && !c->is_shut)
		(void)close(c->report[1]);
	if (c->in >= 0)
		(void)close(c->in);
	if (c->out >= 0)
		(void)close(c->out);
	if (c->stacks != NULL)
		(void)munmap(c->stacks, (size_t)2 * STACK_BYTES);
	free(c);
}

/* Another image of the process may have left its file there, by a collector of its own. */
static int
write_file(const struct sn_service *s, const struct sn_job *j, const struct sn_buf *out)
{
	const struct sn_image_id id = { j->process->pid, j->process->start_time, s->host->image };
	struct sn_buf marked = { 0 };
	int err = sn_earlier_mark(out, &id, &marked);

	if (err == 0) {
		int e = sn_earlier_keep(j->file, &id);

		if (e < 0)
			sn_log(SN_LOG_FILE, "%s of an earlier program of process %d is replaced: %s", j->file,
				(int)id.pid, strerror(-e));
		err = sn_file_write(j->file, marked.data, marked.len);
	}
	sn_buf_free(&marked);
	return err;
}

/* The bytes go where the job wants them. */
static void
deliver(struct sn_service *s, struct sn_job *j, int err, const struct sn_buf *out)
{
	if (err == 0 && j->file[0] != '\0') {
		err = write_file(s, j, out);
	} else if (err == 0) {
		j->memfd = memfd_create("sonde-answer", MFD_CLOEXEC);
		err = j->memfd < 0 ? -errno : sn_job_fill(j->memfd, out);
	}
	sn_job_finish(s, j, err);
}

/* What can be done without a child. */
static void
work_here(struct sn_service *s, struct sn_job *j)
{
	struct sn_buf out = { 0 };
	struct sn_symbolizer *sym;
	int err;

	if (j->how > SN_SYMBOLIZE_FUNCTIONS)
		j->how = SN_SYMBOLIZE_FUNCTIONS;
	sym = sn_symbolizer_new(j->how, NULL);
	if (sym != NULL)
		sn_symbolizer_limit(sym, TABLES_MAX);
	err = sym != NULL ? sn_job_work(j, sym, &out) : -ENOMEM;
	deliver(s, j, err, &out);
	sn_symbolizer_free(sym);
	sn_buf_free(&out);
}

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
	struct sn_inside_child *c = arg;
	struct sn_service *s = c->service;
	struct sn_job *j = c->job;
	struct sn_buf out = { 0 };
	int status = -1, err = -EIO;

	if ((what & EV_TIMEOUT) && c->child > 0)
		(void)kill(c->child, SIGKILL);		/* the helper reports it */
	if (read(fd, &status, sizeof(status)) == (ssize_t)sizeof(status) && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0 && lseek(c->out, 0, SEEK_SET) == 0)
		err = sn_buf_read_fd(&out, c->out, SIZE_MAX / 2);
	s->child = NULL;
	free_child(c);
	if (err == 0 && out.err == 0 && out.len > 0) {
		deliver(s, j, 0, &out);
	} else {
		sn_log(SN_LOG_FILE, "sonde symbolize ended with status %d: names come from symbol tables", status);
		work_here(s, j);
	}
	sn_buf_free(&out);
	sn_workers_start(s);
}

static struct sn_inside_child *
make_child(struct sn_service *s, struct sn_job *j)
{
	struct sn_inside_child *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->service = s;
	c->job = j;
	c->in = memfd_create("sonde-profile", MFD_CLOEXEC);
	c->out = memfd_create("sonde-named", MFD_CLOEXEC);
	c->report[0] = c->report[1] = -1;
	c->stacks = mmap(NULL, (size_t)2 * STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->stacks == MAP_FAILED)
		c->stacks = NULL;
	(void)snprintf(c->pid, sizeof(c->pid), "%d", (int)j->process->pid);
	if (c->in < 0 || c->out < 0 || c->stacks == NULL || pipe2(c->report, O_CLOEXEC) < 0) {
		free_child(c);
		return NULL;
	}
	return c;
}

static void
fill_arguments(struct sn_inside_child *c)
{
	static char symbolize[] = "symbolize", pid[] = "--pid", memory[] = "--memory", most[] = CHILD_MEMORY,
		seconds[] = "--cpu-seconds", time[] = CHILD_CPU_S, path[] = "PATH=/usr/bin:/bin";
	char *argv[] = { c->service->host->program, symbolize, pid, c->pid, memory, most, seconds, time, NULL };

	memcpy(c->argv, argv, sizeof(argv));
	c->envp[0] = path;		/* nothing of the program's: it must not be profiled itself */
}

/* 0: on_report will come. */
static int
start_child(struct sn_service *s, struct sn_job *j)
{
	static const struct timeval wall = { .tv_sec = CHILD_S };
	struct sn_inside_child *c = make_child(s, j);
	struct sn_buf raw = { 0 };
	enum sn_symbolize how = j->how;
	int err;

	if (c == NULL)
		return -ENOMEM;
	fill_arguments(c);
	j->how = SN_SYMBOLIZE_NONE;
	err = sn_job_work(j, NULL, &raw);
	j->how = how;
	if (err == 0)
		err = sn_job_fill(c->in, &raw);
	sn_buf_free(&raw);
	c->reported = event_new(s->base, c->report[0], EV_READ, on_report, c);
	if (err == 0 && (c->reported == NULL || event_add(c->reported, &wall) < 0))
		err = -ENOMEM;
	if (err == 0) {
		c->helper = clone(be_helper, c->stacks + STACK_BYTES, CLONE_VM, c);
		err = c->helper < 0 ? -errno : 0;
	}
	if (err < 0) {
		free_child(c);
		return err;
	}
	(void)close(c->report[1]);	/* the helper has its own: should it be killed, we see the end */
	c->is_shut = true;		/* the number stays: the helper reads it */
	s->child = c;
	return 0;
}

void
sn_job_run_inside(struct sn_service *s, struct sn_job *j)
{
	int err = -ENOENT;

	/* Many files wait: a child for each, with 25 ms of its own, would be more than the program's children used. */
	if (j->addr == NULL && j->how == SN_SYMBOLIZE_LINES && s->host->program[0] != '\0' &&
	    (j->file[0] == '\0' || s->files.count < FILES_WAITING))
		err = start_child(s, j);
	if (err < 0)
		work_here(s, j);
}

void
sn_inside_child_hurry(struct sn_service *s)
{
	if (s->child != NULL && s->child->child > 0)
		(void)kill(s->child->child, SIGKILL);	/* the helper reports it */
}

void
sn_inside_child_drop(struct sn_service *s)
{
	struct sn_inside_child *c = s->child;
	struct sn_job *j;

	if (c == NULL)
		return;
	j = c->job;
	s->child = NULL;
	if (c->child > 0)
		(void)kill(c->child, SIGKILL);
	(void)kill(c->helper, SIGKILL);
	free_child(c);
	sn_job_finish(s, j, -ECANCELED);
}

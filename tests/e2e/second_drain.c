/* SPDX-License-Identifier: Apache-2.0
 *
 * second_drain.c - a running program's segment, drained once by its collector and once by another
 * process that was started later: both must see the same profile.
 *
 * Usage: second_drain LIBRARY PROGRAM ARG …         (the collector)
 *        second_drain --reader PID COLLECTOR FD     (the other process)
 * Exit:  0 equal and not empty, 1 otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "collect/process.h"
#include "service/internal.h"

#define CHECK(what) \
	do { \
		if (!(what)) { \
			(void)fprintf(stderr, "second_drain: %s: %s\n", #what, strerror(errno)); \
			exit(1); \
		} \
	} while (0)

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each row as text: count, label, program counters; sorted. */
static void
print_profile(const struct sn_profile *p, FILE *to)
{
	char **line = calloc(p->row_count + 1, sizeof(*line));

	CHECK(line != NULL);
	for (uint32_t i = 0; i < p->row_count; i++) {
		const struct sn_row *r = &p->rows[i];
		const struct sn_stack *s = &p->stacks[r->stack];
		struct sn_buf b = { 0 };

		sn_buf_putf(&b, "%llu %s", (unsigned long long)r->count,
			r->label == SN_NO_LABEL ? "-" : p->labels[r->label]);
		for (uint32_t f = 0; f < s->count; f++) {
			const struct sn_frame *fr = &p->frames[p->frame_ids[s->first + f]];

			sn_buf_putf(&b, " %llx%s", (unsigned long long)fr->addr,
				fr->pseudo != SN_PSEUDO_NONE ? sn_pseudo_name((enum sn_pseudo)fr->pseudo) : "");
		}
		sn_buf_put(&b, "", 1);
		CHECK(b.err == 0);
		line[i] = (char *)b.data;
	}
	qsort(line, p->row_count, sizeof(*line), compare_lines);
	for (uint32_t i = 0; i < p->row_count; i++)
		CHECK(fprintf(to, "%s\n", line[i]) > 0);
}

/* A private mapping: what we consume and wipe stays ours. */
static int
be_reader(pid_t program, const char *collector, const char *fd)
{
	static struct sn_images images;
	struct sn_options o;
	struct sn_process *p;
	uint32_t fullest = 0;
	char path[64];
	struct stat st;
	void *base;
	int memfd;

	sn_options_default(&o);
	(void)snprintf(path, sizeof(path), "/proc/%s/fd/%s", collector, fd);
	memfd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(memfd >= 0 && fstat(memfd, &st) == 0);
	base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, memfd, 0);
	CHECK(base != MAP_FAILED);
	p = sn_process_new(program, &o, &images);
	CHECK(p != NULL && sn_segment_open(&p->seg, base, (uint64_t)st.st_size) == 0);
	p->has_segment = true;
	p->images = 1;
	memcpy(p->exe, p->seg.header->exe, sizeof(p->exe));
	p->views = calloc(p->seg.nslots, sizeof(*p->views));
	p->modules = calloc(1, sizeof(*p->modules));
	CHECK(p->views != NULL && p->modules != NULL);
	sn_modules_init(p->modules, &images, program);
	p->generation = UINT32_MAX;
	p->unwinder = sn_unwinder_new(p->modules);
	CHECK(p->unwinder != NULL);
	while (sn_process_drain(p, UINT32_MAX, &fullest) > 0)
		;
	print_profile(&p->profile, stdout);
	return 0;
}

static void
be_program(const char *library, const char *socket, char **argv)
{
	CHECK(setenv("LD_PRELOAD", library, 1) == 0 && setenv(SN_ENV_COLLECTOR, socket, 1) == 0);
	(void)execv(argv[0], argv);
	_exit(127);
}

static char *
read_other(pid_t program, int memfd, const char *self)
{
	struct sn_buf out = { 0 };
	char a[16], b[16], c[16];
	int fds[2], status;
	pid_t pid;

	CHECK(pipe(fds) == 0);
	(void)snprintf(a, sizeof(a), "%d", (int)program);
	(void)snprintf(b, sizeof(b), "%d", (int)getpid());
	(void)snprintf(c, sizeof(c), "%d", memfd);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)execl("/proc/self/exe", self, "--reader", a, b, c, (char *)NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	CHECK(sn_buf_read_fd(&out, fds[0], 64 << 20) == 0);
	sn_buf_put(&out, "", 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && out.err == 0);
	return (char *)out.data;
}

int
main(int argc, char **argv)
{
	static struct sn_service_result result;
	struct sn_options o;
	struct sn_service *s;
	struct sn_process *p;
	uint32_t fullest = 0;
	char *other, *own = NULL;
	size_t own_len = 0;
	pid_t pid;
	FILE *to;
	char why[SN_WHY_MAX];
	int err, status;

	if (argc == 5 && strcmp(argv[1], "--reader") == 0)
		return be_reader((pid_t)atoi(argv[2]), argv[3], argv[4]);
	CHECK(argc >= 3);
	sn_options_default(&o);
	s = sn_service_new(&o, "unused", NULL, why, &err);
	CHECK(s != NULL);
	s->result = &result;
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		be_program(argv[1], sn_service_socket(s), argv + 2);
	s->command = pid;
	/* No tick is running: the rings fill until we drain them. */
	while (s->guests == NULL || !s->guests->process->has_segment)
		CHECK(event_base_loop(s->base, EVLOOP_ONCE) == 0);
	p = s->guests->process;
	(void)usleep(600000);
	CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));

	other = read_other(pid, p->memfd, argv[0]);
	while (sn_process_drain(p, UINT32_MAX, &fullest) > 0)
		;
	to = open_memstream(&own, &own_len);
	CHECK(to != NULL);
	print_profile(&p->profile, to);
	CHECK(fclose(to) == 0);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	if (own_len == 0 || strcmp(own, other) != 0) {
		(void)fprintf(stderr, "collector:\n%s\nother process:\n%s", own, other);
		return 1;
	}
	return 0;
}

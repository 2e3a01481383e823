/* SPDX-License-Identifier: Apache-2.0
 *
 * idle_spans.c - a program that is only ready to be sampled, then is, then is not: spans of it are the kernel's
 * figures, and time without sampling is in none.
 *
 * Usage: idle_spans LIBRARY PROGRAM ARG …		PROGRAM burns for three seconds or more
 * Exit:  0 all true, 1 with a line for what is not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"
#include "service/internal.h"

#define CHECK(what) \
	do { \
		if (!(what)) { \
			(void)fprintf(stderr, "idle_spans:%d: %s: %s\n", __LINE__, #what, strerror(errno)); \
			exit(1); \
		} \
	} while (0)
#define MS 1000000ull

static struct sn_options o;
static struct sn_process *p;

static void
be_program(const char *library, const char *socket, char **argv)
{
	CHECK(setenv("LD_PRELOAD", library, 1) == 0 && setenv(SN_ENV_COLLECTOR, socket, 1) == 0);
	(void)execv(argv[0], argv);
	_exit(127);
}

/* As the service does: drain often, scan sometimes. */
static void
collect_for(unsigned ms)
{
	for (unsigned at = 0; at < ms; at += 20) {
		uint32_t fullest = 0;

		(void)usleep(20000);
		(void)sn_process_drain(p, UINT32_MAX, &fullest);
		if (at % 240 == 0)
			sn_process_scan(p, (uint32_t)o.signal);
	}
}

static unsigned
timers(void)
{
	char path[64], line[256];
	unsigned n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/timers", (int)p->pid);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += strncmp(line, "ID:", 3) == 0;
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static uint64_t
switch_to(bool on)
{
	uint64_t began = sn_clock_mono_ns();

	sn_process_set_sampling(p, &o, on);
	for (int i = 0; i < 500 && !sn_process_is_sampling(p); i++) {
		(void)usleep(5000);
		sn_process_scan(p, (uint32_t)o.signal);
	}
	CHECK(sn_process_is_sampling(p));
	return (sn_clock_mono_ns() - began) / MS;
}

static uint64_t
clock_now(void)
{
	return sn_clock_ns(sn_clock_of_process(p->pid));
}

static uint64_t
not_sampled(const struct sn_profile *prof)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < prof->row_count; i++) {
		const struct sn_stack *s = &prof->stacks[prof->rows[i].stack];

		if (prof->frames[prof->frame_ids[s->first]].pseudo == SN_PSEUDO_NOT_SAMPLED)
			n += prof->rows[i].count;
	}
	return n;
}

/* A mark, and the clock right before and right after it. */
struct moment {
	uint64_t ns, before, after;
};

static struct moment
mark(void)
{
	struct moment m;

	m.before = clock_now();
	m.ns = sn_process_mark(p, &o);
	m.after = clock_now();
	return m;
}

/* least, most: CPU time that it may have, by our own readings of the clock. */
static void
check_window(uint64_t a, uint64_t b, uint64_t least, uint64_t most, const char *what)
{
	uint64_t period = SN_NS_PER_SEC / (uint64_t)o.hz, total;
	struct sn_window w;

	CHECK(sn_process_window(p, &o, a, b, 0, &w) == 0);
	total = sn_profile_total(&w.profile) * period;
	(void)printf("%s: %llu to %llu ms of the clock, window's %llu ms, rows %llu ms, not sampled %llu periods\n",
		what, (unsigned long long)(least / MS), (unsigned long long)(most / MS),
		(unsigned long long)(w.profile.cpu_ns / MS), (unsigned long long)(total / MS),
		(unsigned long long)not_sampled(&w.profile));
	CHECK(w.from_ns == a && w.to_ns == b && !w.is_cut);
	CHECK(total <= w.profile.cpu_ns + period && total + period >= w.profile.cpu_ns);
	CHECK(w.profile.cpu_ns >= least && w.profile.cpu_ns <= most);
	CHECK(not_sampled(&w.profile) * period * 2 < w.profile.cpu_ns || most < 100 * MS);
	sn_profile_free(&w.profile);
}

static void
begin(char **argv)
{
	static struct sn_service_result result;
	struct sn_service *s;
	char why[SN_WHY_MAX];
	pid_t pid;
	int err;

	sn_options_default(&o);
	o.mode = SN_MODE_IDLE;
	s = sn_service_new(&o, "unused", NULL, why, &err);
	CHECK(s != NULL);
	s->result = &result;
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		be_program(argv[1], sn_service_socket(s), argv + 2);
	s->command = pid;
	while (s->guests == NULL || !s->guests->process->has_segment)
		CHECK(event_base_loop(s->base, EVLOOP_ONCE) == 0);
	p = s->guests->process;
}

int
main(int argc, char **argv)
{
	struct moment a, b, c, d;
	uint64_t before, on, off;
	int status;

	CHECK(argc >= 3);
	begin(argv);
	while ((before = clock_now()) < 200 * MS)
		collect_for(40);
	CHECK(p->count.samples == 0);
	(void)printf("on after %llu ms\n", (unsigned long long)switch_to(true));
	CHECK(timers() > 0);
	a = mark();
	collect_for(700);
	b = mark();
	check_window(a.ns, b.ns, b.before - a.after, b.after - a.before, "first");
	(void)printf("off after %llu ms\n", (unsigned long long)switch_to(false));
	off = clock_now();
	collect_for(400);
	c = mark();
	on = clock_now();
	/* what it used from the mark until we had told it to end */
	check_window(b.ns, c.ns, 0, off - b.before, "off");
	(void)switch_to(true);
	collect_for(500);
	d = mark();
	check_window(a.ns, d.ns, b.before - a.after, b.after - a.before + off - b.before + d.after - on, "all");
	(void)kill(p->pid, SIGKILL);
	CHECK(waitid(P_PID, (id_t)p->pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0);
	p->cpu_is_final = sn_process_read_cpu(p) > 0;
	CHECK(sn_process_finish(p, &o, 0) == 0);
	(void)waitpid(p->pid, &status, 0);
	(void)printf("file: %llu ms in rows, %llu ms of the kernel's\n",
		(unsigned long long)(sn_profile_total(&p->profile) * 10), (unsigned long long)(p->profile.cpu_ns / MS));
	CHECK(sn_profile_total(&p->profile) * 10 * MS <= p->profile.cpu_ns + 60 * MS);
	CHECK(sn_profile_total(&p->profile) * 10 * MS + 60 * MS >= p->profile.cpu_ns);
	CHECK(p->profile.cpu_ns <= p->cpu_ns - before - (on - off));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * service.c - the loop: ticks, signals, processes that end.
 *
 * Runs in:  the collector: the `sonde` process (sn_service_run), or a thread of the program, see run_inside.c.
 * Memory:   SONDE_MEMORY is shared by what the processes hold; see there and in collect/.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/buf.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "collect/tables.h"
#include "service/inside.h"
#include "service/internal.h"

#define TICK_NS		(SN_NS_PER_SEC / 10)
#define TICK_MIN_NS	(SN_NS_PER_SEC / 200)
#define SCAN_NS		(SN_NS_PER_SEC / 4)
#define SCAN_SHARE	100			/* a scan takes at most 1 % of our time */
#define GRACE_NS	(SN_NS_PER_SEC / 2)	/* for programs that end right after the command */
#define SOCKET_AFTER_NS	SN_NS_PER_SEC		/* a process that lives so long gets a socket */
#define LISTEN_AGAIN_NS	(5 * SN_NS_PER_SEC)
#define LAST_ANSWERS_NS	(5 * SN_NS_PER_SEC)	/* for clients that take a profile of a program that has ended */
#define RECORDS_A_TICK	2000			/* then others have their turn */
#define DESCRIPTORS_LEAST 10			/* epoll, a pipe, two sockets, and a few that come and go */
#define QUARTER		64			/* fill level, of 256 */
#define LEAVES_A_TICK	2u			/* there is room for SN_LEAVES */
#define PERIODS_A_TICK	64			/* of perf events: their largest records fill half a ring */

/* All profiles are written, or only programs that outlive the command are left. */
static bool
is_over(const struct sn_service *s, uint64_t now)
{
	if (s->host != NULL || !s->command_ended || sn_workers_busy(s))
		return false;
	if (sn_answers_busy(s) && now - s->command_ended_ns < LAST_ANSWERS_NS)
		return false;
	return s->guests == NULL || now - s->command_ended_ns > GRACE_NS;
}

static void
scan_guests(struct sn_service *s, uint64_t now)
{
	struct sn_guest *next;

	for (struct sn_guest *g = s->guests; g != NULL; g = next) {
		struct sn_process *p = g->process;
		uint64_t begun = sn_guest_cost_begin();

		next = g->next;
		if (sn_guest_has_execed(g)) {
			sn_guest_end(s, g);
			continue;
		}
		sn_process_scan(p, (uint32_t)s->options.signal);
		sn_history_expire(&p->history, now);
		sn_process_govern(p, &s->options, g->own_cpu_ns, g->sample_ns);
		(void)sn_guest_cost_end(g, begun);
		/* Short ones come and go too fast for anybody to ask them. */
		if (p->is_first || now - p->began_mono_ns >= SOCKET_AFTER_NS)
			sn_guest_open_socket(g);
		if (g->pidfd < 0 && p->host == NULL && p->pid != s->command && kill(p->pid, 0) < 0 && errno == ESRCH)
			sn_guest_end(s, g);
	}
}

static void
set_tick(struct sn_service *s, uint64_t ns)
{
	struct timeval tv = { (time_t)(ns / SN_NS_PER_SEC), (suseconds_t)(ns % SN_NS_PER_SEC / 1000) };

	s->tick_ns = ns;
	(void)event_add(s->ticking, &tv);
}

/*
 * The TCP address of SONDE_HTTP.  Inside, a port that is taken is one of our own tree's, as a rule, or that of the
 * process that this one replaces: the socket is there all the same, and the port is tried again.
 */
static int
listen_tcp(struct sn_service *s, char why[SN_WHY_MAX])
{
	int port = sn_answers_listen(s, s->options.http, why, SN_WHY_MAX);

	if (port != -EADDRINUSE || s->host == NULL)
		return port < 0 ? port : 0;
	if (s->next_listen_ns == 0)
		sn_log(SN_LOG_FILE, "%s; process %d is served by its socket", why, (int)getpid());
	why[0] = '\0';
	s->next_listen_ns = sn_clock_mono_ns() + LISTEN_AGAIN_NS;
	return 0;
}

/* A thread with a perf event may begin to run at any moment, and fill its ring much faster than ticks can. */
static uint64_t
longest_tick(const struct sn_service *s)
{
	uint64_t ns = TICK_NS;

	for (const struct sn_guest *g = s->guests; g != NULL; g = g->next) {
		const struct sn_process *p = g->process;
		uint64_t most = p->profile.period_ns * PERIODS_A_TICK;

		if (most < ns && sn_process_uses_perf(p))
			ns = most > TICK_MIN_NS ? most : TICK_MIN_NS;
	}
	return ns;
}

/* Libraries are closed in quick succession: samples must be read while it is known what they were taken among. */
static uint64_t
tick_for_leaves(const struct sn_service *s, uint64_t tick, uint32_t leaves)
{
	uint64_t want = leaves > LEAVES_A_TICK ? tick * LEAVES_A_TICK / leaves : tick, most = longest_tick(s);

	if (want < TICK_MIN_NS)
		want = TICK_MIN_NS;
	return want < most ? want : most;
}

void
sn_service_tick(struct sn_service *s)
{
	uint32_t fullest = 0, taken = 0, leaves, most_leaves = 0;
	uint64_t tick = s->tick_ns;
	bool hurry = false;
	char why[SN_WHY_MAX];
	uint64_t now;

	for (struct sn_guest *g = s->guests; g != NULL; g = g->next) {
		uint64_t begun = sn_guest_cost_begin();
		uint32_t n = g->process->has_segment ? sn_process_drain(g->process, RECORDS_A_TICK, &fullest) : 0;
		uint64_t cost;

		if (n > taken)
			taken = n;
		cost = sn_guest_cost_end(g, begun);
		g->sample_ns += n > 0 ? cost : 0;	/* a look at empty rings costs at any rate */
		begun = sn_guest_cost_begin();
		hurry |= sn_process_publish(g->process);
		leaves = sn_process_leaves(g->process);
		if (leaves > most_leaves)
			most_leaves = leaves;
		(void)sn_guest_cost_end(g, begun);
	}
	now = sn_clock_mono_ns();
	if (now >= s->next_scan_ns) {
		uint64_t took;

		scan_guests(s, now);
		took = sn_clock_mono_ns() - now;
		s->next_scan_ns = now + (took * SCAN_SHARE > SCAN_NS ? took * SCAN_SHARE : SCAN_NS);
	}
	s->turned_away = 0;
	if (s->accept_paused) {
		s->accept_paused = false;
		(void)event_add(s->accepting, NULL);
	}
	if (s->next_listen_ns != 0 && s->port == 0 && now >= s->next_listen_ns)
		(void)listen_tcp(s, why);
	sn_flush_tick(s);
	sn_workers_start(s);
	if (taken >= RECORDS_A_TICK || hurry)
		set_tick(s, 1000);
	else if (fullest >= QUARTER)
		set_tick(s, s->tick_ns / 2 > TICK_MIN_NS ? s->tick_ns / 2 : TICK_MIN_NS);
	else if (most_leaves > 0)
		set_tick(s, tick_for_leaves(s, tick, most_leaves));
	else
		set_tick(s, longest_tick(s));
}

bool
sn_service_must_stop(const struct sn_service *s)
{
	return s->host != NULL && (SN_LOAD_ACQUIRE(&s->host->stop) != SN_HOST_RUN || sn_inside_is_alone());
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sn_service *s = arg;

	(void)fd;
	(void)what;
	sn_service_tick(s);
	if (is_over(s, sn_clock_mono_ns()) || sn_service_must_stop(s))
		(void)event_base_loopbreak(s->base);
}

void
sn_service_nudged(struct sn_service *s)
{
	set_tick(s, 0);
}

void
sn_service_joined(struct sn_service *s)
{
	uint64_t most = longest_tick(s);

	if (s->tick_ns > most)
		set_tick(s, most);
}

static uint64_t
ns_of(const struct rusage *u)
{
	return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * SN_NS_PER_SEC +
	    (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000;
}

/* Its children first: those that it waited for are in its usage. */
static void
end_command(struct sn_service *s, struct sn_guest *g, const struct rusage *tree)
{
	struct sn_guest *next;

	for (struct sn_guest *other = s->guests; other != NULL; other = next) {
		next = other->next;
		if (other != g && kill(other->process->pid, 0) < 0 && errno == ESRCH)
			sn_guest_end(s, other);
	}
	(void)sn_process_read_cpu(g->process);
	sn_process_take_tree(g->process, ns_of(tree), s->ended_cpu_ns);
	sn_guest_end(s, g);
}

/* The command is a zombie now: its last clock first, then it is waited for. */
static void
reap_command(struct sn_service *s)
{
	struct rusage tree = { 0 };
	struct sn_guest *g;
	siginfo_t si = { 0 };

	if (s->command_ended)
		return;
	/* glibc's waitid has no place for the usage of the command and of all that it waited for. */
	if (syscall(SYS_waitid, P_PID, s->command, &si, WEXITED | WNOHANG | WNOWAIT, &tree) == 0 && si.si_pid == 0)
		return;			/* it runs; an error says that it is gone already */
	g = sn_guest_find(s, s->command);
	if (g != NULL)
		end_command(s, g, &tree);
	while (waitpid(s->command, &s->result->wait_status, 0) < 0 && errno == EINTR)
		;				/* at most a moment: it is a zombie, or gone */
	s->command_ended = true;
	s->command_ended_ns = sn_clock_mono_ns();
	sn_workers_start(s);
	set_tick(s, 1000);
}

/* After the command's end a signal is for us: what is still sampled is written now. */
static void
end_all_guests(struct sn_service *s)
{
	while (s->guests != NULL)
		sn_guest_end(s, s->guests);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct sn_service *s = arg;
	struct signalfd_siginfo si;

	(void)what;
	while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			continue;
		if (s->command_ended && (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT || si.ssi_signo == SIGHUP))
			end_all_guests(s);
		/* The terminal's own go to the whole foreground group: the command has them already. */
		if (si.ssi_code <= 0 && !s->command_ended)
			(void)kill(s->command, (int)si.ssi_signo);
	}
	sn_workers_reap(s);
	reap_command(s);
	if (is_over(s, sn_clock_mono_ns()))
		(void)event_base_loopbreak(s->base);
}

/*
 * Programs that outlive the command, as a daemon does: who started us gets its answer now, a copy of
 * us stays with them.
 */
static int
leave_background(struct sn_service *s)
{
	pid_t pid;
	int null;

	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		s->result->still_running++;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
			g->socket.path[0] = '\0';	/* they are the copy's now */
		return 0;
	}
	s->result->is_background = true;
	(void)setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		(void)dup2(null, fd);
	if (event_reinit(s->base) < 0)
		return -EIO;
	while (s->guests != NULL || sn_workers_busy(s)) {
		if (event_base_loop(s->base, EVLOOP_ONCE) < 0)
			return -EIO;
	}
	return 0;
}

/* An eighth of what the cgroup may have: sonde is a guest there. */
static void
bound_memory(struct sn_options *o)
{
	int64_t max = (int64_t)sn_cgroup_memory("/proc/self/cgroup", "/sys/fs/cgroup");

	if (max > 0 && max / 8 < o->memory)
		o->memory = max / 8;
}

/* libevent ends the process when it finds no descriptor for its own pipe: look first. */
static int
need_descriptors(void)
{
	int fds[DESCRIPTORS_LEAST], n = 0, err = 0;

	while (n < DESCRIPTORS_LEAST && err == 0) {
		fds[n] = n == 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
		if (fds[n] < 0)
			err = -errno;
		else
			n++;
	}
	while (n > 0)
		(void)close(fds[--n]);
	return err == -EINVAL ? -EMFILE : err;
}

/* libevent's own variables are not for us: EVENT_SHOW_METHOD writes to stderr. */
static struct event_base *
new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		return NULL;
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

/* Everything but the guests. */
static int
open_service(struct sn_service *s)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	int err;

	s->runtime_dir = runtime_dir != NULL ? strdup(runtime_dir) : NULL;
	err = need_descriptors();
	if (err < 0)
		return err;
	s->base = new_base();
	s->ticking = s->base != NULL ? event_new(s->base, -1, 0, on_tick, s) : NULL;
	if (s->ticking == NULL)
		return -ENOMEM;
	err = sn_welcome_open(s);
	return err < 0 ? err : sn_answers_open(s);
}

struct sn_service *
sn_service_new(const struct sn_options *o, const char *file, struct sn_host *host, char why[SN_WHY_MAX], int *err)
{
	struct sn_service *s = calloc(1, sizeof(*s));

	*err = -ENOMEM;
	why[0] = '\0';
	if (s == NULL)
		return NULL;
	s->options = *o;
	bound_memory(&s->options);
	s->file = file;
	s->host = host;
	s->images = &s->own_images;
	s->listener = s->signal_fd = s->spare_fd = -1;
	s->began_ns = sn_clock_mono_ns();
	*err = open_service(s);
	if (*err == 0 && o->http != NULL)
		*err = listen_tcp(s, why);
	if (*err < 0 && why[0] == '\0')
		(void)snprintf(why, SN_WHY_MAX, "cannot start: %s", strerror(-*err));
	if (*err < 0) {
		sn_service_free(s);
		return NULL;
	}
	return s;
}

const char *
sn_service_socket(const struct sn_service *s)
{
	return s->socket;
}

/*
 * Limits that were meant for the command: two descriptors a process and a segment of 2 GiB (of holes)
 * need more.  What the kernel then still refuses is an error of ours, not a signal.
 */
static void
lift_own_limits(void)
{
	static const int kinds[] = { RLIMIT_NOFILE, RLIMIT_FSIZE };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rlimit rl;

		const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

		if (kinds[i] == RLIMIT_FSIZE && setrlimit(RLIMIT_FSIZE, &none) == 0)
			continue;		/* root may */
		if (getrlimit(kinds[i], &rl) == 0 && rl.rlim_cur != rl.rlim_max) {
			rl.rlim_cur = rl.rlim_max;
			(void)setrlimit(kinds[i], &rl);
		}
	}
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
}

int
sn_service_run(struct sn_service *s, pid_t command, int signal_fd, struct sn_service_result *result)
{
	s->command = command;
	s->result = result;
	s->signal_fd = signal_fd;
	lift_own_limits();
	s->signalled = event_new(s->base, signal_fd, EV_READ | EV_PERSIST, on_signal, s);
	if (s->signalled == NULL || event_add(s->signalled, NULL) < 0)
		return -ENOMEM;
	sn_service_tick(s);
	if (event_base_dispatch(s->base) < 0)
		return -EIO;
	return s->guests != NULL ? leave_background(s) : 0;
}

void
sn_service_free(struct sn_service *s)
{
	struct sn_guest *g;

	if (s == NULL)
		return;
	s->is_ending = true;
	sn_inside_child_drop(s);
	sn_jobs_drop_all(s);
	while ((g = s->guests) != NULL)
		sn_guest_free(s, g);
	/* Who was told something just now gets it, if the socket takes it at once. */
	for (int i = 0; i < 3 && s->host != NULL && s->base != NULL && s->http != NULL; i++)
		(void)event_base_loop(s->base, EVLOOP_NONBLOCK);
	sn_answers_close(s);
	if (s->accepting != NULL)
		event_free(s->accepting);
	if (s->ticking != NULL)
		event_free(s->ticking);
	if (s->signalled != NULL)
		event_free(s->signalled);
	if (s->base != NULL)
		event_base_free(s->base);
	if (s->listener >= 0)
		(void)close(s->listener);
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	if (s->spare_fd >= 0)
		(void)close(s->spare_fd);
	sn_tables_close(s->images);
	free(s->runtime_dir);
	sn_buf_free(&s->tree);
	free(s);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * welcome.c - hand out segments: the collector's end of segment/handshake.h.
 *
 * Runs in:  the collector's loop.
 * Limits:   SN_CONNECTIONS_MAX at a time, each closed after a second (calls of the API: when they are answered);
 *           a peer must be of our user, or of any user if we are root and it descends from us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/log.h"
#include "collect/tables.h"
#include "segment/handshake.h"
#include "service/internal.h"

#define SN_CONNECTIONS_MAX 512
#define ANCESTORS_MAX 64
#define TURNED_AWAY_MAX 50		/* in a tick; then nobody is heard until the next */

struct connection {
	struct sn_service *service;
	int fd;
	struct event *event;		/* NULL: a job has it, and answers */
};

struct message {
	struct sn_hello hello;
	struct sn_ask ask;
};
#define ASK_BYTES ((ssize_t)(sizeof(struct sn_hello) + sizeof(struct sn_ask)))	/* without the padding */
_Static_assert(offsetof(struct message, ask) == sizeof(struct sn_hello), "one follows the other");

static bool
descends_from_us(struct sn_service *s, pid_t pid)
{
	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		if (pid == getpid() || pid == s->command || sn_guest_find(s, pid) != NULL)
			return true;
		pid = (pid_t)sn_proc_stat(pid, 4);
	}
	return false;
}

static bool
may_join(struct sn_service *s, const struct ucred *peer)
{
	if (peer->pid <= 0)
		return false;		/* of a pid namespace that we cannot see into */
	return peer->uid == geteuid() || (geteuid() == 0 && descends_from_us(s, peer->pid));
}

/* One message, with those of the two descriptors that are one; the second only beside the first. */
static void
send_words(int to, struct sn_welcome *w, int fd, int second)
{
	const int fds[2] = { fd, second };
	size_t bytes = second >= 0 ? sizeof(fds) : sizeof(fd);
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { w, sizeof(*w) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	w->magic = SN_HELLO_MAGIC;
	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(c), fds, bytes);
	}
	if (sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		sn_log(SN_LOG_FILE, "a process left before it was answered: %s", strerror(errno));
}

static void
send_welcome(int to, int status, const struct sn_process *p)
{
	struct sn_welcome w = { .status = status };

	if (status == 0) {
		w.bytes = sn_segment_size(p->seg.nslots, p->seg.ring_bytes);
		w.base_bytes = p->seg.rings_off;
	}
	send_words(to, &w, status == 0 ? p->memfd : -1, status == 0 ? sn_tables_fd(p->file_images) : -1);
}

/* A process of the tree asks; what it says of itself is believed only as far as it cannot harm others. */
static int
join(struct sn_service *s, const struct sn_hello *hello, const struct ucred *peer, struct sn_guest **out)
{
	struct sn_guest *g = sn_guest_find(s, peer->pid);
	struct sn_guest *parent = NULL;
	int err;

	if (hello->magic != SN_HELLO_MAGIC || hello->version != SN_SEGMENT_VERSION)
		return -EPROTO;
	if (!may_join(s, peer))
		return -EPERM;
	if (hello->kind == SN_HELLO_MORE) {
		*out = g;
		if (g == NULL || !g->process->has_segment || g->process->seg.cookie != hello->cookie)
			return -ENOENT;
		return sn_process_map_rings(g->process, SN_LOAD_RELAXED(&g->process->seg.shared->slots_ready));
	}
	if (g != NULL && g->process->host != NULL)
		return -EALREADY;		/* the program that we are in has its segment */
	if (hello->kind == SN_HELLO_FORK)
		parent = sn_guest_by_cookie(s, hello->cookie);
	/* The child's own maps may be closed to us (it has capabilities that we gave up): know its parent's. */
	if (parent != NULL && parent->process->modules != NULL && parent->process->modules->count == 0)
		(void)sn_process_refresh_modules(parent->process);
	if (g == NULL)
		g = sn_guest_new(s, peer->pid);
	if (g == NULL)
		return -ENOMEM;
	*out = g;
	err = sn_process_begin_image(g->process, &s->options, hello->max_slots,
		parent != NULL ? parent->process : NULL);
	if (err == 0) {
		sn_guest_note_program(g, parent);
		(void)sn_guest_has_execed(g);		/* so that the next image is seen to be another */
		sn_service_joined(s);
	}
	return err;
}

static void
hang_up(struct connection *c)
{
	c->service->connections--;
	if (c->event != NULL)
		event_free(c->event);
	(void)close(c->fd);
	free(c);
}

static void
answer_ask(struct connection *c, int status, uint64_t value, int fd)
{
	struct sn_welcome w = { .status = status, .bytes = value };

	send_words(c->fd, &w, fd, -1);
	c->service->asks--;
	hang_up(c);
}

/* The job of an ask is done. */
static void
on_asked(void *arg, int err, int memfd)
{
	struct stat st = { 0 };

	if (err == 0 && memfd >= 0 && fstat(memfd, &st) < 0)
		err = -errno;
	answer_ask(arg, err, (uint64_t)st.st_size, err == 0 ? memfd : -1);
}

/* The profile since the start, or of the program's own span, into the file or to who asks.  0: on_asked will come. */
static int
begin_so_far(struct connection *c, struct sn_guest *g, bool to_file, bool is_span)
{
	struct sn_service *s = c->service;
	struct sn_job *j;
	int err;

	if (to_file && s->file == NULL)
		return -ENOENT;
	err = sn_job_so_far(s, g, is_span, &j);
	if (err < 0)
		return err;
	j->done = on_asked;
	j->arg = c;
	if (to_file)
		return sn_job_submit_file(s, j);
	sn_job_submit(s, j);
	sn_workers_start(s);
	return 0;
}

static bool
is_cpu(const char *kind)
{
	return strcmp(kind, "cpu") == 0 || strcmp(kind, "profile") == 0;
}

/* 0: answered later.  Positive: the answer, less one.  Negative: the error. */
static int
obey_ask(struct connection *c, struct sn_guest *g, const struct sn_ask *ask)
{
	struct sn_service *s = c->service;
	char why[SN_WHY_MAX];
	int port, err;

	switch (ask->op) {
	case SN_ASK_STOP:
		sn_process_set_sampling(g->process, &s->options, false);
		g->file_is_final = s->host != NULL;	/* a forked child stops for itself alone */
		return s->file != NULL ? begin_so_far(c, g, true, false) : 1;
	case SN_ASK_FLUSH:
		return begin_so_far(c, g, true, false);
	case SN_ASK_WRITE:
		return is_cpu(ask->text) ? begin_so_far(c, g, false, false) : -ENOENT;
	case SN_ASK_SPAN:
		return begin_so_far(c, g, false, true);
	case SN_ASK_MARK:
		err = sn_span_begin(s, g);
		return err < 0 ? err : 1;
	case SN_ASK_UNMARK:
		sn_span_end(s, g);
		return 1;
	case SN_ASK_TOGGLE:
		err = sn_span_toggle(s, g);
		return err < 0 ? err : 1;
	case SN_ASK_SERVE:
		port = sn_answers_listen(s, ask->text, why, sizeof(why));
		if (port < 0)
			sn_log(SN_LOG_FILE, "%s", why);
		return port < 0 ? port : port + 1;
	default:
		return -EINVAL;
	}
}

/* A call of the API, by a process that is profiled. */
static void
take_ask(struct connection *c, struct message *m, pid_t pid)
{
	struct sn_guest *g = sn_guest_find(c->service, pid);
	int answer;

	event_free(c->event);		/* it has no more to say, and time until its job is done */
	c->event = NULL;
	c->service->asks++;
	m->ask.text[sizeof(m->ask.text) - 1] = '\0';
	answer = g != NULL ? obey_ask(c, g, &m->ask) : -ESRCH;
	if (answer != 0)
		answer_ask(c, answer < 0 ? answer : 0, answer > 0 ? (uint64_t)answer - 1 : 0, -1);
}

static void
take_hello(struct connection *c, const struct sn_hello *hello, const struct ucred *peer)
{
	struct sn_guest *g = NULL;
	int err;

	if (hello->kind == SN_HELLO_NUDGE) {
		sn_service_nudged(c->service);
		return;
	}
	err = join(c->service, hello, peer, &g);
	send_welcome(c->fd, err, err == 0 ? g->process : NULL);
	if (err < 0)
		sn_log(SN_LOG_FILE, "process %d is not profiled: %s", (int)peer->pid, strerror(-err));
}

static void
on_hello(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	struct message m = { 0 };
	struct ucred peer;
	socklen_t len = sizeof(peer);
	ssize_t n;

	if ((what & EV_TIMEOUT) == 0) {
		n = recv(fd, &m, sizeof(m), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
			n = -1;
		if (n == ASK_BYTES && m.hello.kind == SN_HELLO_ASK && m.hello.magic == SN_HELLO_MAGIC &&
		    m.hello.version == SN_SEGMENT_VERSION && may_join(c->service, &peer)) {
			take_ask(c, &m, peer.pid);
			return;
		}
		if (n == (ssize_t)sizeof(m.hello))
			take_hello(c, &m.hello, &peer);
	}
	hang_up(c);
}

/* Strangers are not heard, nor written about. */
static bool
is_welcome(struct sn_service *s, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && may_join(s, &peer);
}

/* No descriptor is left: who asks us would wait for its answer in vain, a second at each start of a program. */
static bool
turn_away(struct sn_service *s)
{
	int fd;

	if (s->spare_fd < 0)
		return false;
	(void)close(s->spare_fd);
	fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		(void)close(fd);
	s->spare_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return fd >= 0;
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct sn_service *s = arg;
	struct connection *c;

	(void)what;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	c->service = s;
	c->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (c->fd < 0 || s->connections >= SN_CONNECTIONS_MAX || !is_welcome(s, c->fd)) {
		/* Out of descriptors the listener would stay readable; and anybody may knock at an abstract name. */
		if ((c->fd < 0 && !turn_away(s)) || ++s->turned_away > TURNED_AWAY_MAX) {
			(void)event_del(s->accepting);
			s->accept_paused = true;
		}
		if (c->fd >= 0)
			(void)close(c->fd);
		free(c);
		return;
	}
	c->event = event_new(s->base, c->fd, EV_READ | EV_PERSIST, on_hello, c);
	s->connections++;
	if (c->event == NULL || event_add(c->event, &second) < 0) {
		if (c->event != NULL)
			event_free(c->event);
		s->connections--;
		(void)close(c->fd);
		free(c);
	}
}

int
sn_welcome_open(struct sn_service *s)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	uint64_t random = 0;
	socklen_t size;
	size_t len;

	(void)getrandom(&random, sizeof(random), 0);
	if (s->host != NULL && s->host->collector[0] != '\0')	/* after a pause: children know this name */
		(void)snprintf(s->socket, sizeof(s->socket), "%s", s->host->collector);
	else
		(void)snprintf(s->socket, sizeof(s->socket), "sonde-%d-%016llx", (int)getpid(),
			(unsigned long long)random);
	len = strlen(s->socket);
	memcpy(at.sun_path + 1, s->socket, len);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return -errno;
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
	if (bind(s->listener, (struct sockaddr *)&at, size) < 0 || listen(s->listener, 1024) < 0)
		return -errno;
	s->spare_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);	/* -1: who comes then waits */
	s->accepting = event_new(s->base, s->listener, EV_READ | EV_PERSIST, on_connection, s);
	return s->accepting == NULL || event_add(s->accepting, NULL) < 0 ? -ENOMEM : 0;
}

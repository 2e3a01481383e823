/* SPDX-License-Identifier: Apache-2.0
 *
 * welcome.c - hand out segments: the collector's end of segment/handshake.h.
 *
 * Runs in:  the collector's loop.
 * Limits:   SN_CONNECTIONS_MAX at a time, each closed after a second; a peer must be of our user,
 *           or of any user if we are root and it descends from us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "segment/handshake.h"
#include "service/internal.h"

#define SN_CONNECTIONS_MAX 512
#define ANCESTORS_MAX 64

struct connection {
	struct sn_service *service;
	int fd;
	struct event *event;
};

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

static void
send_welcome(int to, int status, const struct sn_process *p)
{
	struct sn_welcome w = { .magic = SN_HELLO_MAGIC, .status = status };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { &w, sizeof(w) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (status == 0) {
		struct cmsghdr *c;

		w.bytes = p->seg.bytes;
		w.base_bytes = p->seg.rings_off;
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &p->memfd, sizeof(int));
	}
	if (sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		sn_log(SN_LOG_FILE, "a process left before it had its segment: %s", strerror(errno));
}

/* A process of the tree asks; what it says of itself is believed only as far as it cannot harm others. */
static int
join(struct sn_service *s, const struct sn_hello *hello, const struct ucred *peer, struct sn_guest **out)
{
	struct sn_guest *g = sn_guest_find(s, peer->pid);
	struct sn_guest *parent = NULL;

	if (hello->magic != SN_HELLO_MAGIC || hello->version != SN_SEGMENT_VERSION)
		return -EPROTO;
	if (!may_join(s, peer))
		return -EPERM;
	if (hello->kind == SN_HELLO_MORE) {
		*out = g;
		return g != NULL && g->process->has_segment && g->process->seg.cookie == hello->cookie ? 0 : -ENOENT;
	}
	if (hello->kind == SN_HELLO_FORK)
		parent = sn_guest_by_cookie(s, hello->cookie);
	if (g == NULL)
		g = sn_guest_new(s, peer->pid);
	if (g == NULL)
		return -ENOMEM;
	*out = g;
	return sn_process_begin_image(g->process, &s->options, hello->max_slots,
		parent != NULL ? parent->process : NULL);
}

static void
hang_up(struct connection *c)
{
	c->service->connections--;
	event_free(c->event);
	(void)close(c->fd);
	free(c);
}

static void
on_hello(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	struct sn_hello hello;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct sn_guest *g = NULL;
	ssize_t n;
	int err;

	if ((what & EV_TIMEOUT) == 0) {
		n = recv(fd, &hello, sizeof(hello), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n == (ssize_t)sizeof(hello) && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
			err = join(c->service, &hello, &peer, &g);
			send_welcome(fd, err, err == 0 ? g->process : NULL);
			if (err < 0)
				sn_log(SN_LOG_FILE, "process %d is not profiled: %s", (int)peer.pid, strerror(-err));
		}
	}
	hang_up(c);
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
	if (c->fd < 0 || s->connections >= SN_CONNECTIONS_MAX) {
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
	(void)snprintf(s->socket, sizeof(s->socket), "sonde-%d-%016llx", (int)getpid(), (unsigned long long)random);
	len = strlen(s->socket);
	memcpy(at.sun_path + 1, s->socket, len);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return -errno;
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
	if (bind(s->listener, (struct sockaddr *)&at, size) < 0 || listen(s->listener, 1024) < 0)
		return -errno;
	s->accepting = event_new(s->base, s->listener, EV_READ | EV_PERSIST, on_connection, s);
	return s->accepting == NULL || event_add(s->accepting, NULL) < 0 ? -ENOMEM : 0;
}

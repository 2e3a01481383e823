/* SPDX-License-Identifier: Apache-2.0
 *
 * exchange.c - one message each way with the collector (see exchange.h).
 *
 * Signals of the program interrupt nothing here: what is left of the time is waited for again.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/syscall.h"
#include "control/exchange.h"

/* A name in the abstract name space is free for anyone once the collector is gone: look who answers. */
static bool
is_ours(long fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (sn_syscall5(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == (uid_t)sn_syscall0(SYS_getuid) ||
	    peer.uid == (uid_t)sn_syscall0(SYS_geteuid);
}

static long
open_socket(const char *name, uint64_t wait_ns)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval wait = {
		(time_t)(wait_ns / SN_NS_PER_SEC), (suseconds_t)(wait_ns % SN_NS_PER_SEC / 1000),
	};
	size_t len = strlen(name);
	long fd, err;

	if (len == 0 || len >= sizeof(to.sun_path))
		return -EINVAL;
	memcpy(to.sun_path + 1, name, len);
	fd = sn_syscall3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	(void)sn_syscall5(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	do
		err = sn_syscall3(SYS_connect, fd, &to, offsetof(struct sockaddr_un, sun_path) + 1 + len);
	while (err == -EINTR);
	if (err == 0 && !is_ours(fd))
		err = -EPERM;
	if (err < 0) {
		(void)sn_syscall1(SYS_close, fd);
		return err == -EAGAIN ? -ETIMEDOUT : err;
	}
	return fd;
}

static long
send_message(long fd, const void *message, size_t bytes)
{
	long n;

	do
		n = sn_syscall6(SYS_sendto, fd, (long)message, (long)bytes, MSG_NOSIGNAL, 0, 0);
	while (n == -EINTR);
	if (n < 0)
		return n == -EAGAIN ? -ETIMEDOUT : n;
	return n == (long)bytes ? 0 : -EPROTO;
}

/* Wait until there is something to read.  0 or -ETIMEDOUT. */
static long
await(long fd, uint64_t until_ns)
{
	for (;;) {
		uint64_t now = sn_clock_mono_ns(), left = until_ns > now ? until_ns - now : 0;
		struct timespec wait = { (time_t)(left / SN_NS_PER_SEC), (long)(left % SN_NS_PER_SEC) };
		struct pollfd p = { .fd = (int)fd, .events = POLLIN };
		long n = sn_syscall5(SYS_ppoll, &p, 1, &wait, NULL, 0);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (n != -EINTR)
			return n;
	}
}

static long
receive(long fd, struct sn_offer *o)
{
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { &o->welcome, sizeof(o->welcome) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fds[2] = { -1, -1 };
	long n = sn_syscall3(SYS_recvmsg, fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return n;
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    (c->cmsg_len == CMSG_LEN(sizeof(int)) || c->cmsg_len == CMSG_LEN(sizeof(fds))))
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	o->fd = fds[0];
	o->tables_fd = fds[1];			/* without it stacks are copied */
	if ((msg.msg_flags & MSG_CTRUNC) != 0 && o->fd < 0)
		return -EMFILE;			/* there is no descriptor left for the one that came */
	if (n != sizeof(o->welcome) || o->welcome.magic != SN_HELLO_MAGIC)
		return -EPROTO;
	return o->welcome.status < 0 ? o->welcome.status : 0;
}

int
sn_exchange(const char *name, const void *message, size_t bytes, uint64_t wait_ns, struct sn_offer *o)
{
	uint64_t until = sn_clock_mono_ns() + wait_ns;
	long fd, err;

	o->fd = o->tables_fd = -1;
	fd = open_socket(name, wait_ns);
	if (fd < 0)
		return (int)fd;
	err = send_message(fd, message, bytes);
	if (err == 0)
		err = await(fd, until);
	if (err == 0)
		err = receive(fd, o);
	(void)sn_syscall1(SYS_close, fd);
	return (int)err;
}

void
sn_tell(const char *name, const void *message, size_t bytes)
{
	long fd = open_socket(name, SN_NS_PER_SEC);

	if (fd < 0)
		return;
	(void)sn_syscall6(SYS_sendto, fd, (long)message, (long)bytes, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
	(void)sn_syscall1(SYS_close, fd);
}

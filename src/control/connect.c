/* SPDX-License-Identifier: Apache-2.0
 *
 * connect.c - get a segment from the collector.
 *
 * Runs in:  constructor and atfork child: raw system calls only (no cancellation point, no
 *           allocation, no lock that a vanished thread may hold).
 * Memory:   the mapping belongs to the process until it ends; it is not inherited by fork.
 * When the collector does not answer within a second, the program runs unprofiled.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/control.h"
#include "segment/handshake.h"

/* What the collector's welcome carried. */
struct offer {
	struct sn_welcome welcome;
	int fd;
};

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
open_socket(const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval second = { .tv_sec = 1 };
	size_t len = strlen(name);
	long fd, err;

	if (len == 0 || len >= sizeof(to.sun_path))
		return -EINVAL;
	memcpy(to.sun_path + 1, name, len);
	fd = sn_syscall3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	(void)sn_syscall5(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	(void)sn_syscall5(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	err = sn_syscall3(SYS_connect, fd, &to, offsetof(struct sockaddr_un, sun_path) + 1 + len);
	if (err == 0 && !is_ours(fd))
		err = -EPERM;
	if (err < 0) {
		(void)sn_syscall1(SYS_close, fd);
		return err;
	}
	return fd;
}

static long
receive(long fd, struct offer *o)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { &o->welcome, sizeof(o->welcome) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	long n = sn_syscall3(SYS_recvmsg, fd, &msg, MSG_CMSG_CLOEXEC);

	o->fd = -1;
	if (n < 0)
		return n == -EAGAIN ? -ETIMEDOUT : n;
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&o->fd, CMSG_DATA(c), sizeof(int));
	if (n != sizeof(o->welcome) || o->welcome.magic != SN_HELLO_MAGIC)
		return -EPROTO;
	if (o->welcome.status < 0)
		return o->welcome.status;
	return o->fd < 0 ? -EPROTO : 0;
}

static long
exchange(const char *name, const struct sn_hello *hello, struct offer *o)
{
	long fd = open_socket(name);
	long err;

	o->fd = -1;
	if (fd < 0)
		return fd;
	err = sn_syscall6(SYS_sendto, fd, (long)hello, sizeof(*hello), MSG_NOSIGNAL, 0, 0);
	err = err == sizeof(*hello) ? receive(fd, o) : err < 0 ? err : -EPROTO;
	(void)sn_syscall1(SYS_close, fd);
	return err;
}

/* Map a part of the segment.  Negative errno, or its address. */
static long
map_part(int fd, uint64_t offset, uint64_t bytes)
{
	long at = sn_syscall6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		(long)offset);

	if (at > 0 || at < -4095) {
		(void)sn_syscall3(SYS_madvise, at, bytes, MADV_DONTFORK);
		(void)sn_syscall3(SYS_madvise, at, bytes, MADV_DONTDUMP);
	}
	return at;
}

static bool
is_error(long at)
{
	return at < 0 && at >= -4095;
}

static int
map_chunk(int fd, struct sn_segment *s, uint32_t n)
{
	uint64_t bytes, offset = sn_segment_chunk(s, n, &bytes);
	long at = map_part(fd, offset, bytes);

	if (is_error(at))
		return (int)at;
	s->ring_chunk[n] = (uint8_t *)at;
	return 0;
}

static int
map_segment(const struct offer *o, struct sn_segment *out)
{
	uint64_t bytes = o->welcome.base_bytes;
	long at = map_part(o->fd, 0, bytes);
	int err;

	if (is_error(at))
		return (int)at;
	err = sn_segment_open(out, (void *)at, bytes);
	if (err == 0)
		err = map_chunk(o->fd, out, 0);
	if (err < 0)
		(void)sn_syscall2(SYS_munmap, at, bytes);
	return err;
}

int
sn_connect(const char *name, uint32_t kind, uint64_t parent_cookie, struct sn_segment *out)
{
	struct sn_hello hello = {
		.magic = SN_HELLO_MAGIC,
		.version = SN_SEGMENT_VERSION,
		.kind = kind,
		.cookie = parent_cookie,
	};
	long err = 0;

	/* Where address space is short (ulimit -v), fewer slots do. */
	for (uint32_t slots = 0;; slots = slots == 0 ? 64 : slots == 64 ? 4 : 1) {
		struct offer o;

		hello.max_slots = slots;
		err = exchange(name, &hello, &o);
		if (err == 0)
			err = map_segment(&o, out);
		if (o.fd >= 0)
			(void)sn_syscall1(SYS_close, o.fd);
		if (err != -ENOMEM || slots == 1)
			return (int)err;
	}
}

int
sn_connect_more(const char *name, struct sn_segment *s)
{
	struct sn_hello hello = {
		.magic = SN_HELLO_MAGIC,
		.version = SN_SEGMENT_VERSION,
		.kind = SN_HELLO_MORE,
		.cookie = s->cookie,
	};
	uint32_t ready = SN_LOAD_RELAXED(&s->shared->slots_ready);
	struct offer o;
	long err;

	if (ready >= s->nslots)
		return -ENOSPC;
	err = exchange(name, &hello, &o);
	if (err == 0)
		err = map_chunk(o.fd, s, ready / SN_CHUNK_SLOTS);
	if (o.fd >= 0)
		(void)sn_syscall1(SYS_close, o.fd);
	if (err == 0) {
		ready += SN_CHUNK_SLOTS;
		SN_STORE_RELEASE(&s->shared->slots_ready, ready < s->nslots ? ready : s->nslots);
	}
	return (int)err;
}

int
sn_snapshot_maps(const struct sn_segment *s, bool at_exit)
{
	uint8_t *to = s->maps + (at_exit ? s->maps_bytes : 0);
	uint64_t *len = at_exit ? &s->shared->maps_exit_len : &s->shared->maps_start_len;
	uint64_t got = 0;
	long fd = sn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	long n = 0;

	if (fd < 0)
		return (int)fd;
	while (got < s->maps_bytes && (n = sn_syscall3(SYS_read, fd, to + got, s->maps_bytes - got)) > 0)
		got += (uint64_t)n;
	(void)sn_syscall1(SYS_close, fd);
	SN_STORE_RELEASE(len, got);		/* a text that was cut ends in half a line; the reader drops it */
	return n < 0 ? (int)n : 0;
}

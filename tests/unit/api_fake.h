/* SPDX-License-Identifier: Apache-2.0
 *
 * api_fake.h - what stands round the API in its test: control/, which notes what it was asked, and a
 * collector, a thread that answers one message.
 */
#ifndef SN_TESTS_UNIT_API_FAKE_H
#define SN_TESTS_UNIT_API_FAKE_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"
#include "segment/handshake.h"

/* ---- what control/ does ---- */

static struct {
	struct sn_options options;	/* as begun with */
	int begun, joined, begin_error, join_error;
	bool is_inside;
	char collector[108];
	void (*during_begin)(void);
} control;

int
sn_control_begin(const struct sn_options *o)
{
	control.options = *o;
	control.begun++;
	errno = ENOEXEC;
	if (control.during_begin != NULL)
		control.during_begin();
	return control.begin_error;
}

int
sn_control_join(void)
{
	control.joined++;
	control.collector[0] = '\0';
	return control.join_error;
}

bool
sn_control_is_inside(void)
{
	return control.is_inside;
}

const char *
sn_control_collector(void)
{
	return control.collector;
}

/* ---- a collector that answers once ---- */

static struct {
	pthread_t thread;
	int listener;
	struct sn_welcome answer;
	int answer_fd;			/* goes with the answer, -1: none */
	size_t answer_bytes;
	bool is_joined;
	size_t got;
	struct {
		struct sn_hello hello;
		struct sn_ask ask;
	} message;
} collector;

static void
send_answer(int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} room = { 0 };
	struct iovec iov = { &collector.answer, collector.answer_bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (collector.answer_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &room;
		msg.msg_controllen = sizeof(room);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &collector.answer_fd, sizeof(int));
	}
	(void)sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void *
collect(void *arg)
{
	int fd = accept(collector.listener, NULL, NULL);
	ssize_t n = recv(fd, &collector.message, sizeof(collector.message), 0);
	char end;

	(void)arg;
	collector.got = n < 0 ? 0 : (size_t)n;
	if (collector.answer_bytes > 0)
		send_answer(fd);
	(void)recv(fd, &end, 1, 0);	/* until the other side has closed */
	(void)close(fd);
	return NULL;
}

/* bytes: of the answer; 0: it takes the message and says nothing. */
static void
collector_starts_with(int32_t status, uint64_t value, int fd, size_t bytes)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	static int number;
	int len = snprintf(control.collector, sizeof(control.collector), "sonde-test-%d-%d", (int)getpid(), number++);

	memcpy(to.sun_path + 1, control.collector, (size_t)len);
	memset(&collector, 0, sizeof(collector));
	collector.answer = (struct sn_welcome){ .magic = SN_HELLO_MAGIC, .status = status, .bytes = value };
	collector.answer_bytes = bytes;
	collector.answer_fd = fd;
	collector.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(collector.listener, 0);
	ck_assert_int_eq(bind(collector.listener, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)), 0);
	ck_assert_int_eq(listen(collector.listener, 4), 0);
	ck_assert_int_eq(pthread_create(&collector.thread, NULL, collect, NULL), 0);
}

static void
collector_starts(int32_t status, uint64_t value, int fd)
{
	collector_starts_with(status, value, fd, sizeof(struct sn_welcome));
}

/* It ends by itself when it was asked once. */
static void
join_collector(void)
{
	if (!collector.is_joined)
		ck_assert_int_eq(pthread_join(collector.thread, NULL), 0);
	collector.is_joined = true;
}

static void
collector_ends(void)
{
	join_collector();
	(void)close(collector.listener);
	if (collector.answer_fd >= 0)
		(void)close(collector.answer_fd);
	control.collector[0] = '\0';
}

/* The message that came: whole, of the right kind, nothing else in it. */
static void
check_asked(uint32_t op, const char *text)
{
	char rest[sizeof(collector.message.ask.text)] = "";

	join_collector();
	ck_assert_uint_eq(collector.got, sizeof(struct sn_hello) + sizeof(struct sn_ask));
	ck_assert_uint_eq(collector.message.hello.magic, SN_HELLO_MAGIC);
	ck_assert_uint_eq(collector.message.hello.version, SN_SEGMENT_VERSION);
	ck_assert_uint_eq(collector.message.hello.kind, SN_HELLO_ASK);
	ck_assert_uint_eq(collector.message.ask.op, op);
	(void)strcpy(rest, text);
	ck_assert_mem_eq(collector.message.ask.text, rest, sizeof(rest));
}

static int
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static int
memory_file(size_t bytes)
{
	int fd = memfd_create("answer", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < bytes; i++) {
		char c = (char)(i * 7 + i / 251);

		ck_assert_int_eq(write(fd, &c, 1), 1);
	}
	return fd;
}

static void
check_bytes(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(data[i], (char)(i * 7 + i / 251));
}

#endif

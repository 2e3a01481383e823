/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.c - a growable byte buffer (see buf.h).  Runs in collector and tools.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

void *
sn_buf_room(struct sn_buf *b, size_t len)
{
	if (b->err < 0)
		return NULL;
	if (len > b->cap - b->len) {
		size_t cap = b->cap ? b->cap : 256;
		uint8_t *data;

		while (cap - b->len < len && cap < SIZE_MAX / 2)
			cap *= 2;
		data = cap - b->len < len ? NULL : realloc(b->data, cap);
		if (data == NULL) {
			b->err = -ENOMEM;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void
sn_buf_put(struct sn_buf *b, const void *data, size_t len)
{
	void *room = len > 0 ? sn_buf_room(b, len) : NULL;

	if (room != NULL) {
		memcpy(room, data, len);
		b->len += len;
	}
}

void
sn_buf_putf(struct sn_buf *b, const char *fmt, ...)
{
	va_list ap;
	char *room;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	room = n < 0 ? NULL : sn_buf_room(b, (size_t)n + 1);
	if (room == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(room, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;		/* the NUL stays behind the end */
}

void
sn_buf_free(struct sn_buf *b)
{
	free(b->data);
	*b = (struct sn_buf){ 0 };
}

int
sn_buf_read_fd(struct sn_buf *b, int fd, size_t max)
{
	size_t got = 0;

	for (;;) {
		size_t want = 64 * 1024;
		char *room = sn_buf_room(b, want);
		ssize_t n;

		if (room == NULL)
			return b->err;
		n = read(fd, room, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if ((size_t)n > max - got)
			return -EFBIG;
		got += (size_t)n;
		b->len += (size_t)n;
	}
}

int
sn_buf_read_path(struct sn_buf *b, const char *path, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = sn_buf_read_fd(b, fd, max);
	(void)close(fd);
	return err;
}

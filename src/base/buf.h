/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h - a growable byte buffer.  Collector and tools only (it allocates).
 *
 * Memory:   owned by the struct; free it with sn_buf_free, also after an error.
 * When out of memory: err is set to -ENOMEM once and every later call is a no-op,
 *           so that a writer checks once, at the end.
 */
#ifndef SN_BASE_BUF_H
#define SN_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct sn_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	int err;		/* 0, or -ENOMEM since it first failed */
};

void sn_buf_put(struct sn_buf *b, const void *data, size_t len);
void sn_buf_putf(struct sn_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for len more bytes; the caller fills them and adds to b->len.  NULL when out of memory. */
void *sn_buf_room(struct sn_buf *b, size_t len);
void sn_buf_free(struct sn_buf *b);

/* Append the rest of the file to b, at most max bytes (-EFBIG beyond).  0 or -errno. */
int sn_buf_read_fd(struct sn_buf *b, int fd, size_t max);
/* Read a whole small file, as under /proc.  0 or -errno. */
int sn_buf_read_path(struct sn_buf *b, const char *path, size_t max);

#endif

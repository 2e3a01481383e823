/* SPDX-License-Identifier: Apache-2.0
 *
 * gzip.c - compress as `gzip -1 -n`: no name, no time, so that equal input gives equal bytes; decompress.
 *
 * Runs in:  collector, in the child that writes the file; tools.  What is decompressed is hostile.
 * Memory:   zlib's 256 KiB while it runs; the result is the caller's buffer.
 * When out of memory: -ENOMEM, and what the buffer held before stays.
 */
#include <errno.h>
#include <limits.h>
#include <zlib.h>

#include "encode/pprof.h"

#define STEP_BYTES	(64 * 1024)
#define GZIP_WRAPPER	16		/* added to windowBits: gzip, not zlib, around it */

/* Compress what z has for input; Z_FINISH ends the stream. */
static int
squeeze(z_stream *z, int flush, struct sn_buf *out)
{
	int status = Z_OK;

	do {
		z->next_out = sn_buf_room(out, STEP_BYTES);
		if (z->next_out == NULL)
			return out->err;
		z->avail_out = STEP_BYTES;
		status = deflate(z, flush);
		if (status == Z_STREAM_ERROR)
			return -EINVAL;
		out->len += STEP_BYTES - z->avail_out;
	} while (flush == Z_FINISH ? status != Z_STREAM_END : z->avail_in > 0);
	return 0;
}

int
sn_gzip(const void *data, size_t len, struct sn_buf *out)
{
	z_stream z = { 0 };
	size_t before = out->len;
	int err = 0;

	if (out->err < 0)
		return out->err;
	if (deflateInit2(&z, 1, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_in = (Bytef *)data;		/* zlib's type has no const; it only reads */
	while (err == 0 && len > 0) {
		z.avail_in = len < UINT_MAX ? (uInt)len : UINT_MAX;
		len -= z.avail_in;
		err = squeeze(&z, Z_NO_FLUSH, out);
	}
	if (err == 0)
		err = squeeze(&z, Z_FINISH, out);
	(void)deflateEnd(&z);
	if (err < 0)
		out->len = before;
	return err;
}

/* One step of inflating.  1 at the end of all members, 0 to go on, negative errno. */
static int
unsqueeze(z_stream *z, struct sn_buf *out)
{
	uInt before = z->avail_in;
	int status;

	z->next_out = sn_buf_room(out, STEP_BYTES);
	if (z->next_out == NULL)
		return out->err;
	z->avail_out = STEP_BYTES;
	status = inflate(z, Z_NO_FLUSH);
	out->len += STEP_BYTES - z->avail_out;
	if (status == Z_MEM_ERROR)
		return -ENOMEM;
	if (status == Z_STREAM_END)
		return z->avail_in == 0 ? 1 : inflateReset(z) == Z_OK ? 0 : -EBADMSG;
	if (status != Z_OK || (z->avail_in == before && z->avail_out == STEP_BYTES))
		return -EBADMSG;	/* also cut: it wants more than there is */
	return 0;
}

int
sn_gunzip(const void *data, size_t len, size_t max, struct sn_buf *out)
{
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)len };
	size_t before = out->len;
	int err = 0;

	if (out->err < 0)
		return out->err;
	if (len > UINT_MAX)
		return -EFBIG;
	if (inflateInit2(&z, MAX_WBITS + GZIP_WRAPPER) != Z_OK)
		return -ENOMEM;
	while (err == 0) {
		err = unsqueeze(&z, out);
		if (err >= 0 && out->len - before > max)
			err = -EFBIG;
	}
	(void)inflateEnd(&z);
	if (err < 0)
		out->len = before;
	return err < 0 ? err : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * earlier.h - a process that calls exec writes a file for each of its images, by collectors that know nothing of
 * each other: the file says who wrote it, and one of an earlier image steps aside as NAME.1.pb.gz, .2 and so on.
 *
 * Runs in:  the collector.
 */
#ifndef SN_DELIVER_EARLIER_H
#define SN_DELIVER_EARLIER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* Process and start time stay over exec; image is another number then. */
struct sn_image_id {
	pid_t pid;
	uint64_t start_time, image;
};

/* Append gz, a file as sn_gzip makes it, to out, with a comment in its head.  0, -EBADMSG, -ENOMEM. */
int sn_earlier_mark(const struct sn_buf *gz, const struct sn_image_id *id, struct sn_buf *out);

/* If path is the file of another image of the process, rename it to the first number that is free.  0 or -errno. */
int sn_earlier_keep(const char *path, const struct sn_image_id *id);

#endif

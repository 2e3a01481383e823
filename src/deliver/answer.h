/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.h - an HTTP answer as it comes in, byte by byte.
 *
 * Runs in:  the sonde command, and a collector that passes a request on.  Pure; the server is hostile.
 * Memory:   the body grows up to the bound that was set; sn_answer_free.
 */
#ifndef SN_DELIVER_ANSWER_H
#define SN_DELIVER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SN_ANSWER_HEAD_MAX	(16u << 10)
#define SN_ANSWER_BODY_MAX	(1u << 30)

struct sn_answer {
	struct sn_buf head;	/* up to the empty line */
	bool has_head;
	int status;
	char reason[64];
	char type[64];		/* Content-Type without parameters, lower case */
	bool is_pprof_error;	/* X-Go-Pprof: the body says what is wrong */
	bool has_length;
	uint64_t length;
	struct sn_buf body;
	size_t body_max;
	bool done;
	char why[160];		/* when it is no good answer */
};

void sn_answer_init(struct sn_answer *a, size_t body_max);
void sn_answer_free(struct sn_answer *a);

/* Bytes that came.  1 when it is complete, 0 when more must come, -EPROTO, -EFBIG or -ENOMEM with why. */
int sn_answer_feed(struct sn_answer *a, const void *data, size_t len);
/* The server closed.  0, or -EPROTO with why. */
int sn_answer_end(struct sn_answer *a);

/* The first line of the body, fit for a terminal; "" when it is no text. */
void sn_answer_line(const struct sn_answer *a, char *out, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * status.h - the answer of /debug/sonde/status, for the server that writes and the tools that read it.
 *
 * Runs in:  collector and tools.  Pure.
 * Table:    status.def, one row a key.
 */
#ifndef SN_DELIVER_STATUS_H
#define SN_DELIVER_STATUS_H

#include <stddef.h>

#include "base/buf.h"

enum sn_status_key {
#define SN_STATUS_KEY(field, key, what) SN_STATUS_##field,
#include "deliver/status.def"
	SN_STATUS_COUNT
};

#define SN_STATUS_VALUE_MAX 256

/* All values as text; "" for a key that was not there. */
struct sn_status {
	char value[SN_STATUS_COUNT][SN_STATUS_VALUE_MAX];
};

const char *sn_status_name(enum sn_status_key key);

/* Append the line of a key; control characters become '?', a value that is too long is cut. */
void sn_status_put(struct sn_buf *b, enum sn_status_key key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Take an answer apart.  Hostile: unknown keys and lines without a blank are passed over, the first of two equal
 * keys counts, values are made fit for a terminal.  How many known keys it had.
 */
int sn_status_parse(const void *text, size_t len, struct sn_status *out);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * exchange.h - one message each way with the collector (see segment/handshake.h).
 *
 * Runs in:  constructor, atfork child, application threads: raw system calls only (no cancellation
 *           point, no allocation, no lock that a vanished thread may hold).
 */
#ifndef SN_CONTROL_EXCHANGE_H
#define SN_CONTROL_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "segment/handshake.h"

/* What the collector's welcome carried. */
struct sn_offer {
	struct sn_welcome welcome;
	int fd;			/* -1: none; else the caller's to close, also after an error */
	int tables_fd;		/* of the store of unwind tables; the same */
};

/*
 * Send a message, which begins with a struct sn_hello, to the abstract socket `name` and take the
 * welcome, within wait_ns in all.  0; negative errno: -ECONNREFUSED it is gone, -EPERM it is not ours, -ETIMEDOUT,
 * -EPROTO, or the status of the welcome.
 */
int sn_exchange(const char *name, const void *message, size_t bytes, uint64_t wait_ns, struct sn_offer *o);

/* Send a message that nobody answers; what fails is not told. */
void sn_tell(const char *name, const void *message, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * client.h - one GET over a Unix socket or TCP, for sonde fetch and sonde ps.
 *
 * Runs in:  the sonde command (it resolves names, so never inside a program).
 * Form:     HTTP/1.0 with Connection: close, so that no server sends chunks.
 */
#ifndef SN_TOOLS_CLIENT_H
#define SN_TOOLS_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "deliver/answer.h"

/* http://HOST:PORT/path?query */
struct sn_url {
	char host[256];		/* without brackets */
	char port[6];		/* decimal */
	char authority[272];	/* as it was written, for the Host header */
	char path[2048];	/* with query; "" if there was none */
};

/* 0, or -EINVAL with a line in why. */
int sn_url_parse(const char *text, struct sn_url *out, char *why, size_t why_size);

struct sn_get {
	const char *socket;	/* a path, or '@NAME'; NULL: TCP to url */
	const struct sn_url *url;
	const char *path;	/* with query */
	const char *token;	/* bearer token, or NULL */
	unsigned idle_ms;	/* longest wait for the next byte */
	unsigned total_ms;	/* longest wait for all, 0: no bound */
	size_t body_max;
};

/* 0 when an answer of whatever status is complete; -errno with a line in out->why.  sn_answer_free either way. */
int sn_client_get(const struct sn_get *get, struct sn_answer *out);

#endif

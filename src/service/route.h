/* SPDX-License-Identifier: Apache-2.0
 *
 * route.h - what a request asks for, by path, method and query alone.
 *
 * Runs in:  collector.  Pure: no request, no process; that is why it can be fuzzed.
 * Source:   Go's net/http/pprof, as measured (reference pprof.md §2); deviations are named in route.c.
 */
#ifndef SN_SERVICE_ROUTE_H
#define SN_SERVICE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "deliver/http.h"

enum sn_route_what {
	SN_ROUTE_ERROR,		/* status and text say what to answer */
	SN_ROUTE_REDIRECT,	/* 307 to text */
	SN_ROUTE_ROOT,		/* `/`: where to go */
	SN_ROUTE_INDEX,		/* /debug/pprof/ */
	SN_ROUTE_CMDLINE,
	SN_ROUTE_SYMBOL,
	SN_ROUTE_PROFILE,	/* CPU, for `seconds` from now or the `last` seconds */
	SN_ROUTE_STATUS,	/* /debug/sonde/status: `key value` lines for sonde ps and sonde fetch */
};

struct sn_route {
	enum sn_route_what what;
	pid_t pid;		/* /pid/PID/… ; 0: the process of the listener */
	double seconds;		/* SN_ROUTE_PROFILE: how long; 0 when last is set */
	uint32_t last;		/* SN_ROUTE_PROFILE: 1 to 3600, or 0 */
	int status;		/* SN_ROUTE_ERROR */
	const char *allow;	/* SN_ROUTE_ERROR with 405: the methods, else NULL */
	char text[256];		/* the line of the error, or where to redirect */
};

void sn_route_parse(enum sn_method method, const char *path, const char *query, struct sn_route *out);

/* One decoded value of a query into out; false when the key is not there.  Values longer than size are cut. */
bool sn_query_value(const char *query, const char *key, char *out, size_t size);

#endif

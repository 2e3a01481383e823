/* SPDX-License-Identifier: Apache-2.0
 *
 * route.c - path, method and query to what is asked for: tables.
 *
 * Runs in:  collector.  Pure.
 * Source:   Go's net/http/pprof (reference pprof.md §2).  Deviations: POST to /symbol is taken, as pprof needs it and
 *           Go's own multiplexer forgets; `last` is ours; `seconds` above 3600 are capped at 3600, so that no
 *           client holds a connection for longer; names of profiles that this version does not make are unknown.
 */
#include <stdio.h>
#include <string.h>

#include "service/route.h"

#define SECONDS_DEFAULT	30
#define SECONDS_MAX	3600
#define PID_MAX		(1 << 22)

#define READS	(1u << SN_GET | 1u << SN_HEAD)
#define POSTS	(READS | 1u << SN_POST)

/* What follows /pid/PID, if that is there; exact paths. */
static const struct place {
	const char *path;
	enum sn_route_what what;
	unsigned int methods;
} places[] = {
	{ "/", SN_ROUTE_ROOT, READS },
	{ "/debug/pprof", SN_ROUTE_REDIRECT, READS },
	{ "/debug/pprof/", SN_ROUTE_INDEX, READS },
	{ "/debug/pprof/cmdline", SN_ROUTE_CMDLINE, READS },
	{ "/debug/pprof/profile", SN_ROUTE_PROFILE, READS },
	{ "/debug/pprof/symbol", SN_ROUTE_SYMBOL, POSTS },
	{ "/debug/sonde/status", SN_ROUTE_STATUS, READS },
};

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of a query, %XX and + undone; moves *at on. */
static char
next_character(const char **at)
{
	char c = *(*at)++;

	if (c == '+')
		return ' ';
	if (c == '%' && hex((*at)[0]) >= 0 && hex((*at)[1]) >= 0) {
		c = (char)(hex((*at)[0]) << 4 | hex((*at)[1]));
		*at += 2;
	}
	return c;
}

static bool
is_end(char c)
{
	return c == '\0' || c == '&';
}

bool
sn_query_value(const char *query, const char *key, char *out, size_t size)
{
	while (*query != '\0') {
		const char *at = query, *k = key;
		size_t n = 0;

		while (!is_end(*at) && *at != '=' && *k != '\0' && next_character(&at) == *k)
			k++;
		if (*k == '\0' && (is_end(*at) || *at == '=')) {
			at += *at == '=';
			while (!is_end(*at)) {
				char c = next_character(&at);

				if (n + 1 < size)
					out[n++] = (char)(c != '\0' ? c : '?');
			}
			if (size > 0)
				out[n] = '\0';
			return true;
		}
		query = at + strcspn(at, "&");
		query += *query == '&';
	}
	return false;
}

static void
set_error(struct sn_route *out, int status, const char *text)
{
	out->what = SN_ROUTE_ERROR;
	out->status = status;
	(void)snprintf(out->text, sizeof(out->text), "%s", text);
}

/* Digits alone, so that 1e3, +5 and blanks are not taken for what Go refuses.  False: not one. */
static bool
read_number(const char *text, uint32_t max, uint32_t *number)
{
	uint64_t n = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (uint32_t)(*text - '0');
		if (n > max)
			n = (uint64_t)max + 1;
	}
	*number = (uint32_t)n;
	return true;
}

static void
read_profile(const char *query, struct sn_route *out)
{
	char value[32];
	bool has_seconds = sn_query_value(query, "seconds", value, sizeof(value));
	uint32_t seconds;

	out->seconds = SECONDS_DEFAULT;
	if (has_seconds && read_number(value, SECONDS_MAX, &seconds) && seconds > 0)
		out->seconds = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
	if (!sn_query_value(query, "last", value, sizeof(value)))
		return;
	out->seconds = 0;
	if (has_seconds)
		set_error(out, 400, "seconds and last params are incompatible");
	else if (!read_number(value, SECONDS_MAX, &out->last) || out->last < 1 || out->last > SECONDS_MAX) {
		out->last = 0;
		set_error(out, 400, "invalid value for \"last\" - must be an integer from 1 to 3600");
	}
}

/* /pid/PID before the rest: returns the rest.  NULL: it begins like one and is none. */
static const char *
read_pid(const char *path, pid_t *pid)
{
	char digits[12];
	const char *at = path + 5;
	size_t n = 0;
	uint32_t number;

	if (strncmp(path, "/pid/", 5) != 0)
		return path;
	n = strspn(at, "0123456789");
	if (n == 0 || n >= sizeof(digits) || at[n] != '/')
		return NULL;
	memcpy(digits, at, n);
	digits[n] = '\0';
	if (!read_number(digits, PID_MAX, &number) || number < 1 || number > PID_MAX)
		return NULL;
	*pid = (pid_t)number;
	return at + n;
}

static bool
can_stand_in_header(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* The query goes along, as Go has it, if it fits. */
static void
set_redirect(struct sn_route *out, const char *query)
{
	int n;

	if (!can_stand_in_header(query))
		query = "";
	if (out->pid != 0)
		n = snprintf(out->text, sizeof(out->text), "/pid/%d/debug/pprof/", (int)out->pid);
	else
		n = snprintf(out->text, sizeof(out->text), "/debug/pprof/");
	if (*query != '\0' && strlen(query) + 1 < sizeof(out->text) - (size_t)n)
		(void)snprintf(out->text + n, sizeof(out->text) - (size_t)n, "?%s", query);
}

static const struct place *
find(const char *path)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(path, places[i].path) == 0)
			return &places[i];
	return NULL;
}

void
sn_route_parse(enum sn_method method, const char *path, const char *query, struct sn_route *out)
{
	const struct place *place;
	unsigned int methods = POSTS | 1u << SN_OTHER_METHOD;
	bool is_below;

	memset(out, 0, sizeof(*out));
	path = read_pid(path, &out->pid);
	place = path != NULL ? find(path) : NULL;
	is_below = path != NULL && strncmp(path, "/debug/pprof/", 13) == 0;
	if (place != NULL)
		methods = place->methods;
	else if (is_below)
		methods = READS;	/* Go asks for the method first there, and elsewhere for the path */
	if ((methods >> method & 1) == 0) {
		set_error(out, 405, "Method Not Allowed");
		out->allow = methods == POSTS ? "GET, HEAD, POST" : "GET, HEAD";
	} else if (place == NULL) {
		set_error(out, 404, is_below ? "Unknown profile" : "404 page not found");
	} else {
		out->what = place->what;
		if (place->what == SN_ROUTE_PROFILE)
			read_profile(query, out);
		else if (place->what == SN_ROUTE_REDIRECT)
			set_redirect(out, query);
	}
}

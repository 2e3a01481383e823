/* SPDX-License-Identifier: Apache-2.0
 *
 * url.c - http://HOST:PORT/path (see client.h).
 *
 * Runs in:  the sonde command.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/client.h"

__attribute__((format(printf, 3, 4))) static int
refuse(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool
copy(char *out, size_t size, const char *text, size_t len)
{
	if (len >= size)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

static int
take_port(struct sn_url *u, const char *text, size_t len, char *why, size_t size)
{
	unsigned long n = 0;

	for (size_t i = 0; i < len && i < 6; i++) {
		if (!isdigit((unsigned char)text[i]))
			return refuse(why, size, "the port is no number");
		n = n * 10 + (unsigned long)(text[i] - '0');
	}
	if (len == 0 || len > 5 || n == 0 || n > 65535)
		return refuse(why, size, "the port must be 1 to 65535");
	(void)snprintf(u->port, sizeof(u->port), "%lu", n);
	return 0;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static int
take_authority(struct sn_url *u, const char *text, size_t len, char *why, size_t size)
{
	const char *host = text, *end, *port = NULL;

	if (memchr(text, '@', len) != NULL)
		return refuse(why, size, "a user in it is not understood; tokens come from --token-file");
	if (len > 0 && text[0] == '[') {
		host++;
		end = memchr(text, ']', len);
		if (end == NULL)
			return refuse(why, size, "a [ without its ]");
		port = end + 1;
	} else {
		end = memchr(text, ':', len);
		if (end == NULL)
			end = text + len;
		port = end;
	}
	if (end == host || !copy(u->host, sizeof(u->host), host, (size_t)(end - host)) ||
	    !copy(u->authority, sizeof(u->authority), text, len))
		return refuse(why, size, "no host in it, or one that is too long");
	if (port == text + len) {
		strcpy(u->port, "80");
		return 0;
	}
	if (*port != ':')
		return refuse(why, size, "after ] comes :PORT");
	return take_port(u, port + 1, (size_t)(text + len - port - 1), why, size);
}

int
sn_url_parse(const char *text, struct sn_url *out, char *why, size_t why_size)
{
	const char *at = text + strlen("http://");
	size_t len;

	memset(out, 0, sizeof(*out));
	if (strncasecmp(text, "https://", 8) == 0)
		return refuse(why, why_size, "https is not spoken; fetch it with curl");
	if (strncasecmp(text, "http://", 7) != 0)
		return refuse(why, why_size, "neither a process id nor http://HOST:PORT");
	for (const char *p = text; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return refuse(why, why_size, "blanks and characters beyond ASCII are not allowed");
	len = strcspn(at, "/?#");
	if (strchr(at + len, '#') != NULL)
		return refuse(why, why_size, "a fragment (#) is nothing that a server could be asked for");
	if (!copy(out->path + (at[len] == '?'), sizeof(out->path) - 1, at + len, strlen(at + len)))
		return refuse(why, why_size, "longer than %zu characters", sizeof(out->path));
	if (at[len] == '?')
		out->path[0] = '/';
	return take_authority(out, at, len, why, why_size);
}

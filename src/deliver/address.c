/* SPDX-License-Identifier: Apache-2.0
 *
 * address.c - SONDE_HTTP: a port, or an address and a port.  No name is ever looked up.
 *
 * Runs in:  collector and tools.  Pure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "deliver/http.h"

#define ALLOWED "write 6060, localhost:6060, 127.0.0.1:6060, [::1]:6060 or, with a token file, :6060 or ADDRESS:6060"

static int
refuse(const char *text, const char *wrong, char *why, size_t why_size)
{
	char shown[64];
	size_t n = 0;

	for (; *text != '\0' && n < sizeof(shown) - 1; text++)
		shown[n++] = (char)(*text >= ' ' && *text <= '~' ? *text : '?');
	shown[n] = '\0';
	(void)snprintf(why, why_size, "\"%s\" is no address: %s; " ALLOWED, shown, wrong);
	return -EINVAL;
}

static bool
read_port(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	uint32_t n = 0;

	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return false;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (uint32_t)(text[i] - '0');
	*port = (uint16_t)n;
	return n <= UINT16_MAX;
}

static bool
read_v4(struct sn_address *a)
{
	struct in_addr at;

	if (inet_pton(AF_INET, a->host, &at) != 1)
		return false;
	a->is_loopback = ntohl(at.s_addr) >> 24 == 127;
	return true;
}

static bool
read_v6(struct sn_address *a)
{
	struct in6_addr at;

	if (inet_pton(AF_INET6, a->host, &at) != 1)
		return false;
	a->is_v6 = true;
	a->is_loopback = IN6_IS_ADDR_LOOPBACK(&at) || (IN6_IS_ADDR_V4MAPPED(&at) && at.s6_addr[12] == 127);
	return true;
}

/* What stands before the colon of the port. */
static bool
read_host(const char *text, size_t len, struct sn_address *a)
{
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (len == 0) {			/* :6060, all addresses of the machine */
		strcpy(a->host, "::");
		return read_v6(a);
	}
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(a->host))
		return false;
	memcpy(a->host, text, len);
	a->host[len] = '\0';
	if (bracketed)
		return read_v6(a);
	if (strcasecmp(a->host, "localhost") == 0)
		strcpy(a->host, "127.0.0.1");
	return read_v4(a);
}

int
sn_address_parse(const char *text, struct sn_address *a, char *why, size_t why_size)
{
	const char *colon = strrchr(text, ':');

	memset(a, 0, sizeof(*a));
	if (!read_port(colon != NULL ? colon + 1 : text, &a->port))
		return refuse(text, "it does not end in a port from 0 to 65535", why, why_size);
	if (colon == NULL) {
		strcpy(a->host, "127.0.0.1");
		return read_v4(a) ? 0 : -EINVAL;
	}
	if (*text != '[' && strchr(text, ':') != colon)
		return refuse(text, "an IPv6 address stands in brackets", why, why_size);
	if (!read_host(text, (size_t)(colon - text), a))
		return refuse(text, "only localhost and numeric addresses are taken", why, why_size);
	return 0;
}

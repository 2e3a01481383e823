/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_address.c - any SONDE_HTTP and any token file: an address that the system takes, tokens that admit themselves
 * and nothing else, or one line that says why not.
 *
 * Input:    the address in the first line, the token file in the rest.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int holds)
{
	if (!holds)
		abort();
}

static void
require_line(const char *line)
{
	require(*line != '\0');
	for (; *line != '\0'; line++)
		require((unsigned char)*line >= ' ' && *line != 0x7f);
}

static void
address(const char *text)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	struct sn_address a;
	char why[256] = "";

	if (sn_address_parse(text, &a, why, sizeof(why)) < 0) {
		require_line(why);
		return;
	}
	require(inet_pton(a.is_v6 ? AF_INET6 : AF_INET, a.host, bytes) == 1);
	if (a.is_loopback && !a.is_v6)
		require(bytes[0] == 127);
}

static void
tokens(const char *text, size_t len)
{
	struct sn_tokens t, copy;
	char why[256] = "", value[SN_TOKEN_MAX + 16];

	if (sn_tokens_parse(text, len, &t, why, sizeof(why)) < 0) {
		require_line(why);
		require(t.count == 0 && t.token == NULL);
		return;
	}
	require(t.count > 0 && !t.is_open);
	require(sn_tokens_copy(&copy, &t) == 0 && copy.count == t.count);
	for (size_t i = 0; i < t.count; i++) {
		size_t n = strlen(t.token[i]);

		require(n >= SN_TOKEN_MIN && n <= SN_TOKEN_MAX);
		(void)snprintf(value, sizeof(value), "Bearer %s", t.token[i]);
		require(sn_tokens_admit(&copy, value));
		require(!sn_tokens_admit(&copy, t.token[i]) || strncasecmp(t.token[i], "Bearer", 6) == 0);
	}
	require(!sn_tokens_admit(&copy, "") && !sn_tokens_admit(&copy, "Bearer "));
	sn_tokens_free(&copy);
	sn_tokens_free(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *stop = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t n = stop != NULL ? (size_t)(stop - data) : size;
	char *text = malloc(n + 1), *rest;

	require(text != NULL);
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	address(text);
	free(text);
	if (stop == NULL)
		return 0;
	n = size - n - 1;
	rest = malloc(n > 0 ? n : 1);	/* of its own size, so that a byte beyond is seen */
	require(rest != NULL);
	memcpy(rest, stop + 1, n);
	tokens(rest, n);
	free(rest);
	return 0;
}

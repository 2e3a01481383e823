/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_route.c - any method, path and query: something to do within its limits, or an error with a line.
 *
 * Input:    the method in the first byte, the path up to a line break or question mark, then the query.
 */
#include <stdlib.h>
#include <string.h>

#include "service/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int holds)
{
	if (!holds)
		abort();
}

static void
check(const struct sn_route *r)
{
	require(r->pid >= 0 && r->pid <= 1 << 22);
	require(memchr(r->text, '\0', sizeof(r->text)) != NULL);
	for (const char *at = r->text; *at != '\0'; at++)
		require(*at >= ' ' && *at <= '~');
	if (r->what == SN_ROUTE_ERROR) {
		require(r->status == 400 || r->status == 404 || r->status == 405);
		require((r->allow != NULL) == (r->status == 405));
		require(r->text[0] != '\0');
	} else if (r->what == SN_ROUTE_PROFILE) {
		require(r->last == 0 ? r->seconds >= 1 && r->seconds <= 3600 : r->seconds == 0 && r->last <= 3600);
	} else if (r->what == SN_ROUTE_REDIRECT) {
		require(r->text[0] == '/' && r->text[1] != '/');
	} else {
		require(r->text[0] == '\0' && r->what <= SN_ROUTE_STATUS);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), small[4], *query;
	struct sn_route r;

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (size > 0) {
		query = text + 1 + strcspn(text + 1, "?\n");
		if (*query != '\0')
			*query++ = '\0';
		sn_route_parse((enum sn_method)((unsigned char)*text % 4), text + 1, query, &r);
		check(&r);
		if (sn_query_value(query, "last", small, sizeof(small)))
			require(strlen(small) < sizeof(small));
		(void)sn_query_value(query, "last", small, 0);
		(void)sn_query_value(query, query, small, sizeof(small));
	}
	free(text);
	return 0;
}

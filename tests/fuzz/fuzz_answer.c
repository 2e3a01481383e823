/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_answer.c - a hostile server's answer: what is taken does not depend on how it was cut in pieces, stays
 * within its bounds, and is fit for a terminal.
 *
 * The first byte says how long the pieces are.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/status.h"
#include "deliver/answer.h"
#include "tools/client.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
feed(struct sn_answer *a, const uint8_t *data, size_t size, size_t piece)
{
	int r = 0;

	sn_answer_init(a, BODY_MAX);
	while (r == 0 && size > 0) {
		size_t n = size < piece ? size : piece;

		r = sn_answer_feed(a, data, n);
		data += n;
		size -= n;
	}
	return r == 0 ? sn_answer_end(a) : r;
}

static void
check_text(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	if (n == size)
		abort();
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_answer whole, parts;
	struct sn_status st;
	struct sn_url url;
	char line[100], why[160], text[300];
	int r, s;

	if (size == 0)
		return 0;
	r = feed(&whole, data + 1, size - 1, size);
	s = feed(&parts, data + 1, size - 1, data[0] + 1u);
	/* Bytes beyond a complete answer are seen only if they come with it. */
	if ((r >= 0) && (s < 0 || whole.status != parts.status || whole.body.len != parts.body.len))
		abort();
	if (whole.body.len > BODY_MAX || parts.body.len > BODY_MAX || whole.head.len > SN_ANSWER_HEAD_MAX ||
	    parts.head.len > SN_ANSWER_HEAD_MAX || (r < 0 && whole.why[0] == '\0') ||
	    (r >= 0 && (whole.status < 100 || whole.status > 999)))
		abort();
	sn_answer_line(&parts, line, sizeof(line));
	check_text(line, sizeof(line));
	check_text(whole.why, sizeof(whole.why));
	check_text(whole.reason, sizeof(whole.reason));
	check_text(whole.type, sizeof(whole.type));
	(void)sn_status_parse(whole.body.data, whole.body.len, &st);
	for (int k = 0; k < SN_STATUS_COUNT; k++)
		check_text(st.value[k], sizeof(st.value[k]));
	sn_answer_free(&whole);
	sn_answer_free(&parts);
	(void)sn_status_parse(data, size, &st);
	memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
	text[size < sizeof(text) ? size : sizeof(text) - 1] = '\0';
	if (sn_url_parse(text, &url, why, sizeof(why)) == 0)
		check_text(url.authority, sizeof(url.authority));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * status.c - lines `key value` (see status.h).
 *
 * Runs in:  collector (put) and tools (parse).
 * Memory:   the caller's buffer.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "deliver/status.h"

static const char *const names[] = {
#define SN_STATUS_KEY(field, key, what) key,
#include "deliver/status.def"
};

const char *
sn_status_name(enum sn_status_key key)
{
	return names[key];
}

/* Nothing that moves a terminal's cursor: no C0, no DEL, no C1 in UTF-8. */
static void
make_harmless(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			*p = p[1] = '?';
	}
}

void
sn_status_put(struct sn_buf *b, enum sn_status_key key, const char *fmt, ...)
{
	char value[SN_STATUS_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	make_harmless(value);
	sn_buf_putf(b, "%s %s\n", names[key], value);
}

static int
key_of(const char *line, size_t len)
{
	for (int k = 0; k < SN_STATUS_COUNT; k++)
		if (strlen(names[k]) == len && memcmp(names[k], line, len) == 0)
			return k;
	return -1;
}

static int
take_line(const char *line, size_t len, struct sn_status *out)
{
	const char *blank = memchr(line, ' ', len);
	size_t n;
	int key;

	if (blank == NULL)
		return 0;
	key = key_of(line, (size_t)(blank - line));
	n = len - (size_t)(blank + 1 - line);
	if (key < 0 || n == 0 || out->value[key][0] != '\0')
		return 0;
	if (n >= SN_STATUS_VALUE_MAX)
		n = SN_STATUS_VALUE_MAX - 1;
	for (size_t i = 0; i < n; i++)		/* a NUL would hide the rest */
		out->value[key][i] = blank[1 + i] != '\0' ? blank[1 + i] : '?';
	out->value[key][n] = '\0';
	make_harmless(out->value[key]);
	return 1;
}

int
sn_status_parse(const void *text, size_t len, struct sn_status *out)
{
	const char *at = text;
	int known = 0;

	memset(out, 0, sizeof(*out));
	while (len > 0) {
		const char *end = memchr(at, '\n', len);
		size_t n = end != NULL ? (size_t)(end - at) : len;

		known += take_line(at, n, out);
		n += end != NULL;
		at += n;
		len -= n;
	}
	return known;
}

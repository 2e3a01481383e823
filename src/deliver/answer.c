/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.c - an HTTP answer as it comes in (see answer.h).
 *
 * Runs in:  the sonde command.
 * When too long: head beyond 16 KiB or body beyond its bound end the answer with -EFBIG.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "deliver/answer.h"

void
sn_answer_init(struct sn_answer *a, size_t body_max)
{
	*a = (struct sn_answer){ .body_max = body_max };
}

void
sn_answer_free(struct sn_answer *a)
{
	sn_buf_free(&a->head);
	sn_buf_free(&a->body);
}

__attribute__((format(printf, 3, 4))) static int
refuse(struct sn_answer *a, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->why, sizeof(a->why), fmt, ap);
	va_end(ap);
	return err;
}

/* Text of a server on its way to a terminal. */
static void
copy_harmless(char *out, size_t size, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++)
		out[n++] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	out[n] = '\0';
}

/* ---- the head ---- */

static int
take_status_line(struct sn_answer *a, const char *line, size_t len)
{
	const char *p = line + 9;
	char shown[48];

	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ' ||
	    !isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1]) || !isdigit((unsigned char)p[2]) ||
	    (len > 12 && p[3] != ' ') || p[0] == '0') {
		copy_harmless(shown, sizeof(shown), line, len);
		return refuse(a, -EPROTO, "the server does not speak HTTP/1: it said \"%s\"", shown);
	}
	a->status = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
	if (len > 13)
		copy_harmless(a->reason, sizeof(a->reason), p + 4, len - 13);
	return 0;
}

static int
take_length(struct sn_answer *a, const char *value, size_t len)
{
	uint64_t n = 0;

	if (len == 0 || len > 19)
		return refuse(a, -EPROTO, "Content-Length of %zu characters is no number", len);
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)value[i]))
			return refuse(a, -EPROTO, "Content-Length is no number");
		n = n * 10 + (uint64_t)(value[i] - '0');
	}
	if (a->has_length && a->length != n)
		return refuse(a, -EPROTO, "two different Content-Lengths");
	if (n > a->body_max)
		return refuse(a, -EFBIG, "Content-Length is %llu bytes, at most %zu are taken", (unsigned long long)n,
			a->body_max);
	a->has_length = true;
	a->length = n;
	return 0;
}

static bool
is_name(const char *line, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(line, name, len) == 0;
}

static int
take_header(struct sn_answer *a, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *value;
	size_t name_len, n;

	if (colon == NULL || colon == line)
		return refuse(a, -EPROTO, "a header line without a name");
	name_len = (size_t)(colon - line);
	value = colon + 1;
	n = len - name_len - 1;
	while (n > 0 && (*value == ' ' || *value == '\t')) {
		value++;
		n--;
	}
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	if (is_name(line, name_len, "Content-Length"))
		return take_length(a, value, n);
	if (is_name(line, name_len, "Transfer-Encoding") && !is_name(value, n, "identity"))
		return refuse(a, -EPROTO, "Transfer-Encoding was not asked for (HTTP/1.0) and is not understood");
	if (is_name(line, name_len, "Content-Encoding") && !is_name(value, n, "identity"))
		return refuse(a, -EPROTO, "Content-Encoding was not asked for and is not understood");
	if (is_name(line, name_len, "X-Go-Pprof"))
		a->is_pprof_error = true;
	if (is_name(line, name_len, "Content-Type")) {
		const char *end = memchr(value, ';', n);

		copy_harmless(a->type, sizeof(a->type), value, end != NULL ? (size_t)(end - value) : n);
		for (char *p = a->type; *p != '\0'; p++)
			*p = *p == ' ' ? '\0' : (char)tolower((unsigned char)*p);
	}
	return 0;
}

/* The whole head has come. */
static int
take_head(struct sn_answer *a)
{
	const char *at = (const char *)a->head.data;
	size_t left = a->head.len;
	int err = 0;

	if (memchr(at, '\0', left) != NULL)
		return refuse(a, -EPROTO, "a NUL byte in the head of the answer");
	for (int i = 0; err == 0 && left > 0; i++) {
		const char *end = memchr(at, '\n', left);
		size_t whole = end != NULL ? (size_t)(end - at) + 1 : left;
		size_t n = end != NULL ? whole - 1 : whole;

		if (n > 0 && at[n - 1] == '\r')
			n--;
		if (i == 0)
			err = take_status_line(a, at, n);
		else if (n > 0)
			err = take_header(a, at, n);
		at += whole;
		left -= whole;
	}
	a->has_head = err == 0;
	return err;
}

/* Where the body begins in the head's buffer, or 0.  from: what was looked at before. */
static size_t
end_of_head(const struct sn_buf *b, size_t from)
{
	const uint8_t *d = b->data;

	for (size_t i = from > 3 ? from - 3 : 0; i + 1 < b->len; i++) {
		if (d[i] != '\n')
			continue;
		if (d[i + 1] == '\n')
			return i + 2;
		if (d[i + 1] == '\r' && i + 2 < b->len && d[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

/* Something that is no HTTP is told at once, not after the timeout. */
static int
check_beginning(struct sn_answer *a)
{
	static const char begin[] = "HTTP/1.";
	size_t n = a->head.len < sizeof(begin) - 1 ? a->head.len : sizeof(begin) - 1;

	return memcmp(a->head.data, begin, n) == 0 ? 0 :
	    take_status_line(a, (const char *)a->head.data, strcspn((const char *)a->head.data, "\r\n"));
}

/* ---- the body ---- */

static int
take_body(struct sn_answer *a, const void *data, size_t len)
{
	if (a->has_length && len > a->length - a->body.len)
		return refuse(a, -EPROTO, "more than the %llu bytes that Content-Length says",
			(unsigned long long)a->length);
	if (len > a->body_max - a->body.len)
		return refuse(a, -EFBIG, "more than %zu bytes", a->body_max);
	sn_buf_put(&a->body, data, len);
	if (a->body.err < 0)
		return refuse(a, a->body.err, "out of memory after %zu bytes", a->body.len);
	a->done = a->has_length && a->body.len == a->length;
	return a->done;
}

int
sn_answer_feed(struct sn_answer *a, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t before = a->head.len, end, take;
	int err;

	if (len == 0)
		return a->done;
	if (a->has_head)
		return take_body(a, data, len);
	take = len < SN_ANSWER_HEAD_MAX - before ? len : SN_ANSWER_HEAD_MAX - before;
	sn_buf_put(&a->head, bytes, take);
	sn_buf_put(&a->head, "", 1);		/* for strcspn; not counted */
	if (a->head.err < 0)
		return refuse(a, a->head.err, "out of memory");
	a->head.len--;
	err = check_beginning(a);
	if (err < 0)
		return err;
	end = end_of_head(&a->head, before);
	if (end == 0)
		return a->head.len < SN_ANSWER_HEAD_MAX ? 0 :
		    refuse(a, -EFBIG, "the head of the answer is longer than %u bytes", SN_ANSWER_HEAD_MAX);
	a->head.len = end;
	err = take_head(a);
	return err < 0 ? err : take_body(a, bytes + (end - before), len - (end - before));
}

int
sn_answer_end(struct sn_answer *a)
{
	if (a->why[0] != '\0')
		return -EPROTO;
	if (a->head.len == 0)
		return refuse(a, -EPROTO, "the server closed the connection without an answer");
	if (!a->has_head)
		return refuse(a, -EPROTO, "the server closed the connection after %zu bytes of the head", a->head.len);
	if (a->has_length && a->body.len < a->length)
		return refuse(a, -EPROTO, "the server closed the connection after %zu of %llu bytes", a->body.len,
			(unsigned long long)a->length);
	a->done = true;
	return 0;
}

void
sn_answer_line(const struct sn_answer *a, char *out, size_t size)
{
	const char *text = (const char *)a->body.data;
	size_t n = 0;

	if (a->is_pprof_error || strncmp(a->type, "text/plain", 10) == 0)
		while (n < a->body.len && text[n] != '\n' && text[n] != '\r')
			n++;
	copy_harmless(out, size, text, n);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * tokens.c - SONDE_TOKEN_FILE: who may ask over TCP.
 *
 * Runs in:  collector.
 * Memory:   each token in a block of one size, padded, so that a comparison takes the same time for all; wiped when
 *           freed.
 * When full: more than TOKENS_MAX tokens or FILE_MAX bytes are refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "deliver/http.h"

#define TOKENS_MAX	256
#define FILE_MAX	(256u << 10)

static int
add(struct sn_tokens *t, const char *text, size_t len)
{
	char **more = realloc(t->token, (t->count + 1) * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	t->token = more;
	more[t->count] = calloc(1, SN_TOKEN_MAX + 1);
	if (more[t->count] == NULL)
		return -ENOMEM;
	memcpy(more[t->count++], text, len);
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One line: 1 a token was added, 0 nothing in it, -errno. */
static int
read_line(struct sn_tokens *t, const char *line, size_t len)
{
	int err;

	while (len > 0 && is_blank(line[len - 1]))
		len--;
	for (; len > 0 && is_blank(*line); len--)
		line++;
	if (len == 0 || *line == '#')
		return 0;
	if (len < SN_TOKEN_MIN || len > SN_TOKEN_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (line[i] < '!' || line[i] > '~')
			return -EINVAL;
	err = t->count < TOKENS_MAX ? add(t, line, len) : -E2BIG;
	return err < 0 ? err : 1;
}

/* Frees what there is of t. */
static int
refuse(struct sn_tokens *t, int err, char *why, size_t why_size, const char *wrong)
{
	sn_tokens_free(t);
	(void)snprintf(why, why_size, "%s", wrong);
	return err;
}

int
sn_tokens_parse(const char *data, size_t len, struct sn_tokens *t, char *why, size_t why_size)
{
	const char *end = len > 0 ? data + len : data;
	int number = 0, err = 0;
	char wrong[96];

	memset(t, 0, sizeof(*t));
	for (const char *line = data; line < end && err >= 0; number++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((stop != NULL ? stop : end) - line);

		err = read_line(t, line, n);
		line += stop != NULL ? n + 1 : n;
	}
	if (err == -EINVAL) {		/* never the token itself: it may have been meant as one */
		(void)snprintf(wrong, sizeof(wrong), "line %d is no token: %d to %d visible characters, no blanks",
			number, SN_TOKEN_MIN, SN_TOKEN_MAX);
		return refuse(t, err, why, why_size, wrong);
	}
	if (err < 0)
		return refuse(t, err, why, why_size, strerror(-err));
	if (t->count == 0)
		return refuse(t, -EINVAL, why, why_size, "it holds no token; write one of 8 to 512 characters a line");
	return 0;
}

/* Nobody else may have been able to read or write it. */
static const char *
wrong_with(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "it belongs to another user";
	if ((st->st_mode & 077) != 0)
		return "others can read it; chmod 600 helps";
	return NULL;
}

int
sn_tokens_read(const char *path, struct sn_tokens *t, char *why, size_t why_size)
{
	struct sn_buf text = { 0 };
	const char *wrong;
	struct stat st;
	int fd, err;

	memset(t, 0, sizeof(*t));
	if (strcmp(path, "none") == 0) {
		t->is_open = true;
		return 0;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		if (fd >= 0)
			(void)close(fd);
		return refuse(t, err, why, why_size, strerror(-err));
	}
	wrong = wrong_with(&st);
	if (wrong != NULL) {
		err = refuse(t, -EACCES, why, why_size, wrong);
	} else {
		err = sn_buf_read_fd(&text, fd, FILE_MAX);
		if (err < 0)
			(void)refuse(t, err, why, why_size, strerror(-err));
		else
			err = sn_tokens_parse((const char *)text.data, text.len, t, why, why_size);
	}
	(void)close(fd);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	sn_buf_free(&text);
	return err;
}

int
sn_tokens_copy(struct sn_tokens *to, const struct sn_tokens *from)
{
	int err = 0;

	memset(to, 0, sizeof(*to));
	to->is_open = from->is_open;
	for (size_t i = 0; i < from->count && err == 0; i++)
		err = add(to, from->token[i], strnlen(from->token[i], SN_TOKEN_MAX));
	if (err < 0)
		sn_tokens_free(to);
	return err;
}

bool
sn_tokens_admit(const struct sn_tokens *t, const char *authorization)
{
	char given[SN_TOKEN_MAX + 1] = { 0 };
	unsigned int found = 0;
	size_t len;

	if (t->is_open)
		return true;
	if (strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	authorization += 7;
	authorization += strspn(authorization, " ");
	len = strlen(authorization);
	if (len < SN_TOKEN_MIN || len > SN_TOKEN_MAX)
		return false;
	memcpy(given, authorization, len);
	for (size_t i = 0; i < t->count; i++) {
		const volatile char *token = t->token[i];	/* all of it, of each: no early end */
		unsigned int differs = 0;

		for (size_t k = 0; k < sizeof(given); k++)
			differs |= (unsigned int)(unsigned char)(token[k] ^ given[k]);
		found |= differs == 0;
	}
	explicit_bzero(given, sizeof(given));
	return found != 0;
}

void
sn_tokens_free(struct sn_tokens *t)
{
	for (size_t i = 0; i < t->count; i++) {
		explicit_bzero(t->token[i], SN_TOKEN_MAX + 1);
		free(t->token[i]);
	}
	free(t->token);
	memset(t, 0, sizeof(*t));
}

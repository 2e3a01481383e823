/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_ps.c - sonde ps: the programs that are being profiled, by their Unix sockets.
 *
 * Runs in:  the sonde command.
 * Memory:   a row a process, at most 64 KiB an answer.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "deliver/socket.h"
#include "deliver/status.h"
#include "tools/client.h"
#include "tools/tools.h"

#define ANSWER_MS	2000
#define ANSWER_MAX	(64u << 10)

enum column { PID, PROGRAM, KINDS, RATE, LOST, SOCKET, ADDRESS, COLUMNS };
static const char *const titles[COLUMNS] = { "PID", "PROGRAM", "KINDS", "RATE", "LOST", "SOCKET", "ADDRESS" };

struct row {
	char *cell[COLUMNS];
};

struct ps {
	struct sn_buf rows;	/* struct row each */
	bool out_of_memory;
};

static const char usage[] =
	"usage: sonde ps [PID …]\n\n"
	"List the programs that are being profiled, or those of the given pids: pid, program, kinds of profile,\n"
	"samples per second of CPU time (and the rate in effect, if it is another), samples lost, Unix socket,\n"
	"TCP address.\n\n"
	"Exit status: 0, 1 none was found or one of the pids is not profiled, 2 usage.\n";

static const char *
or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

static char *
rate_cell(const struct sn_status *st)
{
	const char *hz = st->value[SN_STATUS_hz], *effective = st->value[SN_STATUS_hz_effective];
	char *text = NULL;

	if (strcmp(st->value[SN_STATUS_mode], "idle") == 0)
		return strdup("idle");
	if (effective[0] == '\0' || strcmp(hz, effective) == 0)
		return strdup(or_dash(hz));
	return asprintf(&text, "%s (%s)", or_dash(hz), effective) < 0 ? NULL : text;
}

static char *
lost_cell(const struct sn_status *st)
{
	const char *lost = st->value[SN_STATUS_lost], *samples = st->value[SN_STATUS_samples];
	unsigned long long l = strtoull(lost, NULL, 10), s = strtoull(samples, NULL, 10);
	char *text = NULL;

	if (l == 0 || s == 0)
		return strdup(or_dash(lost));
	return asprintf(&text, "%llu (%.2f%%)", l, 100.0 * (double)l / ((double)l + (double)s)) < 0 ? NULL : text;
}

/* A name that the other process chose, on its way to a terminal. */
static char *
harmless(const char *text)
{
	char *copy = strdup(text);

	for (char *p = copy; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
			*p = '?';
	return copy;
}

static char *
number(long n)
{
	char *text = NULL;

	return asprintf(&text, "%ld", n) < 0 ? NULL : text;
}

static void
add_row(struct ps *ps, struct row *row)
{
	for (int i = 0; i < COLUMNS; i++)
		ps->out_of_memory |= row->cell[i] == NULL;
	sn_buf_put(&ps->rows, row, sizeof(*row));
	ps->out_of_memory |= ps->rows.err < 0;
}

/* What its server says; why, if it says nothing useful. */
static int
ask(const char *socket, struct sn_status *st, char *why, size_t why_size)
{
	struct sn_get get = {
		.socket = socket, .path = "/debug/sonde/status", .idle_ms = ANSWER_MS, .total_ms = ANSWER_MS,
		.body_max = ANSWER_MAX,
	};
	struct sn_answer a;
	int err = sn_client_get(&get, &a);

	if (err == -ETIMEDOUT)
		(void)snprintf(why, why_size, "does not answer within %d s", ANSWER_MS / 1000);
	else if (err < 0)
		(void)snprintf(why, why_size, "%s", a.why);
	else if (a.status != 200) {
		(void)snprintf(why, why_size, "answers %d %s", a.status, a.reason);
		err = -EPROTO;
	} else if (sn_status_parse(a.body.data, a.body.len, st) == 0) {
		(void)snprintf(why, why_size, "answers no status");
		err = -EPROTO;
	}
	sn_answer_free(&a);
	return err;
}

static int
on_found(void *ctx, const struct sn_socket_found *f)
{
	struct ps *ps = ctx;
	struct row row = { { NULL } };
	struct sn_status st = { 0 };
	char why[200] = "";
	int err = ask(f->path, &st, why, sizeof(why));

	row.cell[PID] = number(f->pid);
	row.cell[PROGRAM] = strdup(or_dash(st.value[SN_STATUS_program]));
	row.cell[KINDS] = strdup(or_dash(st.value[SN_STATUS_kinds]));
	row.cell[RATE] = rate_cell(&st);
	row.cell[LOST] = lost_cell(&st);
	row.cell[SOCKET] = harmless(f->path);
	row.cell[ADDRESS] = strdup(err < 0 ? why : or_dash(st.value[SN_STATUS_http]));
	add_row(ps, &row);
	return ps->out_of_memory;
}

static void
print(const struct ps *ps)
{
	const struct row *row = (const struct row *)ps->rows.data;
	size_t n = ps->rows.len / sizeof(*row);
	int width[COLUMNS];

	for (int c = 0; c < COLUMNS; c++) {
		width[c] = (int)strlen(titles[c]);
		for (size_t i = 0; i < n; i++)
			if ((int)strlen(row[i].cell[c]) > width[c])
				width[c] = (int)strlen(row[i].cell[c]);
	}
	width[ADDRESS] = 0;
	for (int c = 0; c < COLUMNS; c++)
		(void)printf(c == PID ? "%*s" : "  %-*s", width[c], titles[c]);
	(void)printf("\n");
	for (size_t i = 0; i < n; i++) {
		for (int c = 0; c < COLUMNS; c++)
			(void)printf(c == PID ? "%*s" : "  %-*s", width[c], row[i].cell[c]);
		(void)printf("\n");
	}
}

static void
free_rows(struct ps *ps)
{
	struct row *row = (struct row *)ps->rows.data;

	for (size_t i = 0; i < ps->rows.len / sizeof(*row); i++)
		for (int c = 0; c < COLUMNS; c++)
			free(row[i].cell[c]);
	sn_buf_free(&ps->rows);
}

/* 0 found, 1 not. */
static int
find(struct ps *ps, pid_t pid)
{
	int n = sn_socket_find(pid, on_found, ps);

	if (n > 0)
		return 0;
	if (pid == 0 && n == 0)
		sn_log(SN_LOG_STDERR, "no program that you may see is being profiled; start one with: "
			"sonde run -- PROGRAM");
	else if (n == 0)
		sn_log(SN_LOG_STDERR, "process %d is not profiled, or runs with SONDE_SOCKET=off", (int)pid);
	else if (n == -ESRCH)
		sn_log(SN_LOG_STDERR, "there is no process %d", (int)pid);
	else if (n == -EACCES)
		sn_log(SN_LOG_STDERR, "process %d is another user's: ask as that user or as root", (int)pid);
	else
		sn_log(SN_LOG_STDERR, "cannot look for sockets: %s", strerror(-n));
	return SN_EXIT_FAILED;
}

static pid_t
pid_of(const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno != 0 || *end != '\0' || pid < 1 || pid > INT_MAX)
		return 0;
	return (pid_t)pid;
}

int
cmd_ps(int argc, char **argv)
{
	struct ps ps = { 0 };
	int status = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			(void)fputs(usage, stdout);
			return 0;
		}
		if (pid_of(argv[i]) == 0) {
			sn_log(SN_LOG_STDERR, "%.100s is no process id; see sonde ps --help", argv[i]);
			return SN_EXIT_USAGE;
		}
	}
	if (argc == 1)
		status = find(&ps, 0);
	for (int i = 1; i < argc; i++)
		status |= find(&ps, pid_of(argv[i]));
	if (ps.out_of_memory) {
		sn_log(SN_LOG_STDERR, "out of memory");
		status = SN_EXIT_FAILED;
	} else if (ps.rows.len > 0) {
		print(&ps);
	}
	free_rows(&ps);
	return fflush(stdout) == 0 ? status : SN_EXIT_FAILED;
}

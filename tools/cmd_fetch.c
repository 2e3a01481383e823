/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_fetch.c - sonde fetch: ask a running program for a profile, over its Unix socket or over HTTP.
 *
 * Runs in:  the sonde command.
 * Memory:   one answer, at most 1 GiB.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "deliver/file.h"
#include "deliver/socket.h"
#include "tools/client.h"
#include "tools/tools.h"

#define DEFAULT_SECONDS	30		/* as net/http/pprof has it */
#define SECONDS_MAX	86400
#define LAST_MAX	3600
#define SLACK_S		60
#define TOKEN_MAX	4096
#define DEFAULT_FILE	"sonde.%e.%p.%k.pb.gz"

struct fetch {
	const char *target, *kind, *output, *token_file;
	unsigned seconds, last;
	bool is_text;			/* the kind is: to stdout by default */
	bool takes_time;		/* … for so many seconds */

	pid_t pid;
	struct sn_url url;
	bool is_url;
	struct sn_socket_found found;
	char path[sizeof(((struct sn_url *)NULL)->path) + 128];
	char token[TOKEN_MAX];
	char exe[256];			/* %e */
	char file[PATH_MAX];
};

static const char usage[] =
	"usage: sonde fetch [OPTION …] PID|URL [KIND]\n\n"
	"Ask a running program that is profiled for a profile and write it to a file.\n"
	"PID is found by its Unix socket; URL is http://HOST:PORT[/path].  KIND is profile (or cpu), cmdline, index,\n"
	"symbol, status, or any other that the server has; profile if none is given.\n\n"
	"      --seconds N       sample for so long from now, 1 to 86400 (30)\n"
	"      --last N          the last N seconds that the program has kept, 1 to 3600\n"
	"  -o, --output FILE     where it goes; %e %p %t %k stand for names as in sonde run, - is stdout\n"
	"                        (sonde.%e.%p.%k.pb.gz, text to stdout)\n"
	"      --token-file FILE the bearer token to show, its first line\n"
	"  -h, --help\n\n"
	"Exit status: 0, 1 it could not be had, 2 usage.\n";

/* ---- the command line ---- */

static int
take_number(const char *name, const char *value, unsigned most, unsigned *out)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || !isdigit((unsigned char)*value) || n < 1 || n > (long)most) {
		sn_log(SN_LOG_STDERR, "%s %.40s is not allowed: it must be 1 to %u seconds", name, value, most);
		return -EINVAL;
	}
	*out = (unsigned)n;
	return 0;
}

static int
take_option(struct fetch *f, const char *name, const char *value)
{
	if (strcmp(name, "--seconds") == 0)
		return take_number(name, value, SECONDS_MAX, &f->seconds);
	if (strcmp(name, "--last") == 0)
		return take_number(name, value, LAST_MAX, &f->last);
	if (strcmp(name, "--token-file") == 0)
		f->token_file = value;
	else if (strcmp(name, "--output") == 0)
		f->output = value;
	else {
		sn_log(SN_LOG_STDERR, "unknown option %.100s; see sonde fetch --help", name);
		return -EINVAL;
	}
	return 0;
}

/* --name VALUE, --name=VALUE, -o VALUE, -oVALUE.  How many arguments it took, or -EINVAL. */
static int
parse_option(struct fetch *f, int argc, char **argv)
{
	const char *arg = argv[0], *value = NULL;
	char name[32] = "--output";
	int took = 1;

	if (arg[1] == '-') {
		size_t n = strcspn(arg, "=");

		(void)snprintf(name, sizeof(name), "%.*s", (int)(n < 31 ? n : 31), arg);
		if (arg[n] == '=')
			value = arg + n + 1;
	} else if (arg[1] != 'o') {
		(void)snprintf(name, sizeof(name), "%.30s", arg);
		value = "";
	} else if (arg[2] != '\0') {
		value = arg + 2;
	}
	if (value == NULL && argc > 1) {
		value = argv[1];
		took = 2;
	}
	if (value == NULL) {
		sn_log(SN_LOG_STDERR, "%s needs a value; see sonde fetch --help", name);
		return -EINVAL;
	}
	return take_option(f, name, value) < 0 ? -EINVAL : took;
}

static int
take_word(struct fetch *f, const char *word)
{
	if (f->target == NULL)
		f->target = word;
	else if (f->kind == NULL)
		f->kind = word;
	else {
		sn_log(SN_LOG_STDERR, "%.100s is one word too many; see sonde fetch --help", word);
		return -EINVAL;
	}
	return 0;
}

static int
parse(struct fetch *f, int argc, char **argv)
{
	bool options = true;
	int err = 0;

	for (int i = 1; i < argc && err >= 0;) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
			i++;
		} else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
			err = parse_option(f, argc - i, argv + i);
			i += err;
		} else {
			err = take_word(f, argv[i++]);
		}
	}
	if (err >= 0 && f->target == NULL) {
		sn_log(SN_LOG_STDERR, "of which process? usage: sonde fetch [OPTION …] PID|URL [KIND]");
		err = -EINVAL;
	}
	if (err >= 0 && f->seconds != 0 && f->last != 0) {
		sn_log(SN_LOG_STDERR, "--seconds is from now on and --last is the past: only one of them");
		err = -EINVAL;
	}
	return err < 0 ? -EINVAL : 0;
}

static int
check_kind(struct fetch *f)
{
	static const char *const texts[] = { "cmdline", "index", "symbol", "status" };

	if (f->kind == NULL || strcmp(f->kind, "cpu") == 0)
		f->kind = "profile";
	if (*f->kind == '\0' || strspn(f->kind, "abcdefghijklmnopqrstuvwxyz_") != strlen(f->kind) ||
	    strlen(f->kind) > 64) {
		sn_log(SN_LOG_STDERR, "kind %.64s is not allowed: it must be a name such as profile", f->kind);
		return -EINVAL;
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		f->is_text |= strcmp(f->kind, texts[i]) == 0;
	f->takes_time = strcmp(f->kind, "profile") == 0;
	if (f->is_text && (f->seconds != 0 || f->last != 0)) {
		sn_log(SN_LOG_STDERR, "%s is told at once: it takes neither --seconds nor --last", f->kind);
		return -EINVAL;
	}
	return 0;
}

static int
check_target(struct fetch *f)
{
	char why[160], *end;
	long pid;

	errno = 0;
	pid = strtol(f->target, &end, 10);
	if (isdigit((unsigned char)f->target[0]) && *end == '\0') {
		if (errno != 0 || pid < 1 || pid > INT_MAX) {
			sn_log(SN_LOG_STDERR, "%.40s is no process id", f->target);
			return -EINVAL;
		}
		f->pid = (pid_t)pid;
		return 0;
	}
	f->is_url = true;
	if (sn_url_parse(f->target, &f->url, why, sizeof(why)) < 0) {
		sn_log(SN_LOG_STDERR, "%.200s: %s", f->target, why);
		return -EINVAL;
	}
	return 0;
}

/* ---- what is asked ---- */

/* A path of its own is asked as it is; otherwise the kind below /debug/pprof/. */
static bool
has_own_path(const struct fetch *f)
{
	static const char *const bare[] = { "", "/", "/debug/pprof", "/debug/pprof/" };

	for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++)
		if (strcmp(f->url.path, bare[i]) == 0)
			return false;
	return f->is_url;
}

static void
make_path(struct fetch *f)
{
	bool is_own = has_own_path(f);
	char span[32] = "";

	if (is_own)
		(void)snprintf(f->path, sizeof(f->path), "%s", f->url.path);
	else if (strcmp(f->kind, "status") == 0)
		(void)snprintf(f->path, sizeof(f->path), "/debug/sonde/status");
	else
		(void)snprintf(f->path, sizeof(f->path), "/debug/pprof/%s",
			strcmp(f->kind, "index") == 0 ? "" : f->kind);
	if (f->last != 0)
		(void)snprintf(span, sizeof(span), "last=%u", f->last);
	else if (f->seconds != 0)
		(void)snprintf(span, sizeof(span), "seconds=%u", f->seconds);
	else if (f->takes_time && !is_own)
		(void)snprintf(span, sizeof(span), "seconds=%u", f->seconds = DEFAULT_SECONDS);
	if (span[0] != '\0') {
		size_t n = strlen(f->path);

		(void)snprintf(f->path + n, sizeof(f->path) - n, "%c%s", strchr(f->path, '?') != NULL ? '&' : '?',
			span);
	}
}

/* How long the answer may take to come: the seconds in the query, wherever they are from. */
static unsigned
seconds_asked(const struct fetch *f)
{
	const char *at = strchr(f->path, '?');
	unsigned long n = 0;

	at = at == NULL ? NULL : strstr(at, "seconds=");
	if (at != NULL)
		n = strtoul(at + strlen("seconds="), NULL, 10);
	else if (has_own_path(f))
		n = DEFAULT_SECONDS;
	return n > SECONDS_MAX ? SECONDS_MAX : (unsigned)n;
}

static int
keep_first(void *ctx, const struct sn_socket_found *found)
{
	*(struct sn_socket_found *)ctx = *found;
	return 1;
}

/* The name of the executable, or what the process calls itself. */
static void
name_process(struct fetch *f)
{
	char link[64], path[PATH_MAX];
	ssize_t n;
	char *end;

	(void)snprintf(link, sizeof(link), "/proc/%d/exe", (int)f->pid);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	end = strstr(path, " (deleted)");
	if (end != NULL)
		*end = '\0';
	end = strrchr(path, '/');
	(void)snprintf(f->exe, sizeof(f->exe), "%.200s", end != NULL && end[1] != '\0' ? end + 1 : "process");
}

static int
find_process(struct fetch *f)
{
	int n = sn_socket_find(f->pid, keep_first, &f->found);

	if (n > 0) {
		name_process(f);
		return 0;
	}
	if (n == -ESRCH)
		sn_log(SN_LOG_STDERR, "there is no process %d", (int)f->pid);
	else if (n == -EACCES || n == -EPERM)
		sn_log(SN_LOG_STDERR, "process %d is another user's: ask as that user or as root", (int)f->pid);
	else if (n < 0)
		sn_log(SN_LOG_STDERR, "process %d: %s", (int)f->pid, strerror(-n));
	else
		sn_log(SN_LOG_STDERR, "process %d is not profiled, or runs with SONDE_SOCKET=off; start it with: "
			"sonde run -- PROGRAM", (int)f->pid);
	return -ENOENT;
}

static int
read_token(struct fetch *f)
{
	struct sn_buf b = { 0 };
	size_t n = 0;
	int err = sn_buf_read_path(&b, f->token_file, TOKEN_MAX - 1);

	while (err == 0 && n < b.len && b.data[n] > ' ' && b.data[n] < 0x7f)
		n++;
	if (err == 0 && (n == 0 || (n < b.len && b.data[n] != '\n' && b.data[n] != '\r')))
		err = -EINVAL;
	if (err == 0)
		memcpy(f->token, b.data, n);
	sn_buf_free(&b);
	if (err < 0)
		sn_log(SN_LOG_STDERR, "token file %.200s: %s", f->token_file, err == -EINVAL ?
			"its first line is no token (printable, without blanks)" : strerror(-err));
	return err;
}

/* ---- where it goes ---- */

/* SIGINT while a file is made would leave its temporary name behind. */
static int
without_signals(int (*fn)(const struct fetch *f, const struct sn_buf *b), const struct fetch *f, const struct sn_buf *b)
{
	static const int enders[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set, was;
	int err;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(enders) / sizeof(enders[0]); i++)
		(void)sigaddset(&set, enders[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &was);
	err = fn(f, b);
	(void)sigprocmask(SIG_SETMASK, &was, NULL);
	return err;
}

static int
check_file(const struct fetch *f, const struct sn_buf *b)
{
	(void)b;
	return sn_file_check(f->file);
}

static int
write_file(const struct fetch *f, const struct sn_buf *b)
{
	return sn_file_write(f->file, b->data, b->len);
}

/* Before a minute is spent on what cannot be written.  f->file is "" for stdout. */
static int
check_output(struct fetch *f)
{
	struct sn_file_words words = {
		.pid = f->is_url ? (pid_t)atoi(f->url.port) : f->pid,
		.exe = f->is_url ? f->url.host : f->exe, .start_s = (int64_t)time(NULL), .kind = f->kind,
	};
	const char *pattern = f->output != NULL ? f->output : f->is_text ? "-" : DEFAULT_FILE;
	int err;

	if (strcmp(pattern, "-") == 0) {
		if (f->is_text || !isatty(STDOUT_FILENO))
			return 0;
		sn_log(SN_LOG_STDERR, "a profile is not written to a terminal; give -o FILE or redirect it");
		return -EINVAL;
	}
	err = sn_file_name(pattern, &words, f->file, sizeof(f->file));
	if (err == -EINVAL)
		sn_log(SN_LOG_STDERR, "output %.200s is not allowed: after %% comes one of p e t k %%", pattern);
	if (err == 0) {
		err = without_signals(check_file, f, NULL);
		if (err < 0)
			sn_log(SN_LOG_STDERR, "cannot write output %.300s: %s", f->file, err == -EINVAL ?
				"it is no file" : strerror(-err));
	}
	return err;
}

static int
write_stdout(const struct sn_buf *b)
{
	if (b->len > 0 && fwrite(b->data, 1, b->len, stdout) != b->len)
		return errno != 0 ? -errno : -EIO;
	return fflush(stdout) == 0 ? 0 : -errno;
}

static int
deliver(struct fetch *f, const struct sn_answer *a)
{
	/* A server may answer in text what was asked as a profile: ?debug=1. */
	bool to_stdout = f->file[0] == '\0' || (f->output == NULL && strncmp(a->type, "text/", 5) == 0);
	unsigned seconds = f->last != 0 ? f->last : f->seconds;
	int err = to_stdout ? write_stdout(&a->body) : without_signals(write_file, f, &a->body);
	char span[48] = "";

	if (err < 0) {
		sn_log(SN_LOG_STDERR, "cannot write %.300s: %s", to_stdout ? "to stdout" : f->file, strerror(-err));
		return err;
	}
	if (seconds != 0)
		(void)snprintf(span, sizeof(span), f->last != 0 ? ", the last %u s" : ", %u s", seconds);
	if (!to_stdout && isatty(STDERR_FILENO))	/* as sonde run: for people only */
		sn_log(SN_LOG_STDERR, "%zu bytes%s; %.300s; go tool pprof -http=: %.300s", a->body.len, span, f->file,
			f->file);
	return 0;
}

/* The server's own words, if it has some. */
static void
tell_refusal(const struct fetch *f, const struct sn_answer *a)
{
	char line[200];

	sn_answer_line(a, line, sizeof(line));
	if (a->status >= 300 && a->status < 400)
		(void)snprintf(line, sizeof(line), "it leads elsewhere, which is not followed");
	else if (a->status == 401 || (a->status == 403 && f->token_file == NULL && line[0] == '\0'))
		(void)snprintf(line, sizeof(line), "it wants a token; give --token-file FILE");
	sn_log(SN_LOG_STDERR, "%.200s: %d %s%s%s", f->target, a->status, a->reason, line[0] != '\0' ? ": " : "", line);
}

static int
fetch(struct fetch *f)
{
	struct sn_get get = {
		.socket = f->is_url ? NULL : f->found.path, .url = &f->url, .path = f->path,
		.token = f->token[0] != '\0' ? f->token : NULL, .body_max = SN_ANSWER_BODY_MAX,
		.idle_ms = (seconds_asked(f) + SLACK_S) * 1000,
	};
	struct sn_answer a;
	int err = sn_client_get(&get, &a);

	if (err < 0)
		sn_log(SN_LOG_STDERR, "%.200s: %s", f->target, a.why);
	else if (a.status != 200) {
		tell_refusal(f, &a);
		err = -EPROTO;
	} else {
		err = deliver(f, &a);
	}
	sn_answer_free(&a);
	return err;
}

int
cmd_fetch(int argc, char **argv)
{
	struct fetch *f;
	int status = SN_EXIT_FAILED;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			(void)fputs(usage, stdout);
			return 0;
		}
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return SN_EXIT_FAILED;
	if (parse(f, argc, argv) < 0 || check_kind(f) < 0 || check_target(f) < 0)
		status = SN_EXIT_USAGE;
	else if ((f->token_file == NULL || read_token(f) == 0) && (f->is_url || find_process(f) == 0)) {
		make_path(f);
		if (check_output(f) == 0 && fetch(f) == 0)
			status = 0;
	}
	free(f);
	return status;
}

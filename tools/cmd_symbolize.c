/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_symbolize.c - sonde symbolize: fill names and lines into a profile.
 *
 * Runs in:  a process of its own, also as a child of the collector inside a program, on two pipes: nothing but
 *           the profile is read from fd 0 and written to fd 1, and fd 2 gets a line only when it fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/options.h"
#include "deliver/file.h"
#include "encode/pprof_read.h"
#include "encode/pprof_symbolize.h"
#include "tools/tools.h"

#define CPU_SECONDS_MAX	86400

struct symbolize {
	const char *input;		/* "-": standard input */
	const char *output;		/* NULL: standard output */
	pid_t pid;
	struct sn_options options;	/* symbolize and memory are used */
	long cpu_seconds;
	bool has_memory, wants_help;
};

static void
print_help(void)
{
	(void)printf("usage: sonde symbolize [OPTION …] [PROFILE|-]\n\n"
		"Fill functions, files, lines and inlined calls into a pprof profile that has addresses alone.\n\n"
		"      --pid PID            find files as this process does\n"
		"  -o, --output FILE        write there, not to standard output\n"
		"      --symbolize HOW      functions or lines (lines)\n"
		"      --memory SIZE        bound on the address space\n"
		"      --cpu-seconds N      bound on the CPU time\n"
		"\nExit status: 0; 1 not a profile; 2 usage; 125 cannot read or write, or out of memory.\n");
}

/* A decimal number from 1 to max; -1 when it is none. */
static long
number(const char *text, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	return errno != 0 || end == text || *end != '\0' || n < 1 || n > max ? -1 : n;
}

static int
set_by_table(struct symbolize *s, const char *flag, const char *text)
{
	struct sn_complaint why;
	char name[32];

	(void)snprintf(name, sizeof(name), "--%s", flag);
	if (sn_option_set(&s->options, sn_option_by_flag(flag, strlen(flag)), name, text, &why) == 0)
		return 0;
	sn_log(SN_LOG_STDERR, "%s", why.text);
	return SN_EXIT_USAGE;
}

static int
set_number(const char *flag, const char *text, long max, long *out)
{
	*out = number(text, max);
	if (*out >= 1)
		return 0;
	sn_log(SN_LOG_STDERR, "--%s=%.100s is not allowed: 1 to %ld", flag, text, max);
	return SN_EXIT_USAGE;
}

static int
set_flag(struct symbolize *s, int c)
{
	long n = 0;
	int status;

	switch (c) {
	case 'h':
		s->wants_help = true;
		return 0;
	case 'o':
		s->output = strcmp(optarg, "-") != 0 ? optarg : NULL;
		return 0;
	case 'p':
		status = set_number("pid", optarg, INT_MAX, &n);
		s->pid = (pid_t)n;
		return status;
	case 'c':
		return set_number("cpu-seconds", optarg, CPU_SECONDS_MAX, &s->cpu_seconds);
	case 'm':
		s->has_memory = true;
		return set_by_table(s, "memory", optarg);
	case 's':
		if (strcmp(optarg, "none") != 0)
			return set_by_table(s, "symbolize", optarg);
		sn_log(SN_LOG_STDERR, "--symbolize=none is not allowed: one of: functions lines");
		return SN_EXIT_USAGE;
	default:			/* told already */
		return SN_EXIT_USAGE;
	}
}

static int
parse_flags(struct symbolize *s, int argc, char **argv)
{
	static const struct option flags[] = {
		{ "pid", required_argument, NULL, 'p' }, { "output", required_argument, NULL, 'o' },
		{ "symbolize", required_argument, NULL, 's' }, { "memory", required_argument, NULL, 'm' },
		{ "cpu-seconds", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c, status = 0;

	opterr = 0;
	while (status == 0 && (c = getopt_long(argc, argv, ":o:h", flags, NULL)) >= 0) {
		if (c == '?' || c == ':')
			sn_log(SN_LOG_STDERR, "%.100s %s; see sonde symbolize --help", argv[optind - 1],
				c == ':' ? "needs a value" : "is no option");
		status = set_flag(s, c);
	}
	if (status == 0 && optind + 1 < argc) {
		sn_log(SN_LOG_STDERR, "one profile at a time; see sonde symbolize --help");
		status = SN_EXIT_USAGE;
	}
	if (optind < argc)
		s->input = argv[optind];
	return status;
}

static int
limit_self(const struct symbolize *s)
{
	struct rlimit core = { 0, 0 }, memory = { (rlim_t)s->options.memory, (rlim_t)s->options.memory };
	struct rlimit cpu = { (rlim_t)s->cpu_seconds, (rlim_t)s->cpu_seconds + 1 };

	(void)setrlimit(RLIMIT_CORE, &core);	/* a core of ours would hold the symbols of others */
	if ((s->has_memory && setrlimit(RLIMIT_AS, &memory) < 0) ||
	    (s->cpu_seconds > 0 && setrlimit(RLIMIT_CPU, &cpu) < 0))
		return -errno;
	return 0;
}

static int
read_input(const struct symbolize *s, struct sn_buf *in)
{
	int fd, err;

	if (strcmp(s->input, "-") == 0)
		return sn_buf_read_fd(in, STDIN_FILENO, SN_PPROF_BYTES_MAX);
	fd = open(s->input, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	err = sn_buf_read_fd(in, fd, SN_PPROF_BYTES_MAX);
	(void)close(fd);
	return err;
}

static int
write_output(const struct symbolize *s, const struct sn_buf *out)
{
	if (s->output != NULL)
		return sn_file_write(s->output, out->data, out->len);
	for (size_t at = 0; at < out->len;) {
		ssize_t n = write(STDOUT_FILENO, out->data + at, out->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	return 0;
}

static int
fail(const char *what, const char *name, int err)
{
	sn_log(SN_LOG_STDERR, "%s %.500s: %s", what, name, strerror(-err));
	return SN_EXIT_CANNOT;
}

static int
symbolize(const struct symbolize *s)
{
	const char *input = strcmp(s->input, "-") == 0 ? "standard input" : s->input;
	struct sn_buf in = { 0 }, out = { 0 };
	struct sn_pprof_filled filled;
	int err = limit_self(s), status = 0;

	if (err < 0)
		return fail("cannot set", "limits", err);
	err = read_input(s, &in);
	if (err < 0 && err != -EFBIG)
		status = fail("cannot read", input, err);
	if (err == 0)
		err = sn_pprof_symbolize(in.data, in.len, s->pid, (enum sn_symbolize)s->options.symbolize, &out,
			&filled);
	sn_buf_free(&in);
	if (status == 0 && (err == -EBADMSG || err == -EFBIG)) {
		sn_log(SN_LOG_STDERR, "%.500s is not a profile that can be read: %s", input,
			err == -EFBIG ? "larger than 256 MiB unpacked" : filled.why);
		status = 1;
	} else if (status == 0 && err < 0) {
		status = fail("cannot symbolize", input, err);
	}
	if (status == 0) {
		err = write_output(s, &out);
		if (err < 0)
			status = fail("cannot write", s->output != NULL ? s->output : "standard output", err);
	}
	sn_buf_free(&out);
	return status;
}

int
cmd_symbolize(int argc, char **argv)
{
	struct symbolize s = { .input = "-" };
	int status;

	sn_options_default(&s.options);
	status = parse_flags(&s, argc, argv);
	if (status != 0)
		return status;
	if (s.wants_help) {
		print_help();
		return 0;
	}
	if ((strcmp(s.input, "-") == 0 && isatty(STDIN_FILENO)) || (s.output == NULL && isatty(STDOUT_FILENO))) {
		sn_log(SN_LOG_STDERR, "a profile is not for terminals; usage: sonde symbolize [-o FILE] [PROFILE]");
		return SN_EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);		/* a line says so instead */
	return symbolize(&s);
}

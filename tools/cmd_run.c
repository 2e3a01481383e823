/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_run.c - sonde run: start a program with libsonde.so preloaded and be its parent.
 *
 * Runs in:  the sonde process.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/options.h"
#include "base/trial.h"
#include "deliver/file.h"
#include "service/service.h"
#include "tools/tools.h"

#define DEFAULT_FILE	"sonde.%e.%p.pb.gz"

static const int passed_on[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH };

struct run {
	struct sn_options options;
	char **argv;			/* the command */
	struct sn_program program;
	char library[PATH_MAX];		/* as LD_PRELOAD names it */
	char pattern[PATH_MAX];
	bool unprofiled;		/* a variable of the environment is bad: run it all the same */
};

static void
print_help(void)
{
	(void)printf("usage: sonde run [OPTION …] [--] PROGRAM [ARG …]\n\n"
		"Start PROGRAM, sample it and the programs that it starts, write pprof profiles.\n\n");
	for (size_t i = 0; i < sn_option_count; i++) {
		const struct sn_option *o = &sn_option_table[i];
		char left[80];

		if (o->flag[0] == '\0')
			continue;
		(void)snprintf(left, sizeof(left), "%c%c%s --%s %s", o->chr ? '-' : ' ', o->chr ? o->chr : ' ',
			o->chr ? "," : " ", o->flag, o->argument);
		(void)printf("  %-38s %s", left, o->help);
		if (o->def[0] != '\0')
			(void)printf(" (%s)", o->def);
		(void)printf("\n");
	}
	(void)printf("\nEach option is also a variable, SONDE_HZ for --hz; see sonde(7).\n"
		"Exit status: that of PROGRAM; 2 usage, 125 sonde cannot, 126 not executable, 127 not found.\n");
}

/* A flag of the command line; the variable is set too, for the programs that PROGRAM starts. */
static int
set_flag(struct run *r, const struct sn_option *row, const char *as_written, const char *value)
{
	struct sn_complaint why;

	if (sn_option_set(&r->options, row, as_written, value, &why) < 0) {
		sn_log(SN_LOG_STDERR, "%s", why.text);
		return -EINVAL;
	}
	return setenv(row->variable, value, 1) < 0 ? -errno : 0;
}

/*
 * One argument that begins with '-'.  How many arguments it took, 0 when it ends the flags ("--"),
 * negative when it is wrong.
 */
static int
parse_flag(struct run *r, int argc, char **argv)
{
	const char *arg = argv[0], *value = NULL;
	const struct sn_option *row;
	char name[64];
	int took = 1;

	if (strcmp(arg, "--") == 0)
		return 0;
	if (arg[1] == '-') {
		size_t n = strcspn(arg + 2, "=");

		row = sn_option_by_flag(arg + 2, n);
		(void)snprintf(name, sizeof(name), "--%.*s", (int)(n < 50 ? n : 50), arg + 2);
		if (arg[2 + n] == '=')
			value = arg + 3 + n;
	} else {
		row = sn_option_by_chr(arg[1]);
		(void)snprintf(name, sizeof(name), "-%c", arg[1]);
		if (arg[1] != '\0' && arg[2] != '\0')
			value = arg + 2;
	}
	if (row == NULL) {
		sn_log(SN_LOG_STDERR, "unknown option %.100s; see sonde run --help", arg);
		return -EINVAL;
	}
	if (value == NULL && argc > 1) {
		value = argv[1];
		took = 2;
	}
	if (value == NULL) {
		sn_log(SN_LOG_STDERR, "%s needs a value; see sonde run --help", name);
		return -EINVAL;
	}
	return set_flag(r, row, name, value) < 0 ? -EINVAL : took;
}

static int
parse_flags(struct run *r, int argc, char **argv)
{
	struct sn_complaint why;
	int i = 1;

	while (i < argc && argv[i][0] == '-') {
		int took = parse_flag(r, argc - i, argv + i);

		if (took < 0)
			return SN_EXIT_USAGE;
		i += took > 0 ? took : 1;
		if (took == 0)
			break;
	}
	if (i >= argc) {
		sn_log(SN_LOG_STDERR, "which program? usage: sonde run [OPTION …] [--] PROGRAM [ARG …]");
		return SN_EXIT_USAGE;
	}
	if (sn_options_check(&r->options, &why) < 0) {
		sn_log(SN_LOG_STDERR, "%s", why.text);
		return SN_EXIT_USAGE;
	}
	r->argv = argv + i;
	return 0;
}

static int
find_library(struct run *r)
{
	char path[PATH_MAX], why[PATH_MAX + 128];
	int err = sn_library_find(path, sizeof(path), why, sizeof(why));

	if (err < 0)
		sn_log(SN_LOG_STDERR, "%s", why);
	else
		sn_library_preload(path, r->library, sizeof(r->library));
	return err;
}

/* Where the profile will go: said before the program starts, if it can be known then. */
static int
check_output(struct run *r)
{
	const char *base = strrchr(r->program.path, '/');
	struct sn_file_words words = {
		.pid = getpid(), .exe = base != NULL ? base + 1 : r->program.path, .kind = "cpu",
	};
	const char *file = r->options.file != NULL ? r->options.file : DEFAULT_FILE;
	char path[PATH_MAX], cwd[PATH_MAX / 2];
	int err;

	if (strcmp(file, "-") == 0 || file[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		(void)snprintf(r->pattern, sizeof(r->pattern), "%.4000s", file);
	else			/* written long after somebody may have changed folder */
		(void)snprintf(r->pattern, sizeof(r->pattern), "%s/%.2000s", cwd, file);
	err = sn_file_name(r->pattern, &words, path, sizeof(path));
	if (err == -EINVAL) {
		sn_log(SN_LOG_STDERR, "output %s is not allowed: after %% comes one of p e t k %%", r->pattern);
		return err;
	}
	if (err == 0)
		err = sn_file_check(path);
	if (err == -EINVAL || err == -EISDIR)
		sn_log(SN_LOG_STDERR, "output %s is not allowed: it must be a file, not a folder or -", file);
	else if (err < 0)
		sn_log(SN_LOG_STDERR, "cannot write output %s: %s", path, strerror(-err));
	return err;
}

/* What the command must find as we found it. */
struct inherited {
	sigset_t mask;
	struct sigaction on_child;
};

/* The child: as if it had been started without us, but for two variables. */
static void
become_program(const struct run *r, const char *socket, const struct inherited *was)
{
	const char *others = getenv("LD_PRELOAD");
	char preload[2 * PATH_MAX];

	if (socket != NULL) {
		bool alone = others == NULL || *others == '\0';

		if (snprintf(preload, sizeof(preload), "%s%s%s", r->library, alone ? "" : ":",
			alone ? "" : others) >= (int)sizeof(preload)) {
			sn_log(SN_LOG_STDERR, "LD_PRELOAD is too long");
			_exit(SN_EXIT_CANNOT);
		}
		if (setenv("LD_PRELOAD", preload, 1) < 0 || setenv(SN_ENV_COLLECTOR, socket, 1) < 0)
			_exit(SN_EXIT_CANNOT);
	}
	if (was != NULL) {
		(void)sigaction(SIGCHLD, &was->on_child, NULL);
		(void)sigprocmask(SIG_SETMASK, &was->mask, NULL);
	}
	(void)execvp(r->argv[0], r->argv);
	sn_log(SN_LOG_STDERR, "%s: %s", r->argv[0], strerror(errno));
	_exit(errno == ENOENT ? SN_EXIT_NOT_FOUND : SN_EXIT_NOT_EXECUTABLE);
}

static int
make_signal_fd(const struct run *r, struct inherited *was)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };	/* ignored, nobody could be waited for */
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		(void)sigaddset(&set, passed_on[i]);
	if (r->options.dump_signal != 0)
		(void)sigaddset(&set, (int)r->options.dump_signal);
	if (sigaction(SIGCHLD, &dfl, &was->on_child) < 0 || sigprocmask(SIG_BLOCK, &set, &was->mask) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* One line, for people only. */
static void
tell(const struct run *r, const struct sn_service_result *res)
{
	char others[64] = "";

	if (!isatty(STDERR_FILENO))
		return;
	if (res->other_files > 0)
		(void)snprintf(others, sizeof(others), " (and %u more, of programs it started)", res->other_files);
	if (res->still_running > 0)
		sn_log(SN_LOG_STDERR, "%u programs still run; their profiles are written when they end",
			res->still_running);
	if (!res->profiled)
		sn_log(SN_LOG_STDERR, "%s was not profiled (SONDE_ONLY, or it could not load " SN_LIBRARY ")%s",
			r->argv[0], others);
	else if (res->error == 0 && r->options.mode == SN_MODE_ON)
		sn_log(SN_LOG_STDERR, "%llu samples, %.2f CPU s, %llu lost; %s%s; go tool pprof -http=: %s",
			(unsigned long long)res->samples, res->cpu_s, (unsigned long long)res->lost, res->file, others,
			res->file);
}

/* End as the command did. */
static int
pass_status(const struct sn_service_result *res)
{
	int error = res->error < 0 ? res->error : res->other_error;

	if (WIFSIGNALED(res->wait_status)) {
		struct rlimit none = { 0, 0 };
		int sig = WTERMSIG(res->wait_status);
		sigset_t set;

		(void)setrlimit(RLIMIT_CORE, &none);	/* the command's core is the one that counts */
		(void)signal(sig, SIG_DFL);
		(void)sigemptyset(&set);
		(void)sigaddset(&set, sig);
		(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
		(void)raise(sig);
		return 128 + sig;
	}
	if (error < 0 && WEXITSTATUS(res->wait_status) == 0)
		return SN_EXIT_CANNOT;
	return WEXITSTATUS(res->wait_status);
}

/* The place is at fault, not the user: sonde steps aside. */
static void
run_unprofiled(const struct run *r, const struct inherited *was, const char *why)
{
	sn_log(SN_LOG_STDERR, "%s; the program runs unprofiled", why);
	become_program(r, NULL, was);
}

static int
profile(struct run *r)
{
	struct sn_service_result res = { 0 };
	struct sn_service *s;
	struct inherited was;
	int err = 0, fd;
	char why[SN_WHY_MAX];
	pid_t pid;

	if (sn_trial_is_filtered() && sn_trial_run(SN_TRIAL_RUN | SN_TRIAL_GUEST, why, sizeof(why)) < 0)
		run_unprofiled(r, NULL, why);
	fd = make_signal_fd(r, &was);
	if (fd < 0)
		(void)snprintf(why, sizeof(why), "cannot start the collector: %s", strerror(errno));
	s = fd < 0 ? NULL : sn_service_new(&r->options, r->pattern, NULL, why, &err);
	if (s == NULL && (fd < 0 || r->options.http == NULL))
		run_unprofiled(r, &was, why);
	if (s == NULL) {		/* the address that was asked for is no good */
		sn_log(SN_LOG_STDERR, "%s", why);
		return SN_EXIT_CANNOT;
	}
	pid = fork();
	if (pid == 0)
		become_program(r, sn_service_socket(s), &was);
	if (pid < 0) {
		(void)snprintf(why, sizeof(why), "fork: %s", strerror(errno));
		sn_service_free(s);
		run_unprofiled(r, &was, why);
	}
	err = sn_service_run(s, pid, fd, &res);
	sn_service_free(s);
	if (res.is_background)
		return 0;
	if (err < 0)
		sn_log(SN_LOG_STDERR, "collector: %s", strerror(-err));
	if (res.error < 0)
		sn_log(SN_LOG_STDERR, "cannot write %s: %s", res.file, strerror(-res.error));
	if (res.other_error < 0)
		sn_log(SN_LOG_STDERR, "cannot write a profile of a program that %s started: %s", r->argv[0],
			strerror(-res.other_error));
	tell(r, &res);
	return pass_status(&res);
}

static void
tell_unknown(const char *line)
{
	sn_log(SN_LOG_STDERR, "%s", line);
}

int
cmd_run(int argc, char **argv)
{
	extern char **environ;
	struct run *r = calloc(1, sizeof(*r));
	struct sn_complaint why;
	int status;

	if (r == NULL)
		return SN_EXIT_CANNOT;
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_help();
		free(r);
		return 0;
	}
	sn_options_default(&r->options);
	if (sn_options_from_env(&r->options, environ, tell_unknown, &why) < 0) {
		sn_log(SN_LOG_STDERR, "%s; the program runs unprofiled", why.text);
		r->unprofiled = true;
	}
	status = parse_flags(r, argc, argv);
	if (status == 0) {
		if (sn_log_open(r->options.log) < 0)
			sn_log(SN_LOG_STDERR, "cannot write the log %s: %s", r->options.log, strerror(errno));
		if (r->unprofiled || r->options.mode == SN_MODE_OFF)
			become_program(r, NULL, NULL);
		status = sn_program_check(r->argv[0], &r->program);
		if (status != 0)
			sn_log(SN_LOG_STDERR, "%s", r->program.why);
	}
	if (status == 0)
		status = find_library(r) < 0 || check_output(r) < 0 ? SN_EXIT_CANNOT : profile(r);
	free(r);
	return status;
}

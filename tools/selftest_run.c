/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest_run.c - run the workload bare, under `sonde run`, and under other profilers.
 *
 * Runs in:  the sonde command.
 * Bounds:   a program that takes a minute is ended and counts as failed; nothing of the temporary folder stays.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tools/selftest.h"

#define RUN_MAX_S	60
#define ENOUGH_NS	(36ull * SN_NS_PER_SEC)	/* of all; what is running then ends within a minute */

static volatile sig_atomic_t interrupted, overdue;

static void
on_signal(int sig)
{
	if (sig == SIGALRM)
		overdue = 1;
	else
		interrupted = 1;
}

bool
sn_selftest_stopped(void)
{
	return interrupted != 0;
}

bool
sn_selftest_has_time(const struct sn_selftest *st)
{
	return interrupted == 0 && sn_clock_mono_ns() < st->deadline_ns;
}

unsigned
sn_selftest_rounds(const struct sn_selftest *st, unsigned rounds)
{
	return (unsigned)(rounds * st->pace) + 1;
}

int
sn_selftest_begin(struct sn_selftest *st)
{
	struct sigaction sa = { .sa_handler = on_signal };	/* no SA_RESTART: waitpid is to end */
	static const int ours[] = { SIGALRM, SIGINT, SIGTERM, SIGHUP };
	const char *tmp = getenv("TMPDIR");
	extern char **environ;
	ssize_t n = readlink("/proc/self/exe", st->exe, sizeof(st->exe) - 1);

	if (n < 0)
		return -errno;
	st->exe[n] = '\0';
	st->began_ns = sn_clock_mono_ns();
	st->deadline_ns = st->began_ns + ENOUGH_NS;
	st->pace = 1;
	/* The workload is to be profiled as we say, and by nobody else. */
	for (char **e = environ; *e != NULL;) {
		char name[64];
		size_t len = strcspn(*e, "=");

		if (len >= sizeof(name) || (*e)[len] != '=' ||
		    (strncmp(*e, "SONDE", 5) != 0 && strncmp(*e, "LD_PRELOAD=", 11) != 0 &&
		    strncmp(*e, "CPUPROFILE", 10) != 0 && strncmp(*e, "ASPROF_", 7) != 0)) {
			e++;
			continue;
		}
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, *e);
		if (unsetenv(name) < 0)
			return -errno;
		e = environ;
	}
	if (snprintf(st->folder, sizeof(st->folder), "%s/sonde-selftest.XXXXXX", tmp != NULL && *tmp == '/' ? tmp :
		"/tmp") >= (int)sizeof(st->folder))
		return -ENAMETOOLONG;
	if (mkdtemp(st->folder) == NULL)
		return -errno;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		(void)sigaction(ours[i], &sa, NULL);
	return 0;
}

void
sn_selftest_end(struct sn_selftest *st)
{
	DIR *d = opendir(st->folder);
	const struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(st->folder);
}

static void
path_of(const struct sn_selftest *st, const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s", st->folder, name);
}

/* The child. */
static void
become(const char *const *argv, const char *const *env, const char *out, const char *err)
{
	int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), fd2 = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int null = open("/dev/null", O_RDONLY);

	if (fd < 0 || fd2 < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd2, 2) < 0)
		_exit(127);
	(void)close(fd);
	(void)close(fd2);
	(void)close(null);
	for (; env != NULL && *env != NULL; env++)
		(void)putenv((char *)(uintptr_t)*env);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	(void)dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void
first_line(const char *path, char *out, size_t size)
{
	struct sn_buf b = { 0 };
	size_t len = 0;

	if (sn_buf_read_path(&b, path, 1 << 20) == 0)
		while (len < b.len && len < size - 1 && b.data[len] != '\n')
			len++;
	(void)snprintf(out, size, "%.*s", (int)len, b.data != NULL ? (const char *)b.data : "");
	sn_buf_free(&b);
}

void
sn_run(const struct sn_selftest *st, const char *const *argv, const char *const *env, const char *out,
	struct sn_ran *ran)
{
	char err[PATH_MAX + 16], to[PATH_MAX + 32];
	uint64_t began = sn_clock_mono_ns();
	struct rusage r = { 0 };
	pid_t pid, got;

	*ran = (struct sn_ran){ .status = -1 };
	path_of(st, "stderr", err, sizeof(err));
	path_of(st, out != NULL ? out : "stdout", to, sizeof(to));
	(void)fflush(stdout);
	overdue = 0;
	pid = fork();
	if (pid == 0)
		become(argv, env, to, err);
	if (pid < 0) {
		(void)snprintf(ran->said, sizeof(ran->said), "fork: %s", strerror(errno));
		return;
	}
	(void)alarm(RUN_MAX_S);
	while ((got = wait4(pid, &ran->status, 0, &r)) < 0 && errno == EINTR)
		(void)kill(pid, SIGTERM);	/* late, or to be stopped; `sonde run` and perf pass it on */
	(void)alarm(0);
	ran->wall_ns = sn_clock_mono_ns() - began;
	ran->cpu_ns = (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * SN_NS_PER_SEC +
	    (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000;
	first_line(err, ran->said, sizeof(ran->said));
	if (got < 0 || overdue != 0 || interrupted != 0)
		ran->status = -1;
	if (overdue != 0)
		(void)snprintf(ran->said, sizeof(ran->said), "it took more than %u s", RUN_MAX_S);
}

/* ---- the tools ---- */

static const char *const names[SN_TOOLS] = { "bare", "sonde", "gperftools", "perf", "async-profiler" };
static char library_of[SN_TOOLS][PATH_MAX];

const char *
sn_tool_name(enum sn_tool tool)
{
	return names[tool];
}

static bool
first_readable(const char *const *paths, char *out)
{
	for (; *paths != NULL; paths++)
		if (access(*paths, R_OK) == 0) {
			(void)snprintf(out, PATH_MAX, "%s", *paths);
			return true;
		}
	return false;
}

/* Where a command is, by PATH. */
static bool
find_command(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH");

	while (path != NULL && *path != '\0') {
		size_t len = strcspn(path, ":");

		if (snprintf(out, size, "%.*s/%s", (int)len, path, name) < (int)size && access(out, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

static bool
find_async(char *out)
{
	static const char *const usual[] = { "/usr/lib/libasyncProfiler.so", "/usr/local/lib/libasyncProfiler.so",
		"/opt/async-profiler/lib/libasyncProfiler.so", NULL };
	char asprof[PATH_MAX], real[PATH_MAX], *slash;

	if (find_command("asprof", asprof, sizeof(asprof)) && realpath(asprof, real) != NULL) {
		slash = strrchr(real, '/');
		*slash = '\0';
		if (snprintf(out, PATH_MAX, "%.4000s/../lib/libasyncProfiler.so", real) < PATH_MAX &&
		    access(out, R_OK) == 0)
			return true;
	}
	return first_readable(usual, out);
}

bool
sn_tool_find(enum sn_tool tool, char *why, size_t size)
{
	static const char *const gperf[] = {
#if defined(__x86_64__)
		"/usr/lib/x86_64-linux-gnu/libprofiler.so.0",
#else
		"/usr/lib/aarch64-linux-gnu/libprofiler.so.0",
#endif
		"/usr/lib64/libprofiler.so.0", "/usr/lib/libprofiler.so.0", "/usr/local/lib/libprofiler.so.0", NULL };
	bool found = true;

	if (tool == SN_TOOL_GPERF)
		found = first_readable(gperf, library_of[tool]);
	else if (tool == SN_TOOL_PERF)
		found = find_command("perf", library_of[tool], PATH_MAX);
	else if (tool == SN_TOOL_ASYNC)
		found = find_async(library_of[tool]);
	(void)snprintf(why, size, "%s", found ? "" : "not installed");
	return found;
}

/* ---- one run ---- */

struct command {
	const char *argv[32];
	const char *env[4];
	unsigned argc, envc;
	char text[4][2 * PATH_MAX];
	unsigned texts;
};

static const char *
text(struct command *c, const char *fmt, const char *a, const char *b)
{
	char *t = c->text[c->texts++];

	return snprintf(t, sizeof(c->text[0]), fmt, a, b) < (int)sizeof(c->text[0]) ? t : "";
}

static void
add(struct command *c, const char *const *words)
{
	for (; *words != NULL; words++)
		c->argv[c->argc++] = *words;
}

static void
add_tool(struct command *c, const struct sn_selftest *st, const struct sn_under *way, const char *profile)
{
	char hz[16], interval[24];

	(void)snprintf(hz, sizeof(hz), "%u", way->hz);
	(void)snprintf(interval, sizeof(interval), "%u", 1000000000u / (way->hz != 0 ? way->hz : 1));
	switch (way->tool) {
	case SN_TOOL_SONDE:
		add(c, (const char *const[]){ st->exe, "run", "--socket=off", "--hz", text(c, "%s%s", hz, ""), "-o",
			profile, NULL });
		if (way->option != NULL)
			c->argv[c->argc++] = way->option;
		c->argv[c->argc++] = "--";
		break;
	case SN_TOOL_GPERF:
		c->env[c->envc++] = text(c, "LD_PRELOAD=%s%s", library_of[way->tool], "");
		c->env[c->envc++] = text(c, "CPUPROFILE=%s%s", profile, "");
		c->env[c->envc++] = text(c, "CPUPROFILE_FREQUENCY=%s%s", hz, "");
		break;
	case SN_TOOL_PERF:
		add(c, (const char *const[]){ library_of[way->tool], "record", "-q", "-e", "cpu-clock", "-F",
			text(c, "%s%s", hz, ""), "--call-graph", "fp", "-o", profile, "--", NULL });
		break;
	case SN_TOOL_ASYNC:
		c->env[c->envc++] = text(c, "LD_PRELOAD=%s%s", library_of[way->tool], "");
		c->env[c->envc++] = text(c, "ASPROF_COMMAND=start,event=cpu,cstack=vm,collapsed,interval=%s,file=%s",
			interval, profile);
		break;
	default:
		break;
	}
}

static void
read_profile(const struct sn_selftest *st, const struct sn_under *way, const char *profile, struct sn_result *r)
{
	const char *perf = library_of[SN_TOOL_PERF];
	char script[PATH_MAX + 32];
	struct sn_ran ran;

	switch (way->tool) {
	case SN_TOOL_SONDE:
		sn_read_pprof(profile, &r->truth, &r->seen);
		break;
	case SN_TOOL_GPERF:
		sn_read_gperf(profile, &r->truth, &r->seen);
		break;
	case SN_TOOL_PERF:
		sn_run(st, (const char *const[]){ perf, "script", "-G", "-F", "tid,period,ip", "-i", profile, NULL },
			NULL, "script", &ran);
		path_of(st, "script", script, sizeof(script));
		sn_read_perf(script, &r->truth, &r->seen);
		break;
	case SN_TOOL_ASYNC:
		sn_read_collapsed(profile, 1000000000u / way->hz, &r->seen);
		break;
	default:
		break;
	}
}

static bool
read_truth(const char *path, struct sn_work_truth *t)
{
	struct sn_buf b = { 0 };
	bool whole = sn_buf_read_path(&b, path, 1 << 16) == 0 && b.len == sizeof(*t);

	if (whole)
		memcpy(t, b.data, sizeof(*t));
	sn_buf_free(&b);
	for (unsigned i = 0; i < SN_WORK_THREADS; i++)
		t->thread[i].name[sizeof(t->thread[i].name) - 1] = '\0';
	return whole;
}

void
sn_work_run(const struct sn_selftest *st, const struct sn_under *way, const struct sn_work_size *size, bool read,
	struct sn_result *out)
{
	char truth[PATH_MAX + 16], profile[PATH_MAX + 16], turns[24], rounds[SN_WORK_THREADS][16], seed[16];
	struct command *c = calloc(1, sizeof(*c));

	*out = (struct sn_result){ .ran.status = -1, .seen.lost = -1, .seen.handler = -1, .seen.collector = -1 };
	if (c == NULL)
		return;
	path_of(st, "truth", truth, sizeof(truth));
	path_of(st, way->tool == SN_TOOL_SONDE ? "p.pb.gz" : "profile", profile, sizeof(profile));
	(void)unlink(truth);
	(void)unlink(profile);
	(void)snprintf(turns, sizeof(turns), "%llu", (unsigned long long)size->turns_per_us);
	for (unsigned i = 0; i < SN_WORK_THREADS; i++)
		(void)snprintf(rounds[i], sizeof(rounds[i]), "%u", size->rounds[i]);
	(void)snprintf(seed, sizeof(seed), "%u", size->seed);
	add_tool(c, st, way, profile);
	add(c, (const char *const[]){ st->exe, "selftest", "--workload", truth, turns, rounds[0], rounds[1], seed,
		NULL });
	sn_run(st, c->argv, c->env, NULL, &out->ran);
	free(c);
	out->is_true = read_truth(truth, &out->truth);
	if (!out->is_true || out->ran.status != 0)
		(void)snprintf(out->seen.why, sizeof(out->seen.why), "%.190s",
			out->ran.said[0] != '\0' ? out->ran.said : "the workload did not end well");
	else if (read)
		read_profile(st, way, profile, out);
}

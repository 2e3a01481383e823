/* SPDX-License-Identifier: Apache-2.0
 *
 * gperf_env.c - the variables of gperftools' CPU profiler.
 *
 * Runs in:  the constructor, once; no allocation but setenv's.
 * Rule:     a SONDE_* variable that says the same thing wins.  Nothing here ends the program, as gperftools would for
 *           a file that cannot be written or a signal that is in use: one line, and it is as if the variable were not
 *           set.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/gperf.h"
#include "control/internal.h"

#define HZ_DEFAULT	100
#define HZ_MAX		4000
#define SIGNAL_MAX	64
#define USE_PID		"CPUPROFILE_USE_PID"

static struct sn_gperf_env env = { .hz = HZ_DEFAULT };

const struct sn_gperf_env *
sn_gperf_env(void)
{
	return &env;
}

/* ---- files ---- */

/* May files be made and replaced in the folder of path? */
static int
check_folder(const char *path)
{
	char folder[PATH_MAX];
	size_t len = (size_t)(strrchr(path, '/') - path);

	memcpy(folder, path, len);
	folder[len] = '\0';
	return faccessat(AT_FDCWD, len > 0 ? folder : "/", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Its folder is there, it is not. */
static int
find_new(const char *name, char path[PATH_MAX])
{
	const char *slash = strrchr(name, '/'), *base = slash != NULL ? slash + 1 : name;
	char folder[PATH_MAX] = ".";
	struct stat st;
	size_t len;

	if (lstat(name, &st) == 0)
		return -ELOOP;			/* a link to nothing */
	if (*base == '\0')
		return -EISDIR;
	len = slash == name ? 1 : (size_t)(base - name);
	if (len >= sizeof(folder))
		return -ENAMETOOLONG;
	if (slash != NULL) {
		memcpy(folder, name, len);
		folder[len] = '\0';
	}
	if (realpath(folder, path) == NULL)
		return -errno;
	len = strlen(path);
	if (len + 1 + strlen(base) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (path[len - 1] != '/')
		path[len++] = '/';
	(void)strcpy(path + len, base);
	return 0;
}

int
sn_gperf_find_file(const char *name, char path[PATH_MAX])
{
	struct stat st;
	int err = 0;

	if (name == NULL)
		return -EFAULT;
	if (*name == '\0')
		return -ENOENT;
	if (stat(name, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
		if (realpath(name, path) == NULL || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
			return -errno;
	} else {
		err = errno == ENOENT ? find_new(name, path) : -errno;
	}
	return err < 0 ? err : check_folder(path);
}

void
sn_gperf_make_pattern(const char *path, const char *suffix, char pattern[SN_GPERF_PATTERN])
{
	char *to = pattern;

	for (; *path != '\0'; path++) {
		if (*path == '%')
			*to++ = '%';
		*to++ = *path;
	}
	(void)strcpy(to, suffix);
}

/* ---- variables ---- */

/* A whole number, 1 to INT_MAX; else 0. */
static int
parse_number(const char *text)
{
	char *end;
	long n;

	if (text == NULL)
		return 0;
	errno = 0;
	n = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && n > 0 && n <= INT_MAX ? (int)n : 0;
}

/*
 * gperftools before 2.11 marks the variable for its children by the highest bit of its first byte.  A byte of a name
 * in UTF-8 that has it is followed by another such byte.
 */
static bool
is_marked(const char *value)
{
	return (value[0] & 0x80) != 0 && (value[1] & 0x80) == 0;
}

/* One of many processes of the same job, which have the same variables. */
static bool
is_ranked(char *const envp[])
{
	return sn_env_find(envp, "PMIX_RANK") != NULL || sn_env_find(envp, "PMI_RANK") != NULL ||
	    sn_env_find(envp, "OMPI_COMM_WORLD_RANK") != NULL ||
	    (sn_env_find(envp, "SLURM_JOB_ID") != NULL && sn_env_find(envp, "SLURM_PROCID") != NULL);
}

/* ---- another gperftools in the process ---- */

static bool
is_ours(void *fn)
{
	Dl_info here, there;

	return dladdr(&env, &here) != 0 && dladdr(fn, &there) != 0 && here.dli_fbase == there.dli_fbase;
}

typedef int enabled_fn(void);
typedef void state_fn(struct ProfilerState *state);
typedef void stop_fn(void);

/*
 * The program is linked with libprofiler, which has run its constructor before us and has started: two profilers
 * would write one file.  We were named in LD_PRELOAD, so it stops.  Its name for the file into name.
 */
static bool
take_over(char *name, size_t size)
{
	enabled_fn *enabled = (enabled_fn *)dlsym(RTLD_NEXT, "ProfilingIsEnabledForAllThreads");
	state_fn *get_state = (state_fn *)dlsym(RTLD_NEXT, "ProfilerGetCurrentState");
	stop_fn *stop = (stop_fn *)dlsym(RTLD_NEXT, "ProfilerStop");
	struct ProfilerState state = { 0 };

	if (enabled == NULL || get_state == NULL || stop == NULL || enabled() == 0)
		return false;
	get_state(&state);
	stop();
	(void)snprintf(name, size, "%s", state.profile_name);
	return *name != '\0';
}

/* Is another gperftools before us in the order of search?  Then it is the one that acts. */
static bool
is_theirs(void)
{
	void *first = dlsym(RTLD_DEFAULT, "ProfilerStart");

	return first != NULL && !is_ours(first);
}

/* ---- the constructor ---- */

static bool
ends_with_pid(const char *name)
{
	char tail[16];
	size_t len = strlen(name), n = (size_t)snprintf(tail, sizeof(tail), "_%d", (int)getpid());

	return len > n && strcmp(name + len - n, tail) == 0;
}

static void
complain_of_file(int err)
{
	char line[512];

	(void)snprintf(line, sizeof(line), "CPUPROFILE=%.300s: %s; no profile is written", env.name, strerror(-err));
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';		/* it stays one line, and steers no terminal */
	sn_env_complain(line);
}

static void
name_file(char *const envp[], const char *value)
{
	bool is_child = sn_env_find(envp, USE_PID) != NULL || is_ranked(envp);
	char path[PATH_MAX];
	size_t len;
	int err;

	/* Theirs has looked at the mark, and has set it; it may not know the variable. */
	if (!take_over(env.name, sizeof(env.name))) {
		(void)snprintf(env.name, sizeof(env.name), "%s", value);
		is_child |= is_marked(value);
		if (is_marked(value))
			env.name[0] &= 0x7f;
	}
	len = strlen(env.name);
	if (is_child && !ends_with_pid(env.name))
		(void)snprintf(env.name + len, sizeof(env.name) - len, "_%d", (int)getpid());
	err = sn_gperf_find_file(env.name, path);
	env.asked = err == 0;
	if (err == 0)
		sn_gperf_make_pattern(path, "%c", env.pattern);
	else
		complain_of_file(err);
}

static int
timer_signal(const char *value)
{
	int n = parse_number(value);

	if (value == NULL || n == SIGPROF || (n >= SIGRTMIN && n <= SIGRTMAX))
		return n;
	sn_log(SN_LOG_FILE, "CPUPROFILE_TIMER_SIGNAL=%.100s is neither SIGPROF nor a real-time signal: passed over",
		value);
	return 0;
}

void
sn_gperf_read_environment(char *const envp[])
{
	const char *file = sn_env_find(envp, "CPUPROFILE"), *mode = sn_env_find(envp, "SONDE");
	int hz = parse_number(sn_env_find(envp, "CPUPROFILE_FREQUENCY"));

	if (getauxval(AT_SECURE) != 0 || getuid() != geteuid() || (mode != NULL && strcmp(mode, "off") == 0))
		return;
	env.hz = hz > HZ_MAX ? HZ_MAX : hz > 0 ? (unsigned)hz : HZ_DEFAULT;
	env.hz_is_named = hz > 0;
	(void)sn_log_open(sn_env_find(envp, "SONDE_LOG"));
	env.signal = timer_signal(sn_env_find(envp, "CPUPROFILE_TIMER_SIGNAL"));
	if (file == NULL)
		return;
	if (is_theirs()) {
		sn_log(SN_LOG_FILE, "CPUPROFILE is left to the libprofiler that comes before libsonde");
	} else if (sn_env_find(envp, SN_ENV_COLLECTOR) != NULL) {
		sn_log(SN_LOG_FILE, "CPUPROFILE is passed over: sonde run writes the profile");
	} else if (sn_env_find(envp, "SONDE_FILE") == NULL) {
		name_file(envp, file);
		env.toggle = parse_number(sn_env_find(envp, "CPUPROFILESIGNAL"));
		if (env.toggle > SIGNAL_MAX)
			env.toggle = 0;
	}
	(void)dlerror();			/* the program must not find what we looked for */
}

void
sn_gperf_set_options(char *const envp[], struct sn_options *o)
{
	if (!env.asked)
		return;
	for (char *const *e = envp; *e != NULL; e++)
		if (strncmp(*e, "CPUPROFILE_REALTIME=", 20) == 0)
			sn_env_complain("CPUPROFILE_REALTIME: there are no wall-clock profiles; CPU time is profiled");
	o->file = env.pattern;
	if (sn_env_find(envp, "SONDE_HZ") == NULL) {
		o->hz = env.hz;
		o->named |= env.hz_is_named ? SN_NAMED(hz) : 0;
	}
	if (env.signal != 0 && sn_env_find(envp, "SONDE_SIGNAL") == NULL)
		o->signal = env.signal;
	if (env.toggle != 0 && sn_env_find(envp, "SONDE") == NULL)
		o->mode = SN_MODE_IDLE;
	(void)setenv(USE_PID, "1", 1);		/* for programs that this one starts */
}

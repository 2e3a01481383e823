/* SPDX-License-Identifier: Apache-2.0
 *
 * profiler.h - sonde, the sampling profiler, called from the program itself: <sonde/profiler.h>.
 *
 * Link with `pkg-config --cflags --libs sonde`.  A program that only links it is as without it until it
 * calls profiler_start().
 *
 * All functions may be called from any thread, at the same time too; start and stop wait for each other.
 * None may be called in a signal handler, nor between vfork and exec; none is a cancellation point.  They
 * return 0 or more when they succeeded, else a negative number of <errno.h> (-EINVAL …); errno is left alone.
 *
 * In the library they are called sonde_start and so on, so that it never takes the place of a
 * profiler_start that a program has of its own.
 */
#ifndef SONDE_PROFILER_H
#define SONDE_PROFILER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What to do, each field as the variable of the environment that sonde(7) describes: SONDE_HZ for hz.
 * Zero is the default of every field, as are NULL and ""; texts are written as in the environment.  A variable that
 * is set wins over its field, so that who runs a program can overrule who wrote it.
 *
 *	struct profiler_options o = { .size = sizeof(o), .file = "cpu.%p.pb.gz" };	(C)
 *	profiler_options o = profiler_options();  o.size = sizeof(o);			(C++)
 *
 * profiler_start() keeps copies: the struct and its texts are the caller's, and may go when it has returned.
 * Later versions add fields at the end; a program that was built
 * with an older or a newer header than the library works, as long as it sets nothing that the library lacks.
 */
struct profiler_options {
	size_t size;			/* sizeof(struct profiler_options) */
	const char *mode;		/* "on", or "idle": sample only while a client asks; default "on" */
	const char *kinds;		/* what to sample, a list: "cpu", or "none"; default "cpu" */
	const char *engine;		/* "auto", "timer", "perf" or "itimer"; default "auto" */
	const char *file;		/* for the profile, at stop, flush and exit; %p is the pid; default none */
	const char *http;		/* "6060", "HOST:PORT": serve /debug/pprof there; default none */
	const char *socket;		/* folder of the Unix socket, "auto" or "off"; default "auto" */
	const char *token_file;		/* who may ask over TCP: a file of mode 0600, or "none"; default none */
	const char *keep;		/* how long samples are kept for profile?last=, 0 to "1h"; default "10m" */
	const char *exit_wait;		/* how long the end may wait for the profile, 0 to "30s"; default "2s" */
	const char *only;		/* programs of the tree, globs; default: all but shells and launchers */
	const char *unwind;		/* "auto", "table", "fp" or "libunwind"; default "auto" */
	const char *symbolize;		/* "none", "functions" or "lines"; default "lines" */
	const char *labels;		/* "thread", "thread_id", both with a comma, or "none"; default "thread" */
	const char *log;		/* file for lines about sonde itself; default none */
	unsigned long long memory;	/* bytes that sonde may use in all, 4 MiB to 4 GiB; default 64 MiB */
	unsigned hz;			/* samples a second of CPU time, 1 to 10000; default 100 */
	unsigned depth;			/* frames kept of a stack, 16 to 1024; default 512 */
	int signal;			/* that takes samples: SIGPROF, SIGRTMIN to SIGRTMAX; default SIGPROF */
	int dump_signal;		/* at which the file is written, SIGUSR2 for one; 0 is none */
	const char *budget;		/* percent of CPU time that it may cost, "0.01" to "100", "off"; default "1" */
};

/*
 * Begin to profile this process: all its threads, also those to come, and its forked children.
 * options: NULL is all defaults: CPU at 100 Hz, kept for ten minutes, readable through the Unix socket; no file.
 * CPU time that was used before the call is in no profile.
 * What a SONDE_* variable says counts more than the field; where such a variable, or LD_PRELOAD, has had the process
 * profiled since its start, it now begins anew with both.
 * 0; -EALREADY this function has started it before, or it is profiled by `sonde run`; -EINVAL a value
 * is not allowed, or a field is set that this library does not know (a line in the log says which); -ENOTSUP this
 * process cannot be profiled, or SONDE=off is set; another negative errno where the system refused.  After an error
 * nothing new is sampled.
 */
int profiler_start(const struct profiler_options *options) __asm__("sonde_start");

/*
 * Stop sampling, write the file if one was asked for.  The samples are gone after that; profiler_start() begins
 * anew.  0, also when nothing was running; -ETIMEDOUT after 10 s; what writing the file met (-ENOSPC …).
 */
int profiler_stop(void) __asm__("sonde_stop");

/*
 * Write the file that was asked for now, with all samples since the start, and go on.  0;
 * -ENOTCONN nothing is profiled; -ENOENT no file was asked for; -ETIMEDOUT after 10 s; what writing the file met.
 */
int profiler_flush(void) __asm__("sonde_flush");

/*
 * Write a profile, in pprof's format and gzip'd, to fd: an open descriptor of the caller's, a file, pipe or socket,
 * blocking or not; it stays open.  kind: "cpu", all samples since the start.
 * 0; -ENOENT there is no such kind; -ENOTCONN nothing is profiled; -ETIMEDOUT after 10 s in all, -EPIPE and others of
 * write(2): then a part may have been written.  SIGPIPE is not raised.
 */
int profiler_write(const char *kind, int fd) __asm__("sonde_write");

/*
 * Serve /debug/pprof over HTTP.  address: "6060", "localhost:6060" and "[::1]:6060" are reached from this
 * machine only; others need token_file.  Port 0 takes a free one.  NULL is "localhost:0".
 * The port (1 to 65535); -EINVAL the address is not allowed; -EADDRINUSE; -EACCES without token_file;
 * -ENOTCONN nothing is profiled; -ETIMEDOUT after 10 s.
 */
int profiler_serve(const char *address) __asm__("sonde_serve");

/* The version of the library, as "0.1.0"; static. */
const char *profiler_version(void) __asm__("sonde_version");

#ifdef __cplusplus
}
#endif

#endif

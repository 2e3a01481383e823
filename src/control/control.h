/* SPDX-License-Identifier: Apache-2.0
 *
 * control.h - start, fork, exec and exit of the profiler inside the program.
 */
#ifndef SN_CONTROL_CONTROL_H
#define SN_CONTROL_CONTROL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "base/options.h"
#include "hot/live.h"
#include "source/source.h"

/* connect.c: raw system calls only, so that it can run in the child of a fork. */

/*
 * Ask the collector for a segment and map it.  name: of its abstract socket.  kind: enum
 * sn_hello_kind.  0, or negative errno (-ECONNREFUSED: it is gone, -ETIMEDOUT, -EPERM: it is not ours).
 * No descriptor stays open.
 */
int sn_connect(const char *name, uint32_t kind, uint64_t parent_cookie, struct sn_segment *out);

/* Map the next chunk of rings; one caller at a time.  0, -ENOSPC when all are mapped, or as sn_connect. */
int sn_connect_more(const char *name, struct sn_segment *s);

/* Tell a collector to look at its wishes now; nothing is waited for but the connection (100 ms). */
void sn_nudge(const char *name);

/* Let the children of this process have the page in which they leave word. */
void sn_segment_bequeath(struct sn_segment *s);

/* Copy /proc/self/maps into the segment: the first text, or the one of the exit.  0 or -errno. */
int sn_snapshot_maps(const struct sn_segment *s, bool at_exit);

/* Keep the maps as they are, for samples of this generation. */
void sn_snapshot_leave(const struct sn_segment *s, uint32_t generation);

/* control.c */

/* From the constructor, once.  argv is the one on the initial stack. */
void sn_control_start(char **argv, char **envp);

/* A new thread begins: called by pthread_create's wrapper and by the thread itself. */
typedef int sn_create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int sn_control_create_thread(sn_create_fn *real, pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
	void *arg);

/* The abstract socket that answers for this process (an API call asks there), "" if none. */
const char *sn_control_collector(void);

/* inside.c: the collector as a thread of this process. */

/*
 * Start it, from any thread, at any time.  0; -EALREADY when something samples this process already; or
 * negative errno, and nothing is sampled.  After sn_control_join it starts anew.
 */
int sn_control_begin(const struct sn_options *o);
/* Stop sampling, have the file written, end the thread.  0 also when there is none; its error, or -ETIMEDOUT. */
int sn_control_join(void);
bool sn_control_is_inside(void);

/*
 * The thread must not be there (unshare, setns, set*id): it ends, and begins again at resume, which takes what
 * pause returned.  Both keep errno.
 */
bool sn_control_pause(void);
void sn_control_resume(bool paused);
/* The same around set*id, where the thread need not go, as a rule. */
bool sn_control_pause_for_ids(void);
void sn_control_resume_with_ids(bool paused);

/*
 * A forked child that will outlive its parent (setsid, daemon) gets a collector of its own: settle.  forked: for the
 * child of a process that did so just now, as daemons fork twice; in fork's wrapper, after all hooks.  Both do nothing
 * anywhere else.
 */
void sn_control_settle(void);
void sn_control_forked(void);
/* This process leaves in a moment without a word (daemon): its collector ends now.  Return undoes that. */
bool sn_control_leave(void);
void sn_control_return(bool left);

/*
 * A seccomp filter comes (NULL: strict mode): from here on application threads make no system call of ours, and none
 * gets a signal of ours if the filter would not let the handler return.  all_threads: the collector inside would be
 * under it too, and ends.  What was so before; unseal takes that when the filter was refused.
 */
uint32_t sn_control_seal(const void *fprog, bool all_threads);
void sn_control_unseal(uint32_t before);
bool sn_control_is_sealed(void);

/* ask.c */

/*
 * One call of the API to the collector (enum sn_ask_op), at most 10 s.  value, fd: what the answer carries, may be
 * NULL; *fd is -1 or the caller's.  0; -ENOTCONN nobody collects; -ETIMEDOUT; -E2BIG text is too long; else what
 * the collector says.
 */
#define SN_ASK_WAIT_NS	(10 * 1000000000ull)
int sn_control_ask(uint32_t op, const char *text, uint64_t *value, int *fd);

/* api.c */

/*
 * From the constructor: keep the SONDE_* of the environment for profiler_start(), which must not look again: programs
 * write over theirs.
 */
void sn_api_keep_environment(char *const *envp);

/* The rest of api.c is for gperf.c, the same calls under other names. */

/* What a call must leave as it was: errno, and no cancellation in between. */
struct sn_call {
	int error, cancel_state;
};
struct sn_call sn_api_enter(void);
int sn_api_leave(const struct sn_call *c, int result);
/* One thread at a time starts or stops. */
void sn_api_lock(void);
void sn_api_unlock(void);
/* The calling thread holds that lock: we are in a signal handler on top of it. */
bool sn_api_is_locked_here(void);
/* With the lock held: as profiler_start() and profiler_stop(). */
struct profiler_options;
int sn_api_start(const struct profiler_options *options);
int sn_api_stop(void);
/* A collector is there that others want too, who would miss it: `sonde run`'s, or one that SONDE_* asked for. */
bool sn_api_must_share(void);
/* The first bytes of the memfd into the caller's descriptor; 0, -ETIMEDOUT or what write met. */
int sn_api_copy_out(int from, uint64_t bytes, int fd, uint64_t until_ns);

/* signals.c */

/* libc's own sigaction: preload/ answers for that name. */
int sn_real_sigaction(int sig, const struct sigaction *new, struct sigaction *old);
/*
 * The program's sigaction: for our signal its wish is noted and answered as if sonde were not there,
 * and our handler stays; every other signal is libc's matter.
 */
int sn_control_sigaction(int sig, const struct sigaction *new, struct sigaction *old);

/* The same by the system call's own struct; 0 or -errno. */
long sn_control_raw_sigaction(int sig, const void *new, void *old);
/* Is this the signal that takes our samples?  It stays so in children of any kind. */
bool sn_control_is_own(int sig);
/* The same, in the process whose action it is (not: in a vfork child). */
bool sn_control_owns(int sig);
/* signal() and its like for our signal, by flags: SA_RESTART means as BSD's. */
__sighandler_t sn_control_signal(int sig, __sighandler_t handler, int flags);
int sn_control_siginterrupt(int sig, bool interrupts);

typedef int sn_setitimer_fn(int, const struct itimerval *, struct itimerval *);
typedef int sn_getitimer_fn(int, struct itimerval *);
int sn_control_setitimer(sn_setitimer_fn *real, int which, const struct itimerval *new, struct itimerval *old);
int sn_control_getitimer(sn_getitimer_fn *real, int which, struct itimerval *now);
/*
 * libc itself is about to change action and timer of our signal, and has done so: what it set is the program's wish,
 * ours goes back.  Our signal waits meanwhile.  Both keep errno.
 */
uint64_t sn_control_unseen_begin(void);
void sn_control_unseen_end(uint64_t mask);

/* masks.c: the program's masks, with our signal kept out of the real ones. */

/* As pthread_sigmask: 0 or an error number, errno untouched. */
int sn_control_sigmask(int how, const sigset_t *set, sigset_t *old);
/* Does the program block it in this thread? */
bool sn_control_mask_has(int sig);
/* rt_sigprocmask itself; 0 or -errno. */
long sn_mask_call(int how, const uint64_t *set, uint64_t *old);
/* A mask that libc will set later (a thread's attribute, sa_mask), and one that it answers. */
void sn_control_set_to_kernel(sigset_t *set);
void sn_control_set_to_program(sigset_t *set);
/* Is our signal in it?  set may be NULL. */
bool sn_control_set_has_own(const sigset_t *set);
void sn_control_set_drop_own(sigset_t *set);
/* Wait under that mask, as sigsuspend does. */
int sn_control_suspend(const sigset_t *set, int (*real)(const sigset_t *));
/* What is pending, less what is only ours. */
void sn_control_pending(sigset_t *set);
/* Wait for a signal of the set that is not ours. */
typedef int sn_timedwait_fn(const sigset_t *, siginfo_t *, const struct timespec *);
int sn_control_wait(sn_timedwait_fn *real, const sigset_t *set, siginfo_t *info, const struct timespec *timeout);

/* exec.c */

/*
 * Round each exec and each spawn; failed also after a spawn that did well.  Both keep errno.  path: of the file that
 * shall run, NULL when it is searched for or has no name.
 */
struct sn_exec {
	uint64_t mask;			/* the real one of before, */
	bool masked;			/* if it was changed */
	bool ignored;			/* the signal is ignored for real */
	bool parted;			/* the image's file is written, and no event runs */
	struct sn_engine_pause engine;
};
void sn_control_exec_begin(struct sn_exec *e, const char *path, bool is_spawn);
void sn_control_exec_failed(struct sn_exec *e);

/* ends.c */

/* Is it a signal of which we may have the default action? */
bool sn_ends_watches(int sig);
/* sigaction for such a one: what the program asks for is done; our handler in place of the default is not seen. */
int sn_ends_sigaction(int sig, const struct sigaction *new, struct sigaction *old);

/* What the program may see of the handler that its own has replaced: the default where ours stood for it. */
__sighandler_t sn_ends_replaced(__sighandler_t handler);

/*
 * The process is about to die (abort), or to become another image (exec): the collector inside, if any, writes the
 * file that was asked for and goes on; waited for as long as SONDE_EXIT_WAIT.  0; -ENOTCONN nothing collects here (a
 * child of fork or vfork, or no collector inside); -ETIMEDOUT.  errno is kept; safe in a signal handler.
 */
int sn_control_flush_for_death(void);
int sn_control_flush_for_exec(void);

/* exit.c */

/* The process is about to end: leave its last figures in the segment.  Idempotent, any thread. */
void sn_control_figures(void);
/* The same, then the collector inside (if any) ends, and is waited for. */
void sn_control_exit(void);

/* frames.c: call frame information that the program registers. */

/* It has registered a block; swallowed: there was nobody to tell but us. */
void sn_control_frames_registered(const void *begin, bool swallowed);
/* It takes it back.  Is the real function to be told? */
bool sn_control_frames_leave(const void *begin);
/* There is a new segment: what was registered before goes there.  Safe in the handler. */
void sn_frames_begin(void);
/* In the child of a fork. */
void sn_frames_forked(void);

/*
 * A dlclose is about to begin: what samples were taken of stays known.  The result is for sn_control_modules_left, when
 * it has ended.
 */
void *sn_control_modules_leave(void);
void sn_control_modules_left(void *token);
/* The modules change: dlopen is about to begin. */
void sn_control_modules_changed(void);

#endif

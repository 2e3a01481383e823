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

#include "hot/live.h"

/* connect.c: raw system calls only, so that it can run in the child of a fork. */

/*
 * Ask the collector for a segment and map it.  name: of its abstract socket.  kind: enum
 * sn_hello_kind.  0, or negative errno (-ECONNREFUSED: it is gone, -ETIMEDOUT, -EPERM: it is not ours).
 * No descriptor stays open.
 */
int sn_connect(const char *name, uint32_t kind, uint64_t parent_cookie, struct sn_segment *out);

/* Map the next chunk of rings; one caller at a time.  0, -ENOSPC when all are mapped, or as sn_connect. */
int sn_connect_more(const char *name, struct sn_segment *s);

/* Copy /proc/self/maps into the segment: the first text, or the one of the exit.  0 or -errno. */
int sn_snapshot_maps(const struct sn_segment *s, bool at_exit);

/* control.c */

/* From the constructor, once.  argv is the one on the initial stack. */
void sn_control_start(char **argv, char **envp);

/* A new thread begins: called by pthread_create's wrapper and by the thread itself. */
typedef int sn_create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int sn_control_create_thread(sn_create_fn *real, pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
	void *arg);

/* signals.c */

/* libc's own sigaction: preload/ answers for that name. */
int sn_real_sigaction(int sig, const struct sigaction *new, struct sigaction *old);
/*
 * The program's sigaction: for our signal its wish is noted and answered as if sonde were not there,
 * and our handler stays; every other signal is libc's matter.
 */
int sn_control_sigaction(int sig, const struct sigaction *new, struct sigaction *old);

/* Is this the signal that takes our samples, in a process that is sampled? */
bool sn_control_owns(int sig);
/* A set to wait for, less our signal; set itself (which may be NULL) when that is not in it. */
const sigset_t *sn_control_without_ours(const sigset_t *set, sigset_t *copy);

/* exit.c */

/* The process is about to end: leave its last figures in the segment.  Idempotent, any thread. */
void sn_control_exit(void);

/* The modules change: dlopen is about to begin, dlclose has ended. */
void sn_control_modules_changed(void);

#endif

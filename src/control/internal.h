/* SPDX-License-Identifier: Apache-2.0
 *
 * internal.h - what the files of control/ share.
 */
#ifndef SN_CONTROL_INTERNAL_H
#define SN_CONTROL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/options.h"
#include "control/control.h"
#include "segment/host.h"

/* control.c */

/* The one live state of this process: its segment is where the collector inside looks too. */
struct sn_live_state *sn_control_state(void);
/* What every way of sampling needs, once: live page, key, fork hooks.  0 or negative errno. */
int sn_control_prepare(void);
/* Everything is mapped: handler, hooks and the calling thread's timer from here on.  0 or negative errno. */
int sn_control_go_live(void);
/* A slot for a thread; more rings are mapped when none is left.  SN_NO_SLOT when there is none to be had. */
uint32_t sn_control_claim_slot(struct sn_live_state *live);
/* Where fork children ask for their segment. */
void sn_control_set_socket(const char *name);
/* The guest of another process's collector leaves it: nothing is sampled. */
void sn_control_leave_guest(void);
/* Sampling by a collector that is not in this process. */
bool sn_control_is_guest(void);
/* May this program be profiled under SONDE_ONLY? */
bool sn_control_admits(const struct sn_options *o);

/* The child of a fork asks its parent's collector, and goes live: raw system calls only.  Its slot, or SN_NO_SLOT. */
uint32_t sn_control_join_parent(void);

/* exit.c */

/* The collector's thread is the last one: end the process as its main thread wanted. */
__attribute__((noreturn)) void sn_exit_alone(void);

/* lazy.c */

/* In the child of a fork: wait for its first tick.  0 or -errno. */
int sn_lazy_begin(const struct sn_segment_options *o);
/* Do not wait for it: the child makes a thread.  Is it sampled now? */
bool sn_lazy_join(void);
/* This process, and not another one that shares its memory, does not wait any more: it ends. */
void sn_lazy_cancel(void);
/* Nothing is waited for any more. */
void sn_lazy_forget(void);

/* filter.c */

/* Would this filter (struct sock_fprog) let a call without arguments pass?  1, 0, or -errno: it cannot be read. */
int sn_bpf_passes(const void *fprog, long number);

/* family.c */

/* In the child of a fork, before anything is reset; is_inside: its parent had a collector inside. */
void sn_family_note(bool is_inside, int32_t threads);
/* Will this child get its own collector in a moment? */
bool sn_family_settles(void);
/* How many threads the process has. */
int32_t sn_family_threads(void);

/* environ.c */

/* The value of a variable in envp, NULL when it is not there or empty. */
const char *sn_env_find(char *const envp[], const char *name);
/* Does LD_PRELOAD name libsonde.so, or is a variable of ours set? */
bool sn_env_asks_for_us(char *const envp[]);
/* The options of envp; complains of bad ones where the user sees it once.  0 or -EINVAL. */
int sn_env_read(char *const envp[], struct sn_options *o);
/* One line, on stderr if this is the first process of its tree. */
void sn_env_complain(const char *line);
/*
 * Copy the texts to memory of our own: programs write over their environment.  Names of files become absolute: a daemon
 * is in another folder when its collector starts.  0 or -ENOMEM.
 */
int sn_options_keep(struct sn_options *o);

/* masks.c */

/* A mask of the program's as the kernel is to have it, for SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK; and back. */
uint64_t sn_mask_to_kernel(int how, uint64_t set);
uint64_t sn_mask_to_program(uint64_t set);

/* signals.c */

/* Our handler, for this signal; what was there is the program's action.  0 or -errno. */
int sn_signals_install(int sig);
/* In the child of a fork: what its parent had is its own now. */
void sn_signals_forked(void);
/* A system call that we do not see may have put another handler there: that is the program's wish, ours goes back. */
void sn_signals_recheck(void);
/* Is our handler in place, as the kernel says? */
bool sn_signals_is_ours(void);
/* The signal is ignored for real, while a new image starts; heed: our handler is back. */
void sn_signals_ignore(void);
void sn_signals_heed(void);

/* memory.c */

/* A segment of this process's own into s, its header filled.  0 or negative errno. */
int sn_memory_segment(const struct sn_options *o, struct sn_segment *s);
/* Map the next chunk of its rings; one caller at a time.  0, -ENOSPC or -ENOMEM. */
int sn_memory_more(struct sn_segment *s);
/* A number of /proc/self/stat; 0 without /proc. */
uint64_t sn_own_stat(unsigned field);
/*
 * Bytes that we may take of a kind of memory that is limited (RLIMIT_AS, RLIMIT_DATA): an eighth of what the program
 * has left, for it counts on the rest.  UINT64_MAX: there is no limit.  Raw system calls.
 */
uint64_t sn_memory_room(int limit);
/* Give back what sn_memory_segment took; nobody may use it any more. */
void sn_memory_release(struct sn_segment *s);

/* ids.c */

/* The ids of the calling thread are those of the collector's. */
void sn_ids_note(void);

/* calls.c */

/* What the collector inside may call back, but for the end. */
void sn_calls_fill(struct sn_host *host);

/* ends.c */

/*
 * Sampling has begun: watch for the signals that end the process by default (with a collector inside that has
 * something to write or to remove), and for SONDE_DUMP_SIGNAL.
 */
void sn_ends_begin(const struct sn_options *o, bool is_inside);
/* A seccomp filter comes: the actions that end the process are the kernel's own again. */
void sn_ends_seal(void);
/* It did not come. */
void sn_ends_unseal(void);

/* module.c */

struct sn_module {
	sn_collector_fn *run;
	sn_create_fn *create;		/* libc's own pthread_create */
	bool opened;
};

/* Is there room for one more name space? */
bool sn_module_may_open(void);
/* Open libsonde-collect.so in a name space of its own.  0 or negative errno; why is in the log. */
int sn_module_open(struct sn_module *m, char *program, uint32_t program_bytes);

/* inside.c */

/* Start the collector inside this process, from scratch.  0 or negative errno: nothing is sampled then. */
int sn_inside_start(const struct sn_options *o);
/* Does it run in this very process (not: in the parent of this vfork child)? */
bool sn_inside_runs(void);
bool sn_inside_has_segment(void);
/* The process ends: the collector is told, and waited for as long as SONDE_EXIT_WAIT. */
void sn_inside_end(void);
/* One application thread more; one less: the last one takes the collector along. */
void sn_inside_thread_begins(void);
void sn_inside_thread_ends(void);
/* fork: hold it off while a module is half open; in the child: there is no collector here. */
void sn_inside_before_fork(void);
void sn_inside_after_fork(bool is_child);
/* What it was given; its options are those it was started with here or in an ancestor. */
struct sn_host *sn_inside_host(void);
/* The process exits, and the collector writes its last file. */
bool sn_inside_is_ending(void);
/* Of the collector's thread; 0 while it is not known. */
int32_t sn_inside_tid(void);
/* How many threads the program has, as far as they went through us. */
int32_t sn_inside_threads(void);
/* The name that children of this process ask; "" while it is not known. */
const char *sn_inside_socket(void);
/* The same, but a collector that is about to serve is waited for. */
const char *sn_inside_await_socket(void);
/* What it has to complain of (an address that is refused), "" if nothing; waits for it a second at most. */
const char *sn_inside_complaint(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * hot.h - everything that may run in a signal handler or inside a call of the program.
 *
 * Rules (DESIGN §3): no allocation, lock, stdio, dlsym or lazy TLS; errno kept; bounded
 * loops; at most 1 KiB of stack; no system call on the common path.  tests/lint/hot-symbols.sh
 * holds them.  SN_HOT marks a prototype whose function keeps them.
 */
#ifndef SN_HOT_HOT_H
#define SN_HOT_HOT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#include "hot/live.h"
#include "hot/walk.h"
#include "segment/layout.h"

#if defined(__clang__)
#define SN_HOT __attribute__((annotate("sn_hot")))
#else
#define SN_HOT
#endif

/* ring.c */

/*
 * Reserve size bytes (a multiple of 8, header word included) in the ring of a slot.  NULL when
 * there is no room.  The caller fills what follows the first word, then calls sn_ring_publish
 * with the word that it got.  May be interrupted by a handler that pushes into the same ring.
 */
void *sn_ring_reserve(const struct sn_segment *s, uint32_t slot, uint32_t size, uint64_t *word) SN_HOT;
void sn_ring_publish(void *record, uint64_t word) SN_HOT;
/* It needs only the first size bytes (a multiple of 8); 0: it is not to be, and must not be published. */
void sn_ring_trim(const struct sn_segment *s, uint32_t slot, void *record, uint64_t *word, uint32_t size) SN_HOT;
/* There is something for the collector to see in the slot: a record (reserving says so), or figures of lost ones. */
void sn_ring_note(const struct sn_segment *s, uint32_t slot) SN_HOT;

/* slot.c: the slots are a lock-free stack; any thread, also in a handler. */

/* Take a free slot: state CLAIMED, accumulators of the thread zeroed.  SN_NO_SLOT when all are in use. */
uint32_t sn_slot_claim(const struct sn_segment *s) SN_HOT;
/* Give it back.  Its timer must be gone. */
void sn_slot_release(const struct sn_segment *s, uint32_t slot) SN_HOT;

/* Does that thread have a slot?  Also true while any thread is on its way to one: ask again. */
bool sn_slot_has(const struct sn_segment *s, int32_t tid) SN_HOT;

/*
 * Start the CPU-clock timer of thread tid, whose samples go to the slot (just claimed): state ARMED, or UNARMED
 * and counted when the kernel refuses it.  0 or -errno.  Raw system calls: from any thread of the process.
 */
int sn_timer_arm(const struct sn_live_state *live, uint32_t slot, pid_t tid) SN_HOT;
/* The same if the program is being sampled now; else the slot is IDLE until it is.  0 or -errno. */
int sn_slot_begin(const struct sn_live_state *live, uint32_t slot, pid_t tid) SN_HOT;
/* A slot for a thread of this process that has none, and begin.  0, -EEXIST: it has one, -ENOSPC, or -errno. */
int sn_slot_adopt(const struct sn_live_state *live, pid_t tid) SN_HOT;
/* The owner ends: its timer goes, its last record is pushed, its slot is free again. */
void sn_slot_leave(const struct sn_segment *s, uint32_t slot) SN_HOT;

/*
 * The thread in the slot is the calling one and has used up a tick: its timer gives way to a perf event, if that is
 * wanted and to be had.
 */
void sn_slot_use_perf(const struct sn_live_state *live, uint32_t slot) SN_HOT;
/* Its timer, if it has one, expires as often as the pace says, from now on; by the thread in the slot. */
void sn_slot_keep_pace(const struct sn_live_state *live, uint32_t slot) SN_HOT;
/* All threads that are sampled get timers of their own again; why goes into the segment. */
void sn_slots_use_timers(struct sn_live_state *live, uint32_t why) SN_HOT;
/* All timers and events whose thread has none (any more) begin anew: after an exec that failed. */
void sn_slots_restart(const struct sn_live_state *live) SN_HOT;
/*
 * Slot + 1 of the calling thread, 0 while it is not known.  A thread made by a raw clone() may share its creator's:
 * who goes by it compares it with what siginfo says, or with the thread's id.
 */
extern __thread uint32_t sn_own_slot __attribute__((tls_model("initial-exec")));

/* perf.c */

/* A perf event for the thread in the slot.  0; -ENOSPC: no room to keep it; or why the kernel refused. */
int sn_perf_open(const struct sn_live_state *live, uint32_t slot) SN_HOT;
/* Is the calling thread one that a perf event costs little? */
bool sn_perf_suits(void) SN_HOT;
/* It ends, if there is one. */
void sn_perf_close(uint32_t slot) SN_HOT;

/* itimer.c */

/* Arm ITIMER_PROF.  False: it is the program's, or refused. */
bool sn_itimer_start(const struct sn_live_state *live) SN_HOT;
void sn_itimer_stop(void) SN_HOT;
/* The slot of the calling thread, or SN_NO_SLOT: the signal does not say. */
uint32_t sn_itimer_slot(const struct sn_live_state *live) SN_HOT;

/* wish.c */

/* Do what the collector asked for (arm a thread that bypassed pthread_create, drop a dead one's timer). */
void sn_wishes_obey(struct sn_live_state *live) SN_HOT;
/* Arm or disarm all threads that have a slot, until that is what the word `sampling` says; by any thread. */
void sn_sampling_obey(struct sn_live_state *live) SN_HOT;
/* One slot of them.  Nothing is done when another thread is at it: that one looks at the word again. */
void sn_slot_follow(const struct sn_live_state *live, uint32_t slot, bool on) SN_HOT;
/* sn_seal is SN_MUTED now: all timers go.  By a thread that may still make system calls. */
void sn_slots_mute(const struct sn_live_state *live) SN_HOT;

/* cpu.c */

/* One expiry of the slot's timer: credit, thin, and push a record of the stack at uc. */
void sn_cpu_tick(const struct sn_live_state *live, uint32_t slot, int overrun, const ucontext_t *uc) SN_HOT;
/* One period of its perf event.  False: the handler takes so long that the thread hardly gets on. */
bool sn_cpu_period(const struct sn_live_state *live, uint32_t slot, const ucontext_t *uc) SN_HOT;

/* The last record of a thread, pushed by itself after its timer is gone. */
void sn_cpu_thread_exit(const struct sn_segment *s, uint32_t slot, bool has_timer) SN_HOT;

/* filter.c */

typedef int sn_filter_fn(void *arg);
/* Does the program let this thread be sampled? */
bool sn_filter_admits(void) SN_HOT;
/* From now on fn says so; NULL: nobody.  No handler is in the one before when this returns (held up: after 1 s). */
void sn_filter_set(sn_filter_fn *fn, void *arg);
bool sn_filter_is_set(void);
/* In the child of a fork: threads that were asking are not here. */
void sn_filter_forked(void);

/* push.c */

/*
 * A record of the stack at uc into the ring of the slot, whose thread this is; what finds no room is counted.  How long
 * that took.
 */
uint64_t sn_push_sample(const struct sn_live_state *live, uint32_t slot, uint32_t weight, const ucontext_t *uc) SN_HOT;

/*
 * Walk the thread in the slot, by tables or by frame pointers as the options say, into `frames`: at most max.  How
 * many; 0: no table is there yet, and w->end is SN_WALK_UNKNOWN.
 */
uint32_t sn_walk_thread(const struct sn_live_state *live, struct sn_slot *sl, struct sn_walk *w, const ucontext_t *uc,
	uint64_t *frames, uint32_t max) SN_HOT;

/* unwind_copy.c */

/* The interrupted registers, in the order of struct sn_regs. */
void sn_regs_from_ucontext(struct sn_regs *regs, const ucontext_t *uc) SN_HOT;
/*
 * How many bytes of stack, a multiple of 8, can be read from sp up (at most SN_COPY_MAX); sets
 * SN_REC_TRUNCATED in *flags when there is or may be more, SN_REC_NO_STACK when there is none.
 */
uint32_t sn_stack_extent(const struct sn_slot *slot, uint64_t sp, const ucontext_t *uc, uint32_t *flags) SN_HOT;
/*
 * Copy what sn_stack_extent has found.  Outside of the thread's own stack another thread may unmap what lies behind the
 * stack in use meanwhile: then the rest is zeros.
 */
void sn_stack_copy(void *to, uint64_t sp, uint32_t bytes, const struct sn_slot *slot) SN_HOT;
/* 1: process_vm_readv may be called, as there is no filter that could kill for it. */
extern uint32_t sn_stack_vm_reads;

/* handler.c */

/* The handler itself: what is not ours is passed on to the program's action. */
void sn_handler(int sig, siginfo_t *si, void *ucontext) SN_HOT;
/*
 * A forked child has no segment until it burns CPU: its bare timer carries SN_NO_SLOT, and the first tick calls this.
 */
typedef void sn_first_tick_fn(int overrun, const ucontext_t *uc);
extern sn_first_tick_fn *sn_first_tick;
/* Cookie of the newest segment: a late signal of our own timer must never reach the program. */
extern uint32_t sn_newest_cookie;

/* Of a timer or event of ours, or the collector's own. */
bool sn_signal_is_ours(const siginfo_t *si) SN_HOT;

/* foreign.c */

/* The signal that our handler is installed for, in this image and its forked children; 0: none. */
extern uint32_t sn_own_signal;

static inline uint64_t
sn_signal_bit(uint32_t signal)
{
	return signal == 0 ? 0 : 1ull << (signal - 1);
}

/* Blocked in the place of ours where the program blocks ours: Linux has never sent SIGSTKFLT. */
static inline uint64_t
sn_proxy_bit(uint32_t own)
{
	return sn_signal_bit(own == SIGSTKFLT ? SIGPWR : SIGSTKFLT);
}

/* An instance that is not ours: to the program's action, or held while the program blocks it. */
void sn_foreign_deliver(int sig, siginfo_t *si, ucontext_t *uc) SN_HOT;
/* It was taken, and is sent once more: to this thread, or to the process, as it came. */
void sn_foreign_again(int sig, const siginfo_t *si) SN_HOT;
/*
 * What the program wants of our signal: the action that was there before us, then what it asks of sigaction().
 * The newest is in force; any thread may set one, without locks.
 */
const struct sigaction *sn_foreign_action(void) SN_HOT;
void sn_foreign_set(const struct sigaction *a) SN_HOT;
/*
 * Let our signal in on the calling thread; if it was blocked, the proxy is from now on.  fresh: the mask was never
 * ours to translate, and says nothing by the proxy.
 */
void sn_own_signal_through(uint32_t signal, bool fresh) SN_HOT;

#endif

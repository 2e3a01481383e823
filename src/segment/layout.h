/* SPDX-License-Identifier: Apache-2.0
 *
 * layout.h - the shared segment: what the program writes and the collector reads.
 *
 * Runs in:  both sides.  One memfd, made and sized by the collector, every page sparse until it is
 *           touched.  The program maps what comes before the rings, then rings in chunks, as its
 *           threads need them: address space may be limited there, or locked into memory.
 * Memory:   header - written by the collector before the hand-over, then read-only;
 *           texts - written by the collector, see segment/table.h;
 *           shared, slots, rings, maps, frames - written by the program's threads;
 *           wish and each ring's head - written by the collector.
 * Trust:    the program may be hostile or torn.  The collector works from its own copy of
 *           sizes and offsets (struct sn_segment) and checks every index that it reads.
 *
 *	| header | shared | wishes | kin | slots[nslots] | maps start | maps exit | leaves | texts | frames |
 *	| rings[nslots] |
 */
#ifndef SN_SEGMENT_LAYOUT_H
#define SN_SEGMENT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/options.h"
#include "segment/frames.h"
#include "segment/table.h"

#define SN_SEGMENT_MAGIC	0x31656e646e6f7373ull	/* "ssndnde1": any one number will do */
#define SN_SEGMENT_VERSION	5u
#define SN_PAGE			4096u

#define SN_SLOTS_DEFAULT	16384u
#define SN_SLOTS_MAX		16384u
#define SN_SLOTS_FEW		1024u		/* where address space or the size of files is short */
/* Rings are mapped in chunks, as threads need them: of 16, 16, 32, 64 … slots, then always of the most. */
#define SN_CHUNK_SLOTS		16u
#define SN_CHUNK_SLOTS_MOST	256u
#define SN_CHUNKS_GROWING	6u
#define SN_CHUNKS_MAX \
	(SN_CHUNKS_GROWING + (SN_SLOTS_MAX - 2 * SN_CHUNK_SLOTS_MOST) / SN_CHUNK_SLOTS_MOST)
#define SN_RING_COPY		(2u << 20)	/* bytes of a ring whose records carry stack copies */
#define SN_RING_INSIDE	(512u << 10)	/* … in the program's own memory: pages that were touched stay */
#define SN_RING_FRAMES	(256u << 10)	/* … whose records carry frames, and seldom a copy */
#define SN_MAPS_BYTES		(512u << 10)	/* room for one text of /proc/PID/maps */
#define SN_LEAVES		8u		/* texts of before a dlclose that are kept */
#define SN_LEAVE_BYTES		(128u << 10)	/* room for one of them; a longer one is not kept */
#define SN_COPY_MAX		(16u << 10)	/* most bytes of stack in a record */
#define SN_FRAMES_MAX		1024u
#define SN_WISHES		16u
#define SN_NO_SLOT		UINT32_MAX

/* What drives the sampling. */
enum sn_drive { SN_DRIVE_TIMER, SN_DRIVE_PERF, SN_DRIVE_ITIMER };

/* Why it is the timer although another one was asked for or would be better. */
enum sn_drive_why {
	SN_WHY_NONE,
	SN_WHY_REFUSED,			/* the kernel does not let us: perf_errno */
	SN_WHY_SECCOMP,			/* a filter may end the process for trying */
	SN_WHY_SIGNAL,			/* needs SIGPROF */
	SN_WHY_SEALED,			/* the program installed a seccomp filter */
	SN_WHY_SWITCHES,		/* the program switches context too often: each costs */
	SN_WHY_KERNEL,			/* too much of its time is in the kernel, where the engine sees nothing */
	SN_WHY_SLOW,			/* the handler took most of a period */
	SN_WHY_OWN_ITIMER,		/* the program wants ITIMER_PROF for itself */
	SN_WHY_BUDGET,			/* each event costs, however few of them become samples */
};

/*
 * Where nobody named perf: only threads that have used so much CPU time get an event, and only while a context switch
 * comes no oftener than so: each costs about 5 us with an event (measured on VMs), which is to stay below 1 %.
 */
#define SN_PERF_AFTER_NS	20000000u
#define SN_PERF_SWITCH_NS	500000u

/* How stacks are walked. */
enum sn_way {
	SN_WAY_FP,			/* by frame pointers */
	SN_WAY_COPY,			/* records carry registers and stack: the collector unwinds them */
	SN_WAY_TABLE,			/* by tables; what they cannot tell is copied */
	SN_WAY_TABLE_ONLY,		/* … is cut there */
};

/* What sampling the program was asked for; the collector writes it before the hand-over. */
struct sn_segment_options {
	uint64_t period_ns;		/* 1e9 / hz */
	uint64_t tick_ns;		/* interval of the timers */
	uint32_t hz;
	uint32_t signal;
	uint32_t depth;
	uint32_t way;			/* enum sn_way */
	uint32_t idle;			/* 1: arm nothing until the word `sampling` says so */
	uint32_t watch;			/* 1: a thread that is not sampled keeps a slow timer, to see that word */
	uint32_t drive;			/* enum sn_drive */
	uint32_t drive_is_auto;		/* nobody named it: it gives way where it costs too much */
};

struct sn_segment_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;		/* sizeof(struct sn_segment_header) of the writer */
	uint64_t total_bytes;
	uint32_t nslots;
	uint32_t ring_bytes;		/* a power of two */
	uint64_t shared_off, wish_off, kin_off, slots_off, maps_off, frames_off, rings_off;
	uint32_t maps_bytes;		/* of each of the two texts */
	int32_t pid;			/* as the collector sees it */
	uint64_t start_time;		/* field 22 of /proc/PID/stat: tells a reused pid */
	uint64_t mono_ns, real_ns;	/* the same moment by CLOCK_MONOTONIC and CLOCK_REALTIME */
	uint32_t cookie;		/* upper half of sival_ptr of every timer of ours */
	uint32_t reserved;
	struct sn_segment_options options;
	char exe[1024];			/* as /proc/PID/exe said, cut */
};

/* The maps as they were before a dlclose: another library may be mapped there before the samples are read. */
struct sn_segment_leave {
	uint32_t writing;		/* 1: by a thread of the program */
	uint32_t turn;			/* odd while it is written */
	uint32_t generation;		/* of the modules then */
	uint32_t len;			/* 0: nothing here */
};

/* Words that all threads of the program write. */
struct sn_segment_shared {
	uint64_t free_slots;		/* tag << 32 | index + 1 of the first free slot */
	uint64_t pid_inside;		/* getpid() of the owner; hooks compare before they write */
	uint32_t modules_generation;	/* bumped around every dlopen and dlclose */
	uint32_t slots_ready;		/* slots whose rings are mapped in the program (release) */
	uint32_t slots_refused;		/* threads that found no slot */
	uint32_t timers_refused;	/* threads whose timer the kernel refused */
	uint32_t wishes_done;		/* last wish sequence that was obeyed */
	uint64_t maps_start_len;	/* bytes of the first maps text, stored last (release) */
	uint64_t maps_exit_len;		/* … of the second; 0 when nothing changed since the start */
	uint32_t maps_exit_generation;
	uint32_t ended;			/* an exit hook ran */
	uint64_t cpu_at_exit_ns;	/* CPU clock of the process in that hook */
	uint32_t sampling_obeyed;	/* the word `sampling` as the program last made it true (release) */
	uint32_t drive_why;		/* enum sn_drive_why */
	int32_t perf_errno;		/* of SN_WHY_REFUSED */
	uint32_t perf_refused;		/* threads that stayed with a timer: no memory, no descriptor */
	uint32_t perf_begun;		/* threads that had an event */
	uint32_t dumps_asked;		/* signals of SONDE_DUMP_SIGNAL that the process got */
	uint32_t sampled_generation;	/* of the newest sample */
	uint32_t closed_generation;	/* that began with the newest dlclose's end */
	uint32_t closing;		/* so many threads are in dlclose */
	uint32_t text_map;		/* index + 1 of the map of texts in force; 0: none (release; the collector's) */
	uint32_t text_epoch;		/* of that map, counts up (release; the collector's) */
	uint32_t next_leave;
	uint32_t left_generation;	/* of the newest leave */
	struct sn_segment_leave leaves[SN_LEAVES];
	/*
	 * A bit a slot: its ring may hold something.  Set by the owner behind its reservation, taken by the collector
	 * before it looks there, so that it finds the few that have something among thousands that do not.
	 */
	uint64_t news[SN_SLOTS_MAX / 64] __attribute__((aligned(64)));
};

/*
 * Lower half of sival_ptr of the collector's own signal, which makes a thread look at the wishes: no slot has this
 * number.  Whatever the upper half says it never reaches the program: another image may run in the process by now.
 */
#define SN_NUDGE	0x736f6e64u

/* What the collector asks: arm a timer for a thread that has none, or drop the timer of a dead one. */
enum sn_wish_op { SN_WISH_NONE, SN_WISH_ARM, SN_WISH_DISARM };

struct sn_segment_wishes {
	uint32_t posted;		/* sequence of the newest wish (release) */
	uint32_t sampling;		/* 1: threads that have a slot are to be armed; 0: none (release) */
	uint64_t wish[SN_WISHES];	/* op << 32 | tid, at sequence % SN_WISHES; taken by swapping in 0 */
	uint32_t drive_why;		/* enum sn_drive_why: not NONE, all threads go back to timers (release) */
	uint32_t pace;			/* how much coarser than asked, to keep the budget: see SN_PACE */
	uint32_t leaves_seen;		/* of next_leave, at the collector's last look */
	uint32_t pad;
};

/*
 * The pace.  Only one of `every` whole periods of CPU time becomes a sample, and stands for all of them: weights stay
 * in periods.  And a timer may expire every so many ticks only, when its thread has seen its first two.  0: as asked.
 */
#define SN_PACE_EVERY_MAX	100u
#define SN_PACE_TICKS_MAX	8u	/* what one signal may credit to a stack: see hot/cpu.c */
#define SN_PACE(every, ticks)	(((ticks) - 1) << 16 | ((every) - 1))

static inline uint32_t
sn_pace_every(uint32_t pace)
{
	uint32_t every = (pace & 0xffff) + 1;

	return every < SN_PACE_EVERY_MAX ? every : SN_PACE_EVERY_MAX;
}

static inline uint32_t
sn_pace_ticks(uint32_t pace)
{
	uint32_t ticks = (pace >> 16) + 1;

	return ticks < SN_PACE_TICKS_MAX ? ticks : SN_PACE_TICKS_MAX;
}

/*
 * The one page that children inherit: what was never sampled (a child that ended before its first tick, or was made
 * behind libc's back) adds its CPU time here when it ends.
 */
struct sn_segment_kin {
	uint64_t cpu_ns;
	uint64_t count;			/* of processes */
};

/*
 * Who moves a slot out of ARMED, IDLE or UNARMED (by a CAS) owns its timer until it stores the next state.  An
 * owner thread that ends while another thread is at its timer sets LEFT: that one then cleans up.
 */
enum sn_slot_state {
	SN_SLOT_FREE,			/* in the list of free slots */
	SN_SLOT_CLAIMED,		/* a thread is on its way */
	SN_SLOT_ARMED,			/* its timer runs */
	SN_SLOT_UNARMED,		/* owned by a thread whose timer was refused */
	SN_SLOT_IDLE,			/* owned by a thread that is not to be sampled now: no timer, or a slow one */
	SN_SLOT_ARMING,			/* somebody is making its timer */
	SN_SLOT_DISARMING,		/* … is deleting it */
	SN_SLOT_LEFT,			/* … and finds its thread gone when that is done */
};

/* What drives the sampling of the thread in a slot. */
enum sn_slot_drive {
	SN_BY_TIMER,			/* … of its own, or the process's ITIMER_PROF */
	SN_BY_PERF,			/* a perf event, which does not see the kernel */
	SN_BY_TIMER_ONLY,		/* perf was refused, or too slow */
};

/*
 * One slot: the owner thread's accumulators and the positions of its ring.  All are read by
 * the collector at any time; only the owner thread writes them, but for head.
 */
struct sn_slot {
	uint32_t state;			/* enum sn_slot_state */
	uint32_t next_free;		/* index + 1, while free */
	int32_t tid;			/* as the program sees it */
	int32_t timer_id;		/* -1: none */
	uint32_t uses;			/* how many threads had this slot, the present one included */
	uint32_t is_main;
	uint64_t start_fn;		/* where the thread began */
	uint64_t stack_lo, stack_hi;	/* bounds of its stack; 0, 0 unknown */
	uint64_t cpu_at_arming_ns;	/* its CPU clock when it got this slot; stays when it is armed again */
	uint64_t acc_ns;		/* credited time not yet in a sample; survives the thread */
	uint64_t credited_ns;		/* of this thread */
	uint64_t signals;		/* these four: since the segment began */
	uint64_t handler_ns;
	uint64_t lost_records;
	uint64_t lost_weight;
	uint64_t resv;			/* ring position reserved up to, in bytes since the segment began */
	uint64_t pushed_weight;		/* since the segment began: samples that found room */
	uint32_t drive;			/* enum sn_slot_drive */
	uint32_t slow_rounds;		/* handlers in a row that took too long */
	/* from here on a cache line that the handler reads, but where there is a filter */
	uint64_t head;			/* consumed up to; the collector's */
	uint64_t filtered_weight;	/* since the segment began: samples that the program's filter refused */
	uint64_t periods;		/* whole periods credited; from a random number on, as acc_ns is */
	uint32_t more_ticks;		/* its timer expires each tick, or after so many more */
	uint32_t reading;		/* text_epoch + 1 from when the owner reads a map of texts; 0: it does not */
	uint64_t pad1[4];
};
_Static_assert(sizeof(struct sn_slot) == 192, "slot layout is part of SN_SEGMENT_VERSION");

/*
 * Ring record.  The first word publishes it: BUSY | PAD | own position / 8 | bytes.
 * A reader takes a record only if the position is the one it reads at and BUSY is clear,
 * so that neither a half-written nor an old record can pass.
 */
#define SN_REC_BUSY		(1ull << 63)
#define SN_REC_PAD		(1ull << 62)
#define SN_REC_POS_SHIFT	24
#define SN_REC_POS_MASK		((1ull << 38) - 1)
#define SN_REC_SIZE_MASK	((1ull << 24) - 1)

static inline uint64_t
sn_rec_word(uint64_t pos, uint64_t size)
{
	return ((pos / 8 & SN_REC_POS_MASK) << SN_REC_POS_SHIFT) | size;
}

enum sn_rec_kind { SN_REC_STACK = 1, SN_REC_FRAMES = 2, SN_REC_EXIT = 3 };
enum sn_rec_flag {
	SN_REC_TRUNCATED = 1,		/* cut at the limit of frames or of copied bytes */
	SN_REC_NO_STACK = 2,		/* the stack pointer lay in unreadable memory */
	SN_REC_IS_MAIN = 4,		/* the process's first thread */
	SN_REC_NO_TIMER = 8,		/* of an exit: the kernel refused the thread's timer */
	SN_REC_FAILED = 16,		/* the walk ended where it could not go on */
	SN_REC_GUESSED = 32,		/* a frame was found without CFI */
};

struct sn_rec {
	uint64_t word;
	uint16_t kind;
	uint16_t nframes;		/* SN_REC_FRAMES */
	uint32_t flags;
	int32_t tid;
	uint32_t weight;		/* in periods */
	uint64_t time_ns;		/* CLOCK_MONOTONIC */
	uint64_t start_fn;
	uint32_t generation;		/* of the modules */
	uint32_t stack_bytes;		/* SN_REC_STACK: bytes that follow the registers, from SP up */
};
_Static_assert(sizeof(struct sn_rec) == 48, "record layout is part of SN_SEGMENT_VERSION");

/* SN_REC_FRAMES goes on with uint64_t frames[nframes], leaf first, as hot/walk.h gives them. */

/* SN_REC_STACK goes on with struct sn_regs and stack_bytes of stack. */
#if defined(__x86_64__)
/* In the numbering of DWARF: rax rdx rcx rbx rsi rdi rbp rsp r8 … r15, return address column. */
#define SN_NREGS	17
#define SN_REG_SP	7
#define SN_REG_PC	16
#define SN_REG_FP	6
#elif defined(__aarch64__)
/* x0 … x30, sp, then pc in a place of our own. */
#define SN_NREGS	33
#define SN_REG_SP	31
#define SN_REG_PC	32
#define SN_REG_FP	29
#endif

struct sn_regs {
	uint64_t r[SN_NREGS];
};

/* SN_REC_EXIT goes on with this: the last word on a thread. */
struct sn_rec_exit {
	uint64_t cpu_ns;		/* its CPU clock */
	uint64_t credited_ns;
	uint64_t cpu_at_arming_ns;
	char comm[16];
};

/* A segment as mapped here, with sizes that were checked once and are never read again. */
struct sn_segment {
	uint8_t *base;
	uint64_t bytes;
	const struct sn_segment_header *header;
	struct sn_segment_shared *shared;
	struct sn_segment_wishes *wishes;
	struct sn_segment_kin *kin;	/* NULL: children do not inherit it here */
	struct sn_slot *slots;
	uint8_t *maps;
	struct sn_text_map *texts;	/* SN_TEXT_MAPS of them */
	const uint8_t *tables;		/* the store as mapped here; NULL: not */
	uint32_t tables_bytes;		/* … so far */
	struct sn_segment_frames *frames;
	uint8_t *ring_chunk[SN_CHUNKS_MAX];	/* NULL: not mapped here */
	uint64_t rings_off;
	uint32_t nslots;
	uint32_t ring_bytes;
	uint32_t maps_bytes;
	uint32_t cookie;
};

/* Bytes that a segment of these sizes takes. */
uint64_t sn_segment_size(uint32_t nslots, uint32_t ring_bytes);

/* What of the options the program's side must know. */
void sn_segment_options_from(struct sn_segment_options *so, const struct sn_options *o);

/* Write the header of a fresh, zeroed segment of sn_segment_size() bytes. */
void sn_segment_format(void *base, uint32_t nslots, uint32_t ring_bytes, uint32_t cookie,
	const struct sn_segment_options *options);

/*
 * Check a header and fill s.  bytes: how much is mapped at base, at least all that comes before the rings;
 * rings beyond it have no chunk yet.  0, or -EPROTO: not a segment of this version, or sizes that do not fit.
 */
int sn_segment_open(struct sn_segment *s, void *base, uint64_t bytes);

/* Where chunk n of the rings lies in the memfd, and its bytes: of nslots the last one may have fewer; 0 if none. */
uint64_t sn_segment_chunk(const struct sn_segment *s, uint32_t n, uint64_t *bytes);

/* So many slots have their rings once the chunk is mapped in which the slot `ready` lies. */
uint32_t sn_segment_ready_after(const struct sn_segment *s, uint32_t ready);

/* Put all slots into the free list; the program's side, once, before any thread uses it. */
void sn_segment_fill_free_list(struct sn_segment *s);

static inline uint8_t *
sn_segment_leave_text(const struct sn_segment *s, uint32_t n)
{
	return s->maps + 2ull * s->maps_bytes + (uint64_t)n * SN_LEAVE_BYTES;
}

/* The chunk in which a slot's ring lies, and the first slot of a chunk. */
static inline uint32_t
sn_chunk_of(uint32_t slot)
{
	if (slot < SN_CHUNK_SLOTS)
		return 0;
	if (slot >= 2 * SN_CHUNK_SLOTS_MOST)
		return SN_CHUNKS_GROWING + (slot - 2 * SN_CHUNK_SLOTS_MOST) / SN_CHUNK_SLOTS_MOST;
	return 28u - (uint32_t)__builtin_clz(slot);
}

static inline uint32_t
sn_chunk_first(uint32_t n)
{
	if (n == 0)
		return 0;
	if (n >= SN_CHUNKS_GROWING)
		return 2 * SN_CHUNK_SLOTS_MOST + (n - SN_CHUNKS_GROWING) * SN_CHUNK_SLOTS_MOST;
	return SN_CHUNK_SLOTS << (n - 1);
}

static inline uint8_t *
sn_segment_ring(const struct sn_segment *s, uint32_t slot)
{
	uint32_t n = sn_chunk_of(slot);

	return s->ring_chunk[n] + (uint64_t)(slot - sn_chunk_first(n)) * s->ring_bytes;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * process.h - one profiled process: its segment, modules, threads and profile.
 *
 * Runs in:  collector.  Reads the segment and /proc/PID, never a pointer of the program.
 * Memory:   the struct owns all it points to but images (shared, counted).
 */
#ifndef SN_COLLECT_PROCESS_H
#define SN_COLLECT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/options.h"
#include "collect/history.h"
#include "collect/module.h"
#include "collect/profile.h"
#include "collect/unwind.h"
#include "segment/host.h"
#include "segment/layout.h"

struct sn_counters {
#define SN_COUNTER(field, name, what) uint64_t field;
#include "base/counters.def"
};

/* The name of a thread, and when it was read. */
struct sn_comm {
	int32_t tid;
	char text[16];
	uint64_t read_ns;
};

/* What was last seen of the thread in a slot. */
struct sn_thread_view {
	uint32_t uses;		/* of the slot when this thread had it; 0: none yet */
	int32_t tid;
	uint64_t start_fn;
	uint64_t cpu_ns;	/* its CPU clock at the last scan */
	uint64_t credited_ns;	/* … and what was credited then */
	uint64_t base_ns;	/* CPU clock when it got its slot */
	int64_t off_cpu_ns, off_credited_ns;	/* of both clocks: from when nothing was to be sampled */
	/* What was taken of it already: into the sums, into its group, and there as [unsampled thread]. */
	int64_t accounted_ns, residual_ns, blocked_ns, kernel_ns;
	int64_t refused_ns;
	bool is_main, closed;	/* closed: its residual has been taken */
	bool refused;		/* no timer */
	bool blocks_signal;
	bool blocked_before;		/* when we last looked, */
	int64_t looked_at_ns;		/* and what was not credited then */
	uint32_t drive;		/* enum sn_slot_drive */
	uint64_t perf_cpu_ns, perf_credited_ns, switches;	/* with a perf event, at the last scan that was sharp */
	uint8_t gone;		/* scans since its slot was found free, or the thread missing */
	bool timer_left;	/* it ended without taking its timer along */
	struct sn_comm comm;
	uint64_t lost_weight, lost_records;	/* of the slot, up to here */
	uint64_t filtered_weight;		/* of the slot: what its program's filter refused, up to here */
	uint64_t taken_weight;			/* of the slot: samples that came through its ring */
	uint64_t read_pos;			/* of the slot's ring: taken up to here; its head, or a little more */
	uint64_t stuck_pos, stuck_since_ns;	/* a record that stays half written */
	uint64_t signals;			/* of the slot, when its clock was last read */
	uint32_t looked;			/* in which scan that was */
};

/* A thread of the program that has no slot: it bypassed pthread_create. */
struct sn_stray {
	pid_t tid;
	uint64_t cpu_ns;
	uint32_t asked;		/* how often it was wished for */
	bool seen;		/* in the scan at hand */
};
#define SN_STRAYS_MAX 64

/* What was used and what that cost, up to a moment or in a span. */
struct sn_spent {
	uint64_t time_ns;		/* CLOCK_MONOTONIC */
	uint64_t cpu_ns;		/* of the program, while it was sampled */
	uint64_t signal_ns;		/* the kernel's, to deliver our signals: goes with the timers' interval */
	uint64_t handler_ns;		/* the handler's; of a span it is in sample_ns */
	uint64_t sample_ns;		/* ours, for each sample */
	uint64_t fixed_ns;		/* ours at any rate */
};

/* The rate is lowered by these factors at most; see governor.c. */
#define SN_PACES 8
extern const uint32_t sn_paces[SN_PACES];
#define SN_SPENT_KEPT 24

struct sn_governor {
	uint32_t pace;			/* index of the factor in force */
	uint64_t image_ns;		/* CLOCK_MONOTONIC: when the image began */
	uint64_t since_ns;		/* CLOCK_MONOTONIC: when that began; 0 not yet */
	uint64_t in_force_ns[SN_PACES];	/* before that */
	uint64_t hold_ns, raised_ns;	/* how long a rate is kept before a higher one is tried; when that was */
	struct sn_spent spent[SN_SPENT_KEPT];	/* in order of time, all at the rate in force */
	uint32_t spent_count;
	uint64_t signals, delivery_ns;	/* of all signals up to here */
};

/* The figures of the process at a moment at which rings and clocks were read: spans begin and end there. */
struct sn_cut {
	uint64_t time_ns, until_ns;	/* CLOCK_MONOTONIC; nothing changed in between */
	uint64_t cpu_ns;		/* kernel's figure, less the time without sampling */
	uint64_t weights, weight_squares;
	struct sn_counters count;
	uint64_t in_force_ns[SN_PACES];		/* each rate, up to time_ns */
	uint32_t pace;				/* from there to until_ns */
};

/* What history has been told of a group. */
struct sn_told {
	int64_t residual_ns, blocked_ns, kernel_ns;
};

/* One sample, or what stands for some. */
struct sn_seen {
	uint32_t stack, label, group;
	int32_t tid;
	uint64_t weight, time_ns;
};

/* How far the maps of texts are. */
enum sn_texts { SN_TEXTS_NONE, SN_TEXTS_WAIT, SN_TEXTS_DONE };

/* What perf events cost the threads that have them, and what they do not see. */
struct sn_perf_cost {
	uint64_t cpu_ns, switches;
	int64_t unseen_ns;
	uint32_t rounds;		/* judged in a row in which too much was not seen */
};

struct sn_process {
	pid_t pid;
	uint64_t start_time;	/* field 22 of its stat; exec does not change it */
	bool is_first;		/* the command of `sonde run` */
	bool ended;
	uint32_t images;	/* programs that this pid has run under us */
	char exe[1024];		/* of the newest image */
	uint64_t began_mono_ns, began_real_ns, ended_mono_ns;

	/* The newest image. */
	int memfd;
	bool has_segment;
	struct sn_segment seg;
	struct sn_thread_view *views;	/* nslots of them, mapped */
	size_t views_bytes;
	uint32_t slots_used;		/* slots beyond were never claimed */
	uint32_t slots_most;		/* of all images */
	struct sn_modules *modules;
	struct sn_unwinder *unwinder;
	uint32_t generation;		/* of the modules that we know */
	uint64_t modules_read_ns;
	uint64_t unknown_wait_ns;	/* that long after it nothing new is looked for */
	bool modules_left;		/* … is that of before a dlclose: there is nothing newer to learn of it */
	struct sn_stray strays[SN_STRAYS_MAX];
	uint32_t stray_count;
	uint64_t ring_touched;		/* bytes of rings that hold pages */
	uint32_t drain_first;		/* slot at which the next drain begins */
	uint64_t pending[SN_SLOTS_MAX / 64];	/* a bit a slot that has, or had at the last look, something to take */
	uint32_t scans;			/* how many there were */
	uint32_t look_next;		/* slot at which those that seem to do nothing are looked at next */
	int64_t rest_known_ns;		/* what no thread accounts for, when all had been looked at */
	uint64_t strays_next_ns;	/* when the list of threads may be read again */
	uint64_t samples_before;	/* … this image began */
	struct sn_comm passing;		/* of a thread whose slot has another one by now */

	/* All images. */
	struct sn_modules **old_modules;	/* frames of the profile point into them */
	uint32_t old_modules_count;
	struct sn_profile profile;
	uint32_t depth;
	uint64_t labels;
	uint64_t accounted_ns;		/* CPU time of threads that were settled */
	uint64_t cpu_ns;		/* CPU clock of the process, newest reading; inside: less our thread's */
	bool cpu_is_final;		/* … which was taken after its last instruction, or in its exit hook */
	size_t memory_bound;		/* half: profile, a quarter: rings, an eighth: history, an eighth: a window */
	struct sn_segment_kin kin_before;	/* what the image's children had left when that was last looked at */
	uint64_t left_ns;		/* CPU time that children left word of, as far as it is taken */
	int64_t kin_ns;			/* CPU time of children that is in no profile of theirs; see kin.c */
	struct sn_counters count;
	uint64_t weights, weight_squares;	/* of all samples: how much their number is worth */
	struct sn_images *file_images;
	struct sn_host *host;		/* NULL: outside */
	pid_t own_tid;			/* inside: our thread, whose CPU time is not the program's */
	uint64_t own_ns, own_before_ns;	/* … its clock, and those of the threads that ran us before */
	bool is_settled;
	struct sn_perf_cost perf_cost;	/* since it was last judged */
	const char *engine;		/* of the newest image, once that has ended */
	char engine_why[200];
	uint32_t way;			/* enum sn_way of the newest image */
	bool burns;			/* a tick of it has come */
	enum sn_texts texts_state;	/* of its newest modules */
	uint64_t texts_read_ns;		/* when these were read for it */
	uint32_t texts_epoch, texts_retired[SN_TEXT_MAPS];	/* see tables.c; 0: never in force */
	struct sn_jit *jit;		/* code that it registered; NULL: none */
	uint64_t tables_of;		/* serial of the store that it has mapped; 0: none */
	uint32_t leaves_seen;		/* of seg.shared->next_leave */
	uint32_t dumps_done;		/* of seg.shared->dumps_asked */
	bool is_dumping;

	/* Sampling on and off. */
	bool sampling;			/* is wanted */
	bool was_off;			/* for some time at least */
	uint64_t off_ns;		/* CPU time of the process while it was not wanted, without the present one */
	uint64_t off_since_ns;		/* CPU clock when it was last switched off */

	struct sn_governor governor;

	/* Spans. */
	struct sn_history history;
	struct sn_cut *cuts;		/* in order of time */
	uint32_t cut_count, cut_cap;
	uint64_t newest_row_ns;
	bool rows_since_cut;
	struct sn_told *told;		/* of each group */
	uint32_t told_count;
	int64_t told_rest_ns;
	uint32_t holders;		/* who needs it besides its owner: sn_process_free takes one off */
	struct sn_process *next;
};

/* Sums of figures that a hostile program may have made up: they wrap, as nothing worse must happen. */
static inline int64_t
sn_sum(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t
sn_difference(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* process.c */

/* NULL when out of memory. */
struct sn_process *sn_process_new(pid_t pid, const struct sn_options *o, struct sn_images *images);
void sn_process_free(struct sn_process *p);

/*
 * A new program begins in this process: settle the one before, make a segment for it.  parent: the
 * process that forked this one, or NULL.  max_slots 0: as many as we like.  0 or -errno; p->memfd then is
 * the descriptor to hand over.
 */
int sn_process_begin_image(struct sn_process *p, const struct sn_options *o, uint32_t max_slots,
	const struct sn_process *parent);

/* Newest CPU clock of the process, 0 once it is gone for good.  Works on a zombie. */
uint64_t sn_process_read_cpu(struct sn_process *p);

/*
 * The process has ended: last drain, last clocks, residuals, comments.  own_cpu_ns: CPU that the
 * collector used for this process, for the comment.
 */
int sn_process_finish(struct sn_process *p, const struct sn_options *o, uint64_t own_cpu_ns);

/* A profile of a span of time, ready to encode; its modules are the process's. */
struct sn_window {
	struct sn_profile profile;
	uint64_t from_ns, to_ns;	/* really covered, CLOCK_MONOTONIC */
	bool is_cut;			/* what was asked for reaches back beyond what is kept */
};

/*
 * A span begins or ends now: take what is in the rings and the newest clocks of all threads, so that the sums of
 * a span that is cut here are right.  Returns the moment (CLOCK_MONOTONIC).
 */
uint64_t sn_process_mark(struct sn_process *p, const struct sn_options *o);

/*
 * The profile of from_ns < time <= to_ns, settled, with comments as a file has them; of a running or an ended
 * process.  Its ends are moved outwards to where the clocks were read: not at all where sn_process_mark said it,
 * else by a second or so; out has the span that it covers.
 * own_cpu_ns: CPU that the collector used for this process in that span.  0, -EINVAL or -ENOMEM; free the profile
 * after.
 */
int sn_process_window(struct sn_process *p, const struct sn_options *o, uint64_t from_ns, uint64_t to_ns,
	uint64_t own_cpu_ns, struct sn_window *out);

/* The same from the process's start until now, from its cumulative profile: what the file at its end would hold. */
int sn_process_so_far(struct sn_process *p, const struct sn_options *o, uint64_t own_cpu_ns, struct sn_window *out);

/*
 * SONDE=idle: begin or end sampling.  The clocks of all threads are taken first, so that time without sampling
 * is in no profile; what is used from then on is, if only as [not sampled].  From outside the program obeys when one
 * of its threads next runs; call sn_process_scan often until sn_process_is_sampling() agrees.
 */
void sn_process_set_sampling(struct sn_process *p, const struct sn_options *o, bool on);
/* Nothing that was used up to now is in a profile: the program began long before us, or is sampled again. */
void sn_process_begin_late(struct sn_process *p, const struct sn_options *o);
/* Does the program do what it is wanted to: sample, or not?  True without a program to ask. */
bool sn_process_is_sampling(const struct sn_process *p);

/* Inside: the segment is the program's own (host->segment), its pid ours.  0 or -errno. */
int sn_process_adopt(struct sn_process *p, const struct sn_options *o, struct sn_host *host);

/* The path of the program that this pid runs, into p->exe. */
void sn_process_read_exe(struct sn_process *p);

/* A number of /proc/PID/stat, fields counted from 1 as in proc(5), from the 4th on; 0 when it is gone. */
uint64_t sn_proc_stat(pid_t pid, unsigned field);

/* Fetch /proc/PID/maps (or, when the process is gone, the text it left).  0 or -errno. */
int sn_process_refresh_modules(struct sn_process *p);

/* Have the modules that a record of this generation was taken among, as far as they are known. */
void sn_process_modules_of(struct sn_process *p, uint32_t generation);

/* rings.c */

/*
 * Map the rings of slots up to this one, which the program is about to use.  0; -ENOSPC: there is no such slot; or why
 * it cannot be done: the program is not given those either then.
 */
int sn_process_map_rings(struct sn_process *p, uint32_t slot);
/* Of an image that is over: rings and all. */
void sn_process_unmap(struct sn_process *p);
/* Find slots that were claimed by now, and which of all have something to take: p->slots_used, p->pending. */
void sn_process_find_news(struct sn_process *p);
/* The first slot with something to take, from this one on; UINT32_MAX: none. */
uint32_t sn_process_next_pending(const struct sn_process *p, uint32_t from);

/* drain.c */

/* One record as taken from a ring, private to the collector and checked: payload_bytes follow rec. */
struct sn_record {
	struct sn_rec rec;
	uint8_t payload[sizeof(struct sn_regs) + SN_COPY_MAX];
	uint32_t payload_bytes;
};
typedef void sn_record_fn(void *ctx, uint32_t slot, const struct sn_record *record);

struct sn_drain_result {
	uint32_t records;	/* given to fn */
	uint32_t bad;		/* records that did not pass the checks; the ring was skipped up to its end */
	uint64_t consumed;	/* bytes */
	bool stuck;		/* a record is still being written */
};

/*
 * Take up to max_records from one ring, oldest first; wipes them, and with punch gives whole pages of them
 * back: to the memfd, or with -1 to the shared anonymous mapping that the segment then is.  The ring's head then stays
 * behind, where the page at hand begins: what was taken of that page is not the owner's to write yet.
 * *pos: up to where was taken; in and out, the head at first.
 */
struct sn_drain_result sn_drain_ring(const struct sn_segment *s, uint32_t slot, uint32_t max_records, int memfd,
	bool punch, uint64_t *pos, sn_record_fn *fn, void *ctx);

/* The name that the thread tid left in its last record, if that is still in the ring of the slot, from pos on. */
bool sn_ring_find_exit(const struct sn_segment *s, uint32_t slot, uint64_t pos, int32_t tid, char comm[16]);

/*
 * Take what is in all rings of the process into its profile, at most max_records.  Returns how many
 * were taken; *fullest: the highest fill level found, in 1/256 of a ring.
 */
uint32_t sn_process_drain(struct sn_process *p, uint32_t max_records, uint32_t *fullest);

/* How many texts of before a dlclose were left since the last call: there is room for SN_LEAVES of them. */
uint32_t sn_process_leaves(struct sn_process *p);

/* The image has ended: whatever is left, and what never came as [lost]. */
void sn_process_drain_last(struct sn_process *p);

/* sample.c */

/* One sample or thread's end into the profile; ctx is the process. */
void sn_process_take(void *ctx, uint32_t slot, const struct sn_record *record);

/* A sample, or what stands for some, into the profile and the history.  time_ns: UINT64_MAX is now. */
void sn_process_count(struct sn_process *p, const struct sn_seen *seen);

/* threads.c */

/*
 * Read the CPU clocks of the process's threads, ask for those that have no timer.  Of thousands that seem to do nothing
 * some are looked at each time, in turn; more where much is not accounted for.
 */
void sn_process_scan(struct sn_process *p, uint32_t signal);
/* The CPU clock of a thread that may be a zombie, into the view.  False: it cannot be read. */
bool sn_process_last_clock(struct sn_process *p, struct sn_thread_view *v);
/* The name of the thread in the slot, read again now and then. */
const char *sn_process_comm(struct sn_process *p, uint32_t slot, int32_t tid);
/* All clocks are read and skipped: what was used up to here is in no profile. */
void sn_process_skip_all(struct sn_process *p);

int sn_process_make_views(struct sn_process *p, uint32_t nslots);

/* account.c */

/* The thread in this view has these figures now: take what is new of its residual. */
void sn_process_account(struct sn_process *p, struct sn_thread_view *v, uint64_t cpu_ns, uint64_t credited_ns);
/* What it used since it was last looked at is not to be accounted for. */
void sn_process_skip(const struct sn_process *p, struct sn_thread_view *v, uint64_t cpu_ns, uint64_t credited_ns);
/* The thread in this view has ended with these figures: its residual is final. */
void sn_process_close_thread(struct sn_process *p, struct sn_thread_view *v, uint64_t cpu_ns, uint64_t credited_ns);
/* All threads of the image end here, by the best figures that there are. */
void sn_process_close_all(struct sn_process *p);
/* The view of a slot, made to fit the thread that has it now. */
struct sn_thread_view *sn_process_view(struct sn_process *p, uint32_t slot);

/* engine.c */

/* So much was used, switched and not seen by a thread with a perf event since the scan before. */
void sn_process_perf_cost(struct sn_process *p, uint64_t cpu_ns, uint64_t switches, int64_t unseen_ns);
/* Is perf still worth it?  Once a scan; if not, the program goes back to timers. */
void sn_process_judge_perf(struct sn_process *p);
/* May its threads have perf events now? */
bool sn_process_uses_perf(const struct sn_process *p);
/* The engine in force, by name; *why (may be NULL): a line about it. */
const char *sn_process_engine(const struct sn_process *p, char why[200]);

/* governor.c: SONDE_BUDGET */

/* Is there a budget to keep?  A rate that was named comes before one that was not. */
bool sn_governor_is_bound(const struct sn_options *o);
struct sn_tempo {
	uint32_t pace;			/* index in sn_paces */
	uint64_t period_ns, tick_ns;	/* tick_ns 0: the interval of the timers stays as it is */
};
/*
 * The index in sn_paces that is best after a span of this cost, all of it at this tempo, for so many parts of a million
 * of its CPU time.  hold_ns: no higher rate before so much time.
 */
uint32_t sn_governor_decide(const struct sn_spent *span, const struct sn_tempo *now, uint64_t budget_ppm,
	uint64_t hold_ns);
/*
 * Once a scan: keep the budget.  own_ns: CPU time of the collector for this process up to now; sample_ns: the part of
 * it that went into taking samples.
 */
void sn_process_govern(struct sn_process *p, const struct sn_options *o, uint64_t own_ns, uint64_t sample_ns);
/* A new segment: the rate that is in force is told to it; what it costs at its beginning does not count. */
void sn_process_begin_pace(struct sn_process *p);
/* What the kernel took to deliver so many signals of the process's, all since its start. */
uint64_t sn_process_delivery(const struct sn_process *p, uint64_t signals);
/* How long each rate was in force up to now, SN_PACES of them. */
void sn_process_paces(const struct sn_process *p, uint64_t *in_force_ns);
/* What the kernel's figure has beyond all rows and residuals of a profile of all since the start. */
int64_t sn_process_rest(const struct sn_process *p, const struct sn_profile *prof);

/* kin.c: children that were never sampled */

/* The image ends, or its sampling: what its children left in the segment goes into the process. */
void sn_process_take_kin(struct sn_process *p);
/* What they left up to now was while nothing was to be sampled. */
void sn_process_skip_kin(struct sn_process *p);
/* A process of the tree has ended without a sample: p, which goes on, tells of it. */
void sn_process_take_unsampled(struct sn_process *p, const struct sn_process *child);
/* … with a profile: what that has more, or less, than the kernel's figure. */
void sn_process_take_rest(struct sn_process *p, const struct sn_process *child);
/* The CPU time of p and of those who left word with it. */
uint64_t sn_process_with_kin(const struct sn_process *p);
/* The kernel says that p and its children used so much, of which others' profiles have that. */
void sn_process_take_tree(struct sn_process *p, uint64_t tree_ns, uint64_t others_ns);
/* How many there are that the process has not taken yet. */
uint64_t sn_process_kin_count(const struct sn_process *p);
/* Their row; after prof was settled: the kernel's figure of the process is without them.  0 or -ENOMEM. */
int sn_process_add_kin(const struct sn_process *p, struct sn_profile *prof);

/* cut.c */

/* All that is known of the process's sums goes into the history, and a span can begin or end here.  The moment. */
uint64_t sn_process_cut(struct sn_process *p);
/* Now and then: a cut, so that spans of the past find one near. */
void sn_process_tick(struct sn_process *p);
/* Where history begins. */
void sn_process_first_cut(struct sn_process *p);
/* The kernel's figure of the process, less the time without sampling. */
uint64_t sn_process_sampled_cpu(const struct sn_process *p);

/* comments.c */

/* What the comments of a profile say, of its span. */
struct sn_figures {
	struct sn_counters count;
	uint64_t weights, weight_squares;	/* of all samples: how much their number is worth */
	uint64_t own_cpu_ns;
	uint64_t in_force_ns[SN_PACES];
	bool is_span;				/* not all since the process's start */
};
/* The figures since the start. */
void sn_process_figures(const struct sn_process *p, struct sn_figures *out);
/* Fill what every profile of the process has: engine, rates, main module, comments; cpu_ns is set.  0 or -ENOMEM. */
int sn_process_describe(const struct sn_process *p, const struct sn_options *o, const struct sn_figures *f,
	struct sn_profile *prof);

#endif

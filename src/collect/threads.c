/* SPDX-License-Identifier: Apache-2.0
 *
 * threads.c - what the kernel says of the program's threads: CPU clocks, names, and those that
 * have no timer.
 *
 * Runs in:  collector, a few times a second and when a process ends.
 * Sources:  /proc/PID/task/TID/{schedstat,comm,status}.  Where thread ids differ between the
 *           program's pid namespace and ours, only what the program itself left is used.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"

#define COMM_AGAIN_NS	SN_NS_PER_SEC		/* names change: read them again so often */
#define BLOCKED_NS	(SN_NS_PER_SEC / 50)	/* more uncredited time than this makes us look at the mask */
#define ASK_MAX		5
#define QUEUE_MARGIN	128			/* signals that must have room in the queue before we send one */
/*
 * Threads that took no signal since their clock was read are looked at so many at a time, in turn: 4 us each.  With
 * few threads that is all of them, with 10,000 each comes up once in 40 s; as long as something is missing in 5 s.
 */
#define LOOKS		64
#define LOOKS_MISSING	512
#define MISSING_NS	(SN_NS_PER_SEC / 200)
#define LONG_LIST_NS	(SN_NS_PER_SEC / 1000)	/* a list of threads that takes longer to read is read seldom: */
#define STRAYS_SHARE	200			/* it takes at most 0.5 % of our time */

/* Read a small file under /proc/PID/task/TID into text (NUL-terminated).  Length, or -errno. */
static ssize_t
read_task(pid_t pid, int32_t tid, const char *what, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);		/* a file of /proc that is so small comes whole */
	if (n < 0)
		n = -errno;
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

/* Are thread ids as the program sees them the same as ours? */
static bool
same_pid_namespace(const struct sn_process *p)
{
	return SN_LOAD_RELAXED(&p->seg.shared->pid_inside) == (uint64_t)p->pid;
}

/* schedstat: time on a CPU, time it waited for one, and how often it was given one. */
static bool
read_schedstat(const struct sn_process *p, int32_t tid, uint64_t *cpu_ns, uint64_t *switches)
{
	char text[128], *end;

	if (read_task(p->pid, tid, "schedstat", text, sizeof(text)) <= 0)
		return false;
	*cpu_ns = strtoull(text, &end, 10);
	(void)strtoull(end, &end, 10);
	*switches = strtoull(end, NULL, 10);
	return true;
}

static bool
read_cpu(const struct sn_process *p, int32_t tid, uint64_t *cpu_ns)
{
	uint64_t switches;

	if (p->host != NULL) {
		*cpu_ns = sn_clock_ns(sn_clock_of_thread(tid));	/* our own process's: no file is needed */
		return *cpu_ns > 0;
	}
	return read_schedstat(p, tid, cpu_ns, &switches);
}

/*
 * A thread that has had a perf event since the scan before: what that cost.  credited was read before its clock: when
 * much has been credited since, we were held up in between, and the next scan will do.
 */
static void
meet_perf(struct sn_process *p, struct sn_thread_view *v, const struct sn_slot *sl, uint64_t cpu, uint64_t credited)
{
	uint32_t drive = SN_LOAD_RELAXED(&sl->drive);
	uint64_t before = v->switches, unused;

	if (drive != v->drive)
		v->switches = before = 0;
	v->drive = drive;
	if (drive != SN_BY_PERF || SN_LOAD_RELAXED(&sl->credited_ns) - credited > 2 * p->profile.period_ns ||
	    !read_schedstat(p, v->tid, &unused, &v->switches))
		return;
	if (before != 0 && cpu > v->perf_cpu_ns)
		sn_process_perf_cost(p, cpu - v->perf_cpu_ns, v->switches - before, sn_difference(
			(int64_t)(cpu - v->perf_cpu_ns), (int64_t)(credited - v->perf_credited_ns)));
	v->perf_cpu_ns = cpu;
	v->perf_credited_ns = credited;
}

/* Is the signal in a mask of the thread's status, "SigBlk" or "SigCgt"? */
static bool
has_signal(const struct sn_process *p, int32_t tid, const char *mask, uint32_t signal)
{
	char text[4096];
	const char *line;

	if (read_task(p->pid, tid, "status", text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, mask);
	return line != NULL && (strtoull(line + strlen(mask) + 1, NULL, 16) >> (signal - 1) & 1) != 0;
}

static char
read_state(const struct sn_process *p, int32_t tid)
{
	char text[512];
	const char *end;

	if (read_task(p->pid, tid, "stat", text, sizeof(text)) <= 0)
		return 'X';
	end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' ? end[2] : 'X';
}

/* A thread's name by itself, by the kernel, or by what it left in its last record. */
static void
find_comm(struct sn_process *p, uint32_t slot, int32_t tid, char comm[16])
{
	char text[32];
	ssize_t n = same_pid_namespace(p) ? read_task(p->pid, tid, "comm", text, sizeof(text)) : -ESRCH;

	if (n > 0) {
		text[strcspn(text, "\n")] = '\0';
		(void)snprintf(comm, 16, "%.15s", text);
	} else if (!sn_ring_find_exit(&p->seg, slot, p->views[slot].read_pos, tid, comm) && comm[0] == '\0') {
		const char *base = strrchr(p->exe, '/');

		/* Died before anybody looked: it had the name of its program unless it was given one. */
		(void)snprintf(comm, 16, "%.15s", base != NULL ? base + 1 : p->exe);
	}
}

const char *
sn_process_comm(struct sn_process *p, uint32_t slot, int32_t tid)
{
	struct sn_thread_view *v = sn_process_view(p, slot);
	uint64_t now = sn_clock_mono_ns();
	/* The slot may have another thread by now, whose name this is not. */
	struct sn_comm *c = v->tid == tid ? &v->comm : &p->passing;

	if (c->tid != tid || now - c->read_ns >= COMM_AGAIN_NS) {
		if (c->tid != tid)
			c->text[0] = '\0';
		find_comm(p, slot, tid, c->text);
		c->tid = tid;
		c->read_ns = now;
	}
	return c->text;
}

static void
wish(struct sn_process *p, enum sn_wish_op op, uint32_t arg)
{
	struct sn_segment_wishes *w = p->seg.wishes;
	uint64_t word = (uint64_t)op << 32 | arg;

	for (unsigned i = 0; i < SN_WISHES; i++)
		if (SN_LOAD_RELAXED(&w->wish[i]) == word)
			return;
	for (unsigned i = 0; i < SN_WISHES; i++) {
		if (SN_LOAD_RELAXED(&w->wish[i]) == 0) {
			SN_STORE_RELAXED(&w->wish[i], word);
			SN_STORE_RELEASE(&w->posted, w->posted + 1);
			return;
		}
	}
}

/*
 * Did the thread use more than it was credited since we last looked?  If its mask has our signal now, or had it then,
 * that is why.
 */
static void
look_at_mask(const struct sn_process *p, struct sn_thread_view *v, uint64_t cpu, uint64_t credited, uint32_t signal)
{
	int64_t uncredited = sn_difference(sn_difference((int64_t)cpu, v->off_cpu_ns),
		sn_difference((int64_t)credited, v->off_credited_ns));
	int64_t more = sn_difference(uncredited, v->looked_at_ns);
	bool now;

	v->blocks_signal = v->blocked_before;
	if (more < 0)
		v->looked_at_ns = uncredited;
	if (more <= (int64_t)(BLOCKED_NS / 2 * (1 + sn_pace_ticks(SN_LOAD_RELAXED(&p->seg.wishes->pace)))))
		return;			/* timers that expire seldom are late by as much */
	now = has_signal(p, v->tid, "SigBlk", signal);
	v->blocks_signal |= now;
	v->blocked_before = now;
	v->looked_at_ns = uncredited;
}

/* Another thread has the slot: whoever was there before is gone, if its last word does not come. */
static void
meet_thread(struct sn_process *p, uint32_t slot)
{
	struct sn_thread_view *v = &p->views[slot];

	if (v->uses != 0 && v->uses != SN_LOAD_RELAXED(&p->seg.slots[slot].uses))
		v->gone++;
	(void)sn_process_view(p, slot);
}

static void
scan_slot(struct sn_process *p, uint32_t slot, uint32_t signal)
{
	const struct sn_slot *sl = &p->seg.slots[slot];
	struct sn_thread_view *v = &p->views[slot];
	uint64_t cpu, credited;

	v->looked = p->scans;
	if (v->uses == 0 || v->uses != SN_LOAD_RELAXED(&sl->uses))
		return;
	v->signals = SN_LOAD_RELAXED(&sl->signals);
	if (v->closed) {
		uint32_t state = SN_LOAD_ACQUIRE(&sl->state);

		if (v->timer_left && (state == SN_SLOT_ARMED || state == SN_SLOT_IDLE))
			wish(p, SN_WISH_DISARM, slot);	/* until somebody does it */
		return;
	}
	credited = SN_LOAD_RELAXED(&sl->credited_ns);
	if (SN_LOAD_ACQUIRE(&sl->state) == SN_SLOT_FREE || !read_cpu(p, v->tid, &cpu)) {
		/* Gone without a word (it bypassed us): its last figures stand, its timer must go. */
		if (++v->gone < 2 || p->ended)
			return;
		sn_process_close_thread(p, v, v->cpu_ns, v->credited_ns);
		v->timer_left = true;
		return;
	}
	look_at_mask(p, v, cpu, credited, signal);
	if (SN_LOAD_ACQUIRE(&sl->state) == SN_SLOT_UNARMED)
		v->refused = true;	/* when sampling began again */
	meet_perf(p, v, sl, cpu, credited);
	v->cpu_ns = cpu;
	v->credited_ns = credited;
	v->gone = 0;
	sn_process_account(p, v, cpu, credited);
}

/* Does the slot have a thread, or what is left of one, that must not wait for its turn? */
static bool
is_lively(const struct sn_thread_view *v, const struct sn_slot *sl)
{
	if (v->closed)
		return v->timer_left;
	return v->gone > 0 || v->signals != SN_LOAD_RELAXED(&sl->signals) ||
	    SN_LOAD_RELAXED(&sl->state) == SN_SLOT_FREE;
}

/* All that are lively.  How many threads have a slot. */
static uint32_t
scan_lively(struct sn_process *p, uint32_t signal)
{
	uint32_t threads = 0;

	for (uint32_t i = 0; i < p->slots_used; i++) {
		const struct sn_slot *sl = &p->seg.slots[i];
		const struct sn_thread_view *v = &p->views[i];

		if (v->uses != SN_LOAD_RELAXED(&sl->uses))
			meet_thread(p, i);
		if (v->uses != 0 && is_lively(v, sl))
			scan_slot(p, i, signal);
		threads += !v->closed && SN_LOAD_RELAXED(&sl->state) != SN_SLOT_FREE;
	}
	return threads;
}

/* Of the others the next ones in turn. */
static void
scan_in_turn(struct sn_process *p, uint32_t signal)
{
	int64_t rest = sn_difference((int64_t)sn_process_sampled_cpu(p), (int64_t)p->accounted_ns);
	int64_t missing = sn_difference(rest, p->rest_known_ns);
	uint32_t looks = missing > (int64_t)MISSING_NS || missing < -(int64_t)MISSING_NS ? LOOKS_MISSING : LOOKS;

	for (uint32_t n = 0; n < p->slots_used && looks > 0; n++) {
		uint32_t i = p->look_next < p->slots_used ? p->look_next : 0;
		const struct sn_thread_view *v = &p->views[i];

		if (!v->closed && v->looked != p->scans) {
			scan_slot(p, i, signal);
			looks--;
		}
		p->look_next = i + 1;
		if (p->look_next == p->slots_used)
			p->rest_known_ns = sn_difference((int64_t)sn_process_sampled_cpu(p),
				(int64_t)p->accounted_ns);
	}
}

static int
compare_tids(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* "SigQ:	used/limit": near the limit a signal loses what it says, and is taken for somebody else's. */
static bool
may_queue(const struct sn_process *p, int32_t tid)
{
	unsigned long used, limit;
	char text[4096];
	const char *line;
	char *end;

	if (read_task(p->pid, tid, "status", text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, "\nSigQ:\t");
	if (line == NULL)
		return false;
	used = strtoul(line + 7, &end, 10);
	limit = *end == '/' ? strtoul(end + 1, NULL, 10) : 0;
	return used < limit && limit - used > QUEUE_MARGIN;
}

/*
 * Only a thread that burns CPU is signalled, never one that waits: a signal would end its poll or
 * sleep early.  Nor one without our handler: the pid may run another program by now, which the signal
 * would end.  The handler then finds the wish and arms the timer.
 */
static bool
nudge(const struct sn_process *p, pid_t tid, uint32_t signal)
{
	siginfo_t si = { .si_signo = (int)signal, .si_code = SI_QUEUE };

	/* The first thread keeps its number in exec: what we look at now may be another image when the signal comes. */
	if (tid == p->pid)
		return false;
	if (read_state(p, tid) != 'R' || !may_queue(p, tid) || has_signal(p, tid, "SigBlk", signal) ||
	    !has_signal(p, tid, "SigCgt", signal))
		return false;
	si.si_pid = getpid();
	si.si_uid = getuid();
	si.si_value.sival_ptr = (void *)(uintptr_t)((uint64_t)p->seg.cookie << 32 | SN_NUDGE);
	return syscall(SYS_rt_tgsigqueueinfo, p->pid, tid, (int)signal, &si) == 0;
}

static void
ask_to_arm(struct sn_process *p, pid_t tid, uint32_t signal, bool burns)
{
	if (p->host != NULL && p->host->arm != NULL) {
		(void)p->host->arm(tid);	/* asked again while it has no slot */
		return;
	}
	wish(p, SN_WISH_ARM, (uint32_t)tid);
	if (burns)
		(void)nudge(p, tid, signal);
}

static void
meet_stray(struct sn_process *p, pid_t tid, uint32_t signal)
{
	uint64_t cpu = 0;
	char state;

	for (uint32_t i = 0; i < p->stray_count; i++) {
		struct sn_stray *s = &p->strays[i];

		if (s->tid != tid)
			continue;
		s->seen = true;
		/* Seen twice without a slot: not just a thread on its way to attach. */
		if (read_cpu(p, tid, &cpu) && s->asked < ASK_MAX) {
			ask_to_arm(p, tid, signal, cpu > s->cpu_ns);
			s->asked++;
		}
		s->cpu_ns = cpu;
		return;
	}
	if (p->stray_count == SN_STRAYS_MAX)
		return;
	/* The zombie of a main thread that called pthread_exit has had its slot, and its last word. */
	state = read_state(p, tid);
	if (state != 'Z' && state != 'X' && read_cpu(p, tid, &cpu))
		p->strays[p->stray_count++] = (struct sn_stray){ .tid = tid, .cpu_ns = cpu, .seen = true };
}

/* Those that are gone, or have a slot by now, make room. */
static void
forget_strays(struct sn_process *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->stray_count; i++) {
		if (p->strays[i].seen) {
			p->strays[n] = p->strays[i];
			p->strays[n++].seen = false;
		}
	}
	p->stray_count = n;
}

/* Has the process threads beyond those with a slot?  Where the kernel does not say, there may be some. */
static bool
may_have_strays(const struct sn_process *p, uint32_t with_slot)
{
	struct stat st;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)p->pid);
	return stat(path, &st) < 0 || st.st_nlink < 3 ||	/* itself, its parent, and one a thread */
	    st.st_nlink - 2 > with_slot + (p->host != NULL ? 1 : 0);
}

static void
read_list(struct sn_process *p, uint32_t signal)
{
	int32_t *known = malloc((p->slots_used + 1) * sizeof(*known));
	char path[64];
	struct dirent *e;
	size_t n = 0;
	DIR *dir;

	if (known == NULL)
		return;
	for (uint32_t i = 0; i < p->slots_used; i++)
		if (SN_LOAD_ACQUIRE(&p->seg.slots[i].state) != SN_SLOT_FREE)
			known[n++] = SN_LOAD_RELAXED(&p->seg.slots[i].tid);
	qsort(known, n, sizeof(*known), compare_tids);
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)p->pid);
	dir = opendir(path);
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		int32_t tid = (int32_t)strtol(e->d_name, NULL, 10);

		if (tid > 0 && tid != p->own_tid && bsearch(&tid, known, n, sizeof(*known), compare_tids) == NULL)
			meet_stray(p, tid, signal);
	}
	if (dir != NULL)
		(void)closedir(dir);
	forget_strays(p);
	free(known);
}

static void
scan_strays(struct sn_process *p, uint32_t with_slot, uint32_t signal)
{
	uint64_t now = sn_clock_mono_ns(), took;

	if (!may_have_strays(p, with_slot)) {
		p->stray_count = 0;
		return;
	}
	if (now < p->strays_next_ns)
		return;
	read_list(p, signal);
	took = sn_clock_mono_ns() - now;
	p->strays_next_ns = took > LONG_LIST_NS ? now + took * STRAYS_SHARE : 0;
}

/*
 * The program is to begin or end sampling, and has not done so yet: a thread of it will, at its next tick or slow tick.
 * No nudge for that: the thread may be in execve, and a signal that is sent then ends the new image.
 */
static void
urge(struct sn_process *p)
{
	struct sn_segment_wishes *w = p->seg.wishes;

	SN_STORE_RELEASE(&w->sampling, p->sampling ? 1u : 0u);
	if (p->host != NULL && p->host->set_sampling != NULL) {
		p->host->set_sampling(p->sampling);
		return;
	}
	SN_STORE_RELEASE(&w->posted, w->posted + 1);
}

bool
sn_process_last_clock(struct sn_process *p, struct sn_thread_view *v)
{
	uint64_t cpu;

	if (p->host != NULL || !same_pid_namespace(p) || !read_cpu(p, v->tid, &cpu) || cpu < v->cpu_ns)
		return false;
	v->cpu_ns = cpu;
	return true;
}

void
sn_process_scan(struct sn_process *p, uint32_t signal)
{
	if (!p->has_segment)
		return;
	(void)sn_process_read_cpu(p);
	if (!sn_process_is_sampling(p))
		urge(p);
	if (p->sampling && same_pid_namespace(p)) {
		uint32_t with_slot;

		p->scans++;
		with_slot = scan_lively(p, signal);
		scan_in_turn(p, signal);
		if (!p->ended && p->host != NULL && p->host->recheck != NULL)
			p->host->recheck();
		if (!p->ended)
			scan_strays(p, with_slot, signal);
		sn_process_judge_perf(p);
	}
	sn_process_tick(p);
}

void
sn_process_skip_all(struct sn_process *p)
{
	for (uint32_t i = 0; i < p->slots_used; i++) {
		struct sn_slot *sl = &p->seg.slots[i];
		struct sn_thread_view *v = &p->views[i];
		uint64_t cpu = 0;

		if (v->uses != SN_LOAD_RELAXED(&sl->uses))
			v->gone = 2;		/* the rings were drained: no last word of the one before is left */
		v = sn_process_view(p, i);
		if (v->uses == 0 || v->closed || v->uses != SN_LOAD_RELAXED(&sl->uses))
			continue;
		if (!same_pid_namespace(p) || read_cpu(p, v->tid, &cpu))
			sn_process_skip(p, v, cpu, SN_LOAD_RELAXED(&sl->credited_ns));
	}
}

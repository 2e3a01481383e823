/* SPDX-License-Identifier: Apache-2.0
 *
 * process.c - a profiled process from its first image to its last figure.
 *
 * Runs in:  collector.
 * Memory:   see process.h; the segment's mapping and memfd belong to the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "collect/jit.h"
#include "collect/process.h"
#include "collect/tables.h"

#define MAPS_MAX (64u << 20)
#define MEMFD_NAME "sonde"
#define MEMFD_PATH "/memfd:" MEMFD_NAME

struct sn_process *
sn_process_new(pid_t pid, const struct sn_options *o, struct sn_images *images)
{
	struct sn_process *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->pid = pid;
	p->start_time = sn_proc_stat(pid, 22);
	p->memfd = -1;
	p->file_images = images;
	p->depth = (uint32_t)o->depth;
	p->labels = (uint64_t)o->labels;
	p->memory_bound = (size_t)o->memory;
	p->began_mono_ns = sn_clock_mono_ns();
	p->began_real_ns = sn_clock_ns(CLOCK_REALTIME);
	p->sampling = o->mode != SN_MODE_IDLE && o->kinds != 0;
	p->was_off = !p->sampling;
	sn_profile_init(&p->profile, SN_NS_PER_SEC / (uint64_t)o->hz, p->memory_bound / 2);
	sn_history_init(&p->history, (uint64_t)o->keep, p->memory_bound / 8, p->began_mono_ns);
	sn_process_first_cut(p);
	return p;
}

/* Handler time and signals of an image go into the totals of the process. */
static void
take_slot_counters(struct sn_process *p)
{
	for (uint32_t i = 0; i < p->slots_used; i++) {
		p->count.signals += SN_LOAD_RELAXED(&p->seg.slots[i].signals);
		p->count.handler_ns += SN_LOAD_RELAXED(&p->seg.slots[i].handler_ns);
	}
	p->count.unsampled_threads += SN_LOAD_RELAXED(&p->seg.shared->slots_refused) +
	    SN_LOAD_RELAXED(&p->seg.shared->timers_refused);
	p->count.frames_refused += SN_LOAD_RELAXED(&p->seg.frames->refused);
}

static void
drop_segment(struct sn_process *p)
{
	sn_unwinder_free(p->unwinder);
	p->unwinder = NULL;
	sn_jit_free(p);
	if (p->has_segment && p->host == NULL)		/* inside it is the program's own */
		sn_process_unmap(p);
	if (p->memfd >= 0)
		(void)close(p->memfd);
	if (p->views != NULL)
		(void)munmap(p->views, p->views_bytes);
	p->views = NULL;
	p->memfd = -1;
	p->has_segment = false;
	p->slots_used = 0;
	p->stray_count = 0;
	p->ring_touched = 0;
	p->drain_first = p->look_next = 0;
	p->strays_next_ns = 0;
	memset(p->pending, 0, sizeof(p->pending));
}

/* The program in this process is over: all that its segment says goes into the profile. */
static void
end_image(struct sn_process *p)
{
	char why[200];

	if (p->has_segment) {
		sn_process_drain_last(p);
		sn_process_close_all(p);
		take_slot_counters(p);
		p->engine = sn_process_engine(p, why);
		(void)snprintf(p->engine_why, sizeof(p->engine_why), "%s", why);
		sn_process_take_kin(p);
	}
	drop_segment(p);
}

static int
keep_modules(struct sn_process *p)
{
	struct sn_modules **old;

	if (p->modules == NULL)
		return 0;
	if (p->count.samples == p->samples_before) {	/* no frame points into it */
		sn_modules_free(p->modules);
		free(p->modules);
		p->modules = NULL;
		return 0;
	}
	old = realloc(p->old_modules, (p->old_modules_count + 1) * sizeof(*old));
	if (old == NULL)
		return -ENOMEM;
	old[p->old_modules_count++] = p->modules;
	p->old_modules = old;
	p->modules = NULL;
	return 0;
}

uint64_t
sn_proc_stat(pid_t pid, unsigned field)
{
	struct sn_buf b = { 0 };
	uint64_t value = 0;
	char path[32], *s;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (sn_buf_read_path(&b, path, 64 << 10) == 0) {
		sn_buf_put(&b, "", 1);
		s = b.err == 0 ? strrchr((char *)b.data, ')') : NULL;	/* field 2 may hold anything */
		for (unsigned at = 2; s != NULL && at < field; at++)
			s = strchr(s + 1, ' ');
		if (s != NULL)
			value = strtoull(s, NULL, 10);
	}
	sn_buf_free(&b);
	return value;
}

void
sn_process_read_exe(struct sn_process *p)
{
	char path[32];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)p->pid);
	n = readlink(path, p->exe, sizeof(p->exe) - 1);
	p->exe[n > 0 ? n : 0] = '\0';
}

static void
fill_header(struct sn_process *p, struct sn_segment_header *h)
{
	h->pid = p->pid;
	h->start_time = p->start_time;
	h->mono_ns = sn_clock_mono_ns();
	h->real_ns = sn_clock_ns(CLOCK_REALTIME);
	sn_process_read_exe(p);
	memcpy(h->exe, p->exe, sizeof(h->exe));
}

/* Mapped, not from the heap, which would wipe, and so touch, all of it: most slots are never used. */
int
sn_process_make_views(struct sn_process *p, uint32_t nslots)
{
	size_t bytes = nslots * sizeof(*p->views);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	p->views = at;
	p->views_bytes = bytes;
	return 0;
}

static int
make_segment(struct sn_process *p, const struct sn_options *o, uint32_t nslots)
{
	uint32_t ring_bytes = o->unwind == SN_UNWIND_LIBUNWIND ? SN_RING_COPY : SN_RING_FRAMES;
	uint64_t bytes = sn_segment_size(nslots, ring_bytes);
	uint64_t before_rings = bytes - (uint64_t)nslots * ring_bytes;
	struct sn_segment_options so;
	uint32_t cookie = 0;
	void *base;
	int err;

	while (cookie == 0)
		if (getrandom(&cookie, sizeof(cookie), 0) < 0)
			cookie = (uint32_t)sn_clock_mono_ns() | 1;
	p->memfd = memfd_create(MEMFD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->memfd < 0)
		return -errno;
	if (ftruncate(p->memfd, (off_t)bytes) < 0)
		return -errno;
	base = mmap(NULL, before_rings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->memfd, 0);
	if (base == MAP_FAILED)
		return -errno;
	sn_segment_options_from(&so, o);
	so.watch = o->mode == SN_MODE_IDLE;
	so.idle = !p->sampling;		/* as it is now, for an image after the first */
	sn_segment_format(base, nslots, ring_bytes, cookie, &so);
	p->way = so.way;
	fill_header(p, base);
	err = sn_segment_open(&p->seg, base, before_rings);
	if (err < 0) {
		(void)munmap(base, before_rings);
		return err;
	}
	p->has_segment = true;
	err = sn_process_map_rings(p, 0);
	if (err < 0)
		return err;
	sn_process_offer_tables(p);
	sn_process_begin_pace(p);
	(void)fcntl(p->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	return 0;
}

int
sn_process_begin_image(struct sn_process *p, const struct sn_options *o, uint32_t max_slots,
	const struct sn_process *parent)
{
	uint32_t nslots = max_slots != 0 && max_slots < SN_SLOTS_DEFAULT ? max_slots : SN_SLOTS_DEFAULT;
	int err;

	end_image(p);
	err = keep_modules(p);
	if (err < 0)
		return err;
	(void)sn_tables_open(p->file_images, p->memory_bound / 4);	/* without, stacks are copied */
	p->modules = calloc(1, sizeof(*p->modules));
	err = sn_process_make_views(p, nslots);
	if (p->modules == NULL || err < 0)
		return -ENOMEM;
	sn_modules_init(p->modules, p->file_images, p->pid);
	p->samples_before = p->count.samples;
	p->leaves_seen = 0;
	p->kin_before = (struct sn_segment_kin){ 0 };
	p->generation = UINT32_MAX;		/* the first sample fetches the maps */
	p->modules_read_ns = 0;
	if (parent != NULL && parent->modules != NULL && sn_modules_copy(p->modules, parent->modules) == 0)
		p->generation = 0;
	p->unwinder = sn_unwinder_new(p->modules);
	if (p->unwinder == NULL)
		return -ENOMEM;
	err = make_segment(p, o, nslots);
	if (err < 0) {
		drop_segment(p);
		return err;
	}
	p->images++;
	return 0;
}

/* Inside our thread is one of the process's; after a pause it is another one. */
static uint64_t
less_own(struct sn_process *p, uint64_t cpu_ns)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	uint64_t own;

	if (tid != p->own_tid) {
		p->own_before_ns = p->own_ns;
		p->own_tid = tid;
	}
	p->own_ns = p->own_before_ns + sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	own = p->own_ns;
	return cpu_ns > own ? cpu_ns - own : 0;
}

uint64_t
sn_process_read_cpu(struct sn_process *p)
{
	uint64_t now = sn_clock_ns(sn_clock_of_process(p->pid));
	uint64_t less = now;

	if (p->host != NULL)
		less = less_own(p, now);
	if (less > p->cpu_ns)
		p->cpu_ns = less;
	return now;
}

/* What the program left in its segment: the text of its start, then, if it loaded more, that of its end. */
static int
take_left_maps(struct sn_process *p)
{
	const struct sn_segment_shared *sh = p->seg.shared;
	uint64_t at_exit = SN_LOAD_ACQUIRE(&sh->maps_exit_len);
	uint64_t at_start = SN_LOAD_ACQUIRE(&sh->maps_start_len);
	const char *text = (const char *)p->seg.maps;
	uint64_t len = at_start;
	char *copy;
	int err;

	if (at_exit > 0) {
		text += p->seg.maps_bytes;
		len = at_exit;
	} else if (p->modules->count > 0) {
		return 0;			/* what we have read since is newer */
	}
	if (len == 0 || len > p->seg.maps_bytes)
		return -ENODATA;
	copy = malloc(len);			/* the program may still write there */
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text, len);
	err = sn_modules_update(p->modules, copy, len, p->exe, NULL);
	free(copy);
	return err;
}

/*
 * Are these the maps of the image that has the segment?  After exec the pid shows those of another program, in which
 * the old one's addresses would get names of the new one, or none.
 */
static bool
are_of_image(const struct sn_process *p, const struct sn_buf *maps)
{
	const char *at = (const char *)maps->data, *end = at + maps->len;
	char inode[32];
	struct stat st;

	if (p->host != NULL || p->memfd < 0 || fstat(p->memfd, &st) < 0)
		return true;
	(void)snprintf(inode, sizeof(inode), " %llu ", (unsigned long long)st.st_ino);
	while ((at = memmem(at, (size_t)(end - at), inode, strlen(inode))) != NULL) {
		at += strlen(inode);
		while (at < end && *at == ' ')
			at++;
		if ((size_t)(end - at) > strlen(MEMFD_PATH) && memcmp(at, MEMFD_PATH, strlen(MEMFD_PATH)) == 0)
			return true;
	}
	return false;
}

int
sn_process_refresh_modules(struct sn_process *p)
{
	uint32_t generation = SN_LOAD_ACQUIRE(&p->seg.shared->modules_generation);
	struct sn_buf b = { 0 };
	char path[32];
	int err;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)p->pid);
	err = p->ended ? -ESRCH : sn_buf_read_path(&b, path, MAPS_MAX);
	if (err == 0 && b.len > 0 && are_of_image(p, &b))
		err = sn_modules_update(p->modules, (const char *)b.data, b.len, p->exe, NULL);
	else
		err = take_left_maps(p);
	sn_buf_free(&b);
	p->generation = generation;
	p->modules_left = false;
	p->texts_state = SN_TEXTS_NONE;
	p->modules_read_ns = sn_clock_mono_ns();
	sn_unwinder_flush(p->unwinder);
	return err;
}

/* Is there a text in this place, and how many generations after this one was it left?  -1: none, or before. */
static int64_t
age_of_leave(const struct sn_process *p, uint32_t n, uint32_t generation)
{
	const struct sn_segment_leave *l = &p->seg.shared->leaves[n];
	int32_t age = (int32_t)(SN_LOAD_RELAXED(&l->generation) - generation);

	return SN_LOAD_ACQUIRE(&l->turn) % 2 == 0 && SN_LOAD_RELAXED(&l->len) != 0 && age >= 0 ? age : -1;
}

/*
 * The text that was left first from this generation on: nothing was unloaded before it.  SN_LEAVES: none is left.
 */
static uint32_t
find_leave(const struct sn_process *p, uint32_t generation)
{
	uint32_t best = SN_LEAVES;
	int64_t least = INT64_MAX;

	for (uint32_t n = 0; n < SN_LEAVES; n++) {
		int64_t age = age_of_leave(p, n, generation);

		if (age >= 0 && age < least) {
			least = age;
			best = n;
		}
	}
	return best;
}

/* A text of before a dlclose, copied: the program may write there again.  NULL: it did. */
static char *
copy_of_leave(const struct sn_process *p, uint32_t n, uint32_t *len)
{
	const struct sn_segment_leave *l = &p->seg.shared->leaves[n];
	uint32_t turn = SN_LOAD_ACQUIRE(&l->turn);
	char *copy;

	*len = SN_LOAD_RELAXED(&l->len);
	if (turn % 2 != 0 || *len == 0 || *len > SN_LEAVE_BYTES)
		return NULL;
	copy = malloc(*len);
	if (copy == NULL)
		return NULL;
	memcpy(copy, sn_segment_leave_text(&p->seg, n), *len);
	SN_FENCE();
	if (SN_LOAD_RELAXED(&l->turn) == turn)
		return copy;
	free(copy);
	return NULL;
}

uint32_t
sn_process_leaves(struct sn_process *p)
{
	uint32_t now = p->has_segment ? SN_LOAD_RELAXED(&p->seg.shared->next_leave) : p->leaves_seen;
	uint32_t n = now - p->leaves_seen;

	p->leaves_seen = now;
	if (p->has_segment)
		SN_STORE_RELAXED(&p->seg.wishes->leaves_seen, now);
	return n;
}

void
sn_process_modules_of(struct sn_process *p, uint32_t generation)
{
	uint32_t n, len;
	char *text;
	int err;

	if (generation == p->generation)
		return;
	n = find_leave(p, generation);
	text = n < SN_LEAVES ? copy_of_leave(p, n, &len) : NULL;
	err = text != NULL ? sn_modules_update(p->modules, text, len, p->exe, NULL) : -ENOENT;
	free(text);
	if (err == 0) {
		p->generation = generation;
		p->modules_left = true;
		sn_unwinder_flush(p->unwinder);
		return;
	}
	/* Of an older set that nobody kept the next one is what is left; what stays unknown is shown as such. */
	if ((int32_t)(generation - p->generation) > 0)
		(void)sn_process_refresh_modules(p);
}

/* The figure that the program's exit hook left, if ours is not of the very end. */
static void
take_last_clock(struct sn_process *p)
{
	uint64_t at_exit = SN_LOAD_ACQUIRE(&p->seg.shared->ended) ? p->seg.shared->cpu_at_exit_ns : 0;

	at_exit -= at_exit > p->own_ns ? p->own_ns : at_exit;
	if (!p->cpu_is_final && at_exit >= p->cpu_ns && at_exit < INT64_MAX / 2) {
		p->cpu_ns = at_exit;
		p->cpu_is_final = true;
	}
}

int
sn_process_finish(struct sn_process *p, const struct sn_options *o, uint64_t own_cpu_ns)
{
	struct sn_profile *prof = &p->profile;
	struct sn_figures f;
	int err;

	p->ended = true;
	if (p->has_segment) {
		take_last_clock(p);
		if (p->modules->count == 0)
			(void)sn_process_refresh_modules(p);	/* the main binary is named even without a sample */
	}
	end_image(p);
	prof->cpu_ns = sn_process_sampled_cpu(p);
	if (!p->cpu_is_final && prof->cpu_ns < p->accounted_ns) {
		p->cpu_ns += p->accounted_ns - prof->cpu_ns;	/* it was gone before we could ask */
		if (!p->sampling)
			p->off_since_ns += p->accounted_ns - prof->cpu_ns;
		prof->cpu_ns = p->accounted_ns;
	}
	p->ended_mono_ns = sn_process_cut(p);
	err = sn_profile_settle(prof, sn_process_rest(p, prof));
	if (err == 0)
		err = sn_process_add_kin(p, prof);
	p->is_settled = true;
	prof->time_ns = p->began_real_ns;
	prof->duration_ns = p->ended_mono_ns - p->began_mono_ns;
	sn_process_figures(p, &f);
	f.own_cpu_ns = own_cpu_ns;
	return err < 0 ? err : sn_process_describe(p, o, &f, prof);
}

void
sn_process_free(struct sn_process *p)
{
	if (p == NULL || p->holders-- > 0)
		return;
	drop_segment(p);
	sn_profile_free(&p->profile);
	sn_history_free(&p->history);
	free(p->cuts);
	free(p->told);
	(void)keep_modules(p);
	for (uint32_t i = 0; i < p->old_modules_count; i++) {
		sn_modules_free(p->old_modules[i]);
		free(p->old_modules[i]);
	}
	free(p->old_modules);
	free(p);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * tables.c - compile unwind tables into the store, and publish them (see tables.h, segment/table.h).
 *
 * Runs in:  collector, at a tick of a process that burns CPU, when its modules have changed.
 * Memory:   the store grows by steps that the kernel has promised (fallocate), so that writing to it cannot fail.
 *           The table of an image goes with the image: when every process that had it has ended.
 * Ordering: a map is written while no handler can read it, then named (release), then the epoch counts on.  A handler
 *           says in its slot which epoch it began in, then looks which map is named; we look at the slots after a
 *           fence: a map that was in force in that epoch is left alone (hot/push.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "collect/jit.h"
#include "collect/process.h"
#include "collect/table.h"
#include "collect/tables.h"

#define GROW_BYTES	(256u << 10)
#define COMPILE_NS	(SN_NS_PER_SEC / 100)	/* of one call: rings fill while we compile */
#define REFRESH_NS	(SN_NS_PER_SEC / 20)
#define LIMITED_WINDOW	(4u << 20)		/* inside, where address space is limited */
#define UNPUBLISH_TRIES	200

/* What an image left when it went. */
struct extent {
	uint32_t at, bytes;
	struct extent *next;
};

struct sn_tables {
	int memfd;
	uint8_t *base;
	uint32_t window, bound;		/* mapped; may be used of that */
	uint32_t grown, used;
	struct extent *free;
	bool may_be_read;		/* a handler was in it when it was to go: it stays mapped */
	uint64_t serial;		/* tells it from those before it */
};

static uint32_t
window_bytes(void)
{
	struct rlimit rl;

	return getrlimit(RLIMIT_AS, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY ? LIMITED_WINDOW : SN_TABLES_WINDOW;
}

int
sn_tables_open(struct sn_images *all, size_t bound)
{
	struct sn_tables *t;
	void *base;
	int err = 0;

	if (all->tables != NULL)
		return 0;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->window = window_bytes();
	t->bound = bound < t->window ? (uint32_t)bound : t->window;
	t->memfd = memfd_create("sonde-tables", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (t->memfd < 0)
		err = -errno;
	base = err == 0 ? mmap(NULL, t->window, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, t->memfd, 0)
			: MAP_FAILED;
	if (base == MAP_FAILED) {
		err = err < 0 ? err : -errno;
		if (t->memfd >= 0)
			(void)close(t->memfd);
		free(t);
		return err;
	}
	(void)madvise(base, t->window, MADV_DONTDUMP);
	(void)madvise(base, t->window, MADV_DONTFORK);
	/* Who gets the descriptor can neither cut it nor, since Linux 5.1, write there. */
	if (fcntl(t->memfd, F_ADD_SEALS, F_SEAL_SHRINK | 0x0010 /* F_SEAL_FUTURE_WRITE */) < 0)
		(void)fcntl(t->memfd, F_ADD_SEALS, F_SEAL_SHRINK);
	t->base = base;
	t->serial = ++all->tables_made;
	all->cfi_bytes_most = bound;	/* as much again while a table is made */
	all->tables = t;
	return 0;
}

void
sn_tables_close(struct sn_images *all)
{
	struct sn_tables *t = all->tables;
	struct extent *e;

	if (t == NULL)
		return;
	if (!t->may_be_read)
		(void)munmap(t->base, t->window);
	(void)close(t->memfd);
	while ((e = t->free) != NULL) {
		t->free = e->next;
		free(e);
	}
	free(t);
	all->tables = NULL;
	for (struct sn_image *i = all->first; i != NULL; i = i->next)
		i->table_state = 0;
}

int
sn_tables_fd(const struct sn_images *all)
{
	return all->tables != NULL ? all->tables->memfd : -1;
}

size_t
sn_tables_held(const struct sn_images *all)
{
	return all->tables != NULL ? all->tables->grown : 0;
}

void
sn_tables_give_back(struct sn_images *all, uint32_t at, uint32_t bytes)
{
	struct extent *e = all->tables != NULL ? malloc(sizeof(*e)) : NULL;

	if (e == NULL)
		return;				/* its place is lost, no more */
	*e = (struct extent){ at, bytes, all->tables->free };
	all->tables->free = e;
}

void
sn_tables_drop(struct sn_images *all, struct sn_image *image)
{
	if (image->table_state == 1)
		sn_tables_give_back(all, image->table_at, image->table.bytes);
}

static int
grow(struct sn_tables *t, uint32_t end)
{
	uint32_t to = (end + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES;

	if (end > t->bound)
		return -ENOSPC;
	if (to > t->window)
		to = t->window;
	if (to <= t->grown)
		return 0;
	if (ftruncate(t->memfd, (off_t)to) < 0 || fallocate(t->memfd, 0, (off_t)t->grown, (off_t)(to - t->grown)) < 0)
		return -errno;
	t->grown = to;
	return 0;
}

/* A place for so many bytes. */
static int
take_place(struct sn_tables *t, uint32_t bytes, uint32_t *at)
{
	int err;

	for (struct extent **e = &t->free; *e != NULL; e = &(*e)->next) {
		struct extent *found = *e;

		if (found->bytes < bytes)
			continue;
		*at = found->at;
		found->at += bytes;
		found->bytes -= bytes;
		if (found->bytes == 0) {
			*e = found->next;
			free(found);
		}
		return 0;
	}
	err = bytes > t->bound ? -ENOSPC : grow(t, t->used + bytes);
	if (err < 0)
		return err;
	*at = t->used;
	t->used += bytes;
	return 0;
}

int
sn_tables_put(struct sn_images *all, struct sn_table *t, uint32_t *at)
{
	int err = all->tables != NULL ? take_place(all->tables, t->bytes, at) : -ENOENT;

	if (err == 0)
		memcpy(all->tables->base + *at, t->data, t->bytes);
	free(t->data);
	t->data = NULL;
	return err;
}

static int
compile(struct sn_images *all, struct sn_image *image)
{
	int err;

	if (image->table_state != 0)
		return image->table_state;
	err = sn_table_of_image(all, image, &image->table);
	if (err == 0)
		err = sn_tables_put(all, &image->table, &image->table_at);
	if (err < 0 && err != -ENODATA)
		sn_log(SN_LOG_FILE, "%s: no unwind table: %s", image->path, strerror(-err));
	image->table_state = err < 0 ? err : 1;
	return image->table_state;
}

void
sn_process_offer_tables(struct sn_process *p)
{
	const struct sn_tables *t = p->file_images->tables;

	p->texts_state = SN_TEXTS_NONE;
	p->texts_read_ns = 0;
	p->tables_of = t != NULL ? t->serial : 0;
	p->burns = false;
	/* Inside, a forked child gets its own mapping when it asks for a segment. */
	if (p->host != NULL && t != NULL)
		(void)madvise(t->base, t->window, MADV_DONTFORK);
	if (p->host != NULL && p->host->set_tables != NULL && t != NULL)
		p->host->set_tables(t->base, t->window);
}

/* By its name a library that nobody unloads; a name space of its own has others of these names, which do go. */
static bool
is_of_the_loader(const struct sn_module *m)
{
	static const char *const names[] = { "libc.so.6", "ld-linux", "libsonde.so.", "libc-2.", "ld-2." };
	const char *base = m->path != NULL ? strrchr(m->path, '/') : NULL;

	for (size_t i = 0; base != NULL && i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(base + 1, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Is this mapping in a text of /proc/PID/maps? */
static bool
has_mapping(const char *text, size_t len, const struct sn_module *m)
{
	char range[40];
	size_t n = (size_t)snprintf(range, sizeof(range), "%08llx-%08llx ", (unsigned long long)m->start,
		(unsigned long long)m->limit);
	const char *at = text;

	while ((at = memmem(at, len - (size_t)(at - text), range, n)) != NULL) {
		if (at == text || at[-1] == '\n')
			return true;
		at += n;
	}
	return false;
}

/* The program, the vdso, and what libc is made of, if it was there from the start. */
static void
mark_stays(struct sn_process *p)
{
	bool is_late = p->host != NULL && p->host->is_late;
	uint64_t len = SN_LOAD_ACQUIRE(&p->seg.shared->maps_start_len);
	char *copy;

	if (len > p->seg.maps_bytes || is_late)
		len = 0;
	copy = malloc(len + 1);			/* the program may write there */
	if (copy == NULL)
		return;
	memcpy(copy, p->seg.maps, len);
	for (uint32_t i = 0; i < p->modules->now_count; i++) {
		struct sn_module *m = p->modules->now[i];

		if (m->is_main || m->kind == SN_MODULE_VDSO ||
		    (m->kind == SN_MODULE_FILE && is_of_the_loader(m) && has_mapping(copy, len, m)))
			m->stays = true;
	}
	free(copy);
}

static uint64_t
hdr_of(const struct sn_module *m)
{
	for (unsigned i = 0; i < m->image->phnum; i++)
		if (m->image->phdr[i].p_type == PT_GNU_EH_FRAME)
			return m->image->phdr[i].p_vaddr + m->bias;
	return 0;
}

void
sn_text_set_table(struct sn_text *x, const struct sn_table *t, uint32_t at, uint64_t bias)
{
	x->kind = SN_TEXT_TABLE;
	x->base = t->vaddr + bias;
	x->index = at + t->index;
	x->rows = at + t->rows;
	x->rules = at + t->rules;
	x->nbuckets = t->nbuckets;
	x->nrows = t->nrows;
	x->nrules = t->nrules;
	x->shift = (uint8_t)t->shift;
}

/* False: it waits for its table. */
static bool
fill_text(struct sn_process *p, const struct sn_module *m, bool may_compile, struct sn_text *x)
{
	struct sn_image *image = m->image;
	int state;

	*x = (struct sn_text){ .start = m->start, .limit = m->limit, .stays = m->stays, .readable = m->readable,
		.kind = SN_TEXT_UNKNOWN };
	if (image != NULL && image->err == 0 && image->table_state == 0 && !may_compile)
		return false;
	/* Without an ELF file, or one with CFI, there is but the chain of frame pointers. */
	state = image == NULL ? -ENODATA : image->err < 0 ? -ENODATA : compile(p->file_images, image);
	if (state == -ENODATA)
		x->kind = SN_TEXT_FP;
	if (state != 1)
		return true;
	sn_text_set_table(x, &image->table, image->table_at, m->bias);
	x->hdr = hdr_of(m);
	return true;
}

/* The oldest epoch that a handler may have begun in. */
static uint32_t
oldest_read(const struct sn_process *p)
{
	const struct sn_segment *s = &p->seg;
	uint32_t oldest = UINT32_MAX;

	SN_FENCE();
	for (uint32_t i = 0; i < s->nslots && SN_LOAD_RELAXED(&s->slots[i].uses) != 0; i++) {
		uint32_t reading = SN_LOAD_ACQUIRE(&s->slots[i].reading);

		if (reading != 0 && reading - 1 < oldest)
			oldest = reading - 1;
	}
	return oldest;
}

/* A version of the map that no handler can be reading, or -1. */
static int
free_version(const struct sn_process *p, uint32_t oldest)
{
	uint32_t now = SN_LOAD_RELAXED(&p->seg.shared->text_map);

	for (uint32_t i = 0; i < SN_TEXT_MAPS; i++)
		if (i + 1 != now && p->texts_retired[i] <= oldest)
			return (int)i;
	return -1;
}

static void
put_in_force(struct sn_process *p, uint32_t version)
{
	struct sn_segment_shared *sh = p->seg.shared;
	uint32_t now = SN_LOAD_RELAXED(&sh->text_map), epoch = p->texts_epoch + 1;

	if (now != 0 && now <= SN_TEXT_MAPS)
		p->texts_retired[now - 1] = epoch;
	SN_STORE_RELEASE(&sh->text_map, version);
	SN_STORE_RELEASE(&sh->text_epoch, epoch);
	p->texts_epoch = epoch;
}

/* Compile what there is time for, and name the new map.  True: something waits. */
static bool
publish(struct sn_process *p)
{
	uint64_t began = sn_clock_mono_ns();
	uint32_t oldest = oldest_read(p);
	int version = free_version(p, oldest);
	struct sn_text_map *map;
	bool waits = false;
	uint32_t n = 0;

	sn_jit_expire(p, oldest);
	if (version < 0) {
		p->texts_state = SN_TEXTS_WAIT;
		return true;
	}
	map = &p->seg.texts[version];
	for (uint32_t i = 0; i < p->modules->now_count && n < SN_TEXTS_MAX; i++) {
		bool in_time = sn_clock_mono_ns() - began < COMPILE_NS;

		waits |= !fill_text(p, p->modules->now[i], in_time, &map->text[n++]);
	}
	n = sn_jit_overlay(p, map->text, n);
	for (uint32_t i = 0; i < n; i++)
		map->start[i] = map->text[i].start;
	map->count = n;
	map->generation = p->generation;
	put_in_force(p, (uint32_t)version + 1);
	p->texts_state = waits ? SN_TEXTS_WAIT : SN_TEXTS_DONE;
	return waits;
}

static bool
has_burnt(struct sn_process *p)
{
	for (uint32_t i = 0; !p->burns && i < p->slots_used; i++)
		p->burns = SN_LOAD_RELAXED(&p->seg.slots[i].signals) != 0;
	return p->burns;
}

bool
sn_process_publish(struct sn_process *p)
{
	uint32_t way = p->has_segment ? p->way : SN_WAY_COPY;

	if ((way != SN_WAY_TABLE && way != SN_WAY_TABLE_ONLY) || p->file_images->tables == NULL ||
	    p->tables_of != p->file_images->tables->serial || p->ended || !has_burnt(p))
		return false;
	/* New code of a JIT compiler may lie in a new mapping. */
	if (p->modules_left || p->generation != SN_LOAD_ACQUIRE(&p->seg.shared->modules_generation) ||
	    sn_jit_is_behind(p)) {
		if (sn_clock_mono_ns() - p->texts_read_ns < REFRESH_NS)
			return false;
		(void)sn_process_refresh_modules(p);
		p->texts_read_ns = p->modules_read_ns;
	}
	if (p->modules_left || (!sn_jit_follow(p) && p->texts_state == SN_TEXTS_DONE))
		return false;
	mark_stays(p);
	return publish(p);
}

int
sn_process_unpublish(struct sn_process *p)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	bool read = true;

	if (!p->has_segment || p->host == NULL || p->file_images->tables == NULL ||
	    p->tables_of != p->file_images->tables->serial)
		return 0;
	put_in_force(p, 0);
	for (int tries = 0; read && tries < UNPUBLISH_TRIES; tries++) {
		SN_FENCE();
		read = false;
		for (uint32_t i = 0; i < p->seg.nslots && SN_LOAD_RELAXED(&p->seg.slots[i].uses) != 0; i++)
			read |= SN_LOAD_ACQUIRE(&p->seg.slots[i].reading) != 0;
		if (read)
			(void)nanosleep(&ms, NULL);
	}
	if (read)
		p->file_images->tables->may_be_read = true;
	else if (p->host->set_tables != NULL)
		p->host->set_tables(NULL, 0);
	p->tables_of = 0;
	p->texts_state = SN_TEXTS_NONE;
	return read ? -EBUSY : 0;
}

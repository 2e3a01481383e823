/* SPDX-License-Identifier: Apache-2.0
 *
 * maps.c - the program's mappings and their tables (see maps.h).
 *
 * Runs in:  the stepper's module, at the start and when the program changed what is mapped executable.
 * Memory:   a store as large as programs map it, and one map of texts, written over at each refresh: nothing walks
 *           meanwhile.  A full store is an error that ends the test.
 */
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "step/maps.h"

#define IMAGES_MAX	4096u
#define OURS_MAX	256u		/* modules of the start that can be the stepper's own */

struct made {
	const struct sn_image *image;
	int err;			/* there is no table: why */
	uint64_t vaddr, limit;
	struct sn_text text;		/* places in the store, sizes */
};

static struct sn_images images;
static struct sn_modules modules;
static struct made *made;
static uint32_t made_count;
static struct sn_text_map *map;
static uint8_t *store;
static uint32_t store_used;
static struct sn_buf text;
static uint32_t first_ones;		/* modules that were there when it began: they stay */
static bool ours[OURS_MAX];
static char exe[4096];

struct sn_modules *
sn_maps_modules(void)
{
	return &modules;
}

struct sn_images *
sn_maps_images(void)
{
	return &images;
}

/* The table of an image, made once. */
static const struct made *
made_of(struct sn_image *image)
{
	struct sn_table t;
	struct made *m;

	for (uint32_t i = 0; i < made_count; i++)
		if (made[i].image == image)
			return &made[i];
	if (made_count == IMAGES_MAX)
		return NULL;
	m = &made[made_count++];
	m->image = image;
	m->err = sn_table_of_image(&images, image, &t);
	if (m->err != 0)
		return m;
	if (t.bytes > SN_TABLES_WINDOW - store_used) {
		sn_table_free(&t);
		return NULL;
	}
	memcpy(store + store_used, t.data, t.bytes);
	m->vaddr = t.vaddr;
	m->limit = t.limit;
	m->text = (struct sn_text){ .index = store_used + t.index, .rows = store_used + t.rows,
		.rules = store_used + t.rules, .nbuckets = t.nbuckets, .nrows = t.nrows, .nrules = t.nrules,
		.shift = (uint8_t)t.shift, .kind = SN_TEXT_TABLE };
	store_used += t.bytes;
	sn_table_free(&t);
	return m;
}

static uint64_t
hdr_of(const struct sn_module *m)
{
	for (unsigned i = 0; i < m->image->phnum; i++)
		if (m->image->phdr[i].p_type == PT_GNU_EH_FRAME)
			return m->image->phdr[i].p_vaddr + m->bias;
	return 0;
}

struct visit {
	uint64_t bias;
	bool found;
};

static int
has_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct visit *v = arg;

	(void)size;
	v->found |= info->dlpi_addr == v->bias;
	return 0;
}

/* Files that the program has not are of the stepper's name space.  Asked at the start, when the loader is at rest. */
static void
mark_ours(int (*iterate)(int (*visit)(struct dl_phdr_info *, size_t, void *), void *arg))
{
	for (uint32_t i = 0; i < modules.count && i < OURS_MAX; i++) {
		struct visit v = { .bias = modules.all[i]->bias };

		(void)iterate(has_bias, &v);
		ours[i] = modules.all[i]->kind == SN_MODULE_FILE && !v.found;
	}
}

bool
sn_engines_is_ours(uint64_t pc)
{
	const struct sn_module *m = sn_modules_find(&modules, pc);

	return m != NULL && m->index < OURS_MAX && ours[m->index];
}

int
sn_maps_iterate(int (*visit)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	int result = 0;

	for (uint32_t i = 0; i < modules.now_count && result == 0; i++) {
		const struct sn_module *m = modules.now[i];
		struct dl_phdr_info info = { .dlpi_addr = m->bias, .dlpi_name = m->path, .dlpi_adds = map->generation };

		if (m->image == NULL || m->image->err != 0 || (m->index < OURS_MAX && ours[m->index]))
			continue;
		info.dlpi_phdr = m->image->phdr;
		info.dlpi_phnum = m->image->phnum;
		result = visit(&info, sizeof(info), arg);
	}
	return result;
}

/* One mapping into the map. */
static int
put(const struct sn_module *m)
{
	struct sn_text t = { .kind = SN_TEXT_FP };	/* as the collector has it where there is no CFI */

	if (map->count == SN_TEXTS_MAX)
		return -ENOSPC;
	if (m->image != NULL) {
		const struct made *of = made_of(m->image);

		if (of == NULL)
			return -ENOSPC;
		if (of->err == 0) {
			t = of->text;
			t.base = of->vaddr + m->bias;
			t.hdr = hdr_of(m);
		}
	}
	t.stays = m->index < first_ones;
	t.readable = m->readable;
	t.start = m->start;
	t.limit = m->limit;
	map->start[map->count] = t.start;
	map->text[map->count++] = t;
	return 0;
}

int
sn_maps_refresh(void)
{
	int err;

	sn_buf_free(&text);
	err = sn_buf_read_path(&text, "/proc/self/maps", 16u << 20);
	if (err == 0)
		err = sn_modules_update(&modules, (const char *)text.data, text.len, exe, NULL);
	map->count = 0;
	map->generation++;
	for (uint32_t i = 0; err == 0 && i < modules.now_count; i++)
		err = put(modules.now[i]);
	return err;
}

int
sn_maps_begin(const struct sn_step_base *base)
{
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int err;

	if (n < 0)
		return -errno;
	sn_modules_init(&modules, &images, getpid());
	made = calloc(IMAGES_MAX, sizeof(*made));
	map = calloc(1, sizeof(*map));
	store = mmap(NULL, SN_TABLES_WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		0);
	if (made == NULL || map == NULL || store == MAP_FAILED)
		return -ENOMEM;
	first_ones = UINT32_MAX;
	err = sn_maps_refresh();
	first_ones = modules.count;
	mark_ours(base->iterate);
	return err;
}

void
sn_maps_tables(struct sn_walk *w)
{
	w->map = map;
	w->tables = store;
	w->tables_bytes = store_used;
}

struct sn_module *
sn_engines_module(uint64_t pc)
{
	return sn_modules_find(&modules, pc);
}

static const struct sn_text *
text_at(uint64_t pc)
{
	for (uint32_t i = 0; i < map->count; i++)
		if (pc >= map->text[i].start && pc < map->text[i].limit)
			return &map->text[i];
	return NULL;
}

bool
sn_engines_covers(uint64_t start, uint64_t bytes)
{
	for (uint32_t i = 0; i < map->count; i++)
		if (start < map->text[i].limit && start + bytes > map->text[i].start)
			return true;
	return false;
}

/* The rule in force, found without the walker. */
static struct sn_rule *
rule_at(uint64_t pc)
{
	const struct sn_text *t = text_at(pc);
	const struct sn_table_row *rows;
	const uint32_t *index;
	uint64_t at;
	uint32_t i;

	if (t == NULL || t->kind != SN_TEXT_TABLE || pc < t->base || (pc - t->base) >> t->shift >= t->nbuckets)
		return NULL;
	at = pc - t->base;
	index = (const uint32_t *)(const void *)(store + t->index);
	rows = (const struct sn_table_row *)(const void *)(store + t->rows);
	i = index[at >> t->shift];
	while (i < index[(at >> t->shift) + 1] && rows[i].at <= (at & ((1u << t->shift) - 1)))
		i++;
	if (i == 0 || rows[i - 1].rule >= t->nrules)
		return NULL;
	return (struct sn_rule *)(void *)(store + t->rules) + rows[i - 1].rule;
}

enum sn_cfa
sn_engines_cfa(uint64_t pc)
{
	const struct sn_rule *r = rule_at(pc);

	return r == NULL ? SN_CFA_NONE : (enum sn_cfa)r->cfa;
}

bool
sn_engines_spoil(uint64_t pc)
{
	const struct sn_module *m = sn_modules_find(&modules, pc);
	struct sn_rule *r = rule_at(pc);

	if (m == NULL || !m->is_main || r == NULL || r->cfa != SN_CFA_SP)
		return false;
	r->cfa_off += 16;
	return true;
}

/* Stacks grow: what is mapped now of the main one is not all of it. */
struct bounds
sn_engines_bounds(uint64_t sp)
{
	struct bounds b = { 0 };
	struct rlimit limit;
	char *save = NULL, *all = strndup((const char *)text.data, text.len);

	for (char *line = strtok_r(all, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		unsigned long lo, hi;

		if (sscanf(line, "%lx-%lx", &lo, &hi) != 2 || sp < lo || sp > hi || (sp == hi && b.hi != 0))
			continue;
		b = (struct bounds){ lo, hi };
		if (strstr(line, "[stack]") != NULL && getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < hi)
			b.lo = hi - limit.rlim_cur;
	}
	free(all);
	return b;
}

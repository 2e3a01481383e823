/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_symbolize.c - names for a profile that was written without (see pprof_symbolize.h).
 *
 * Runs in:  `sonde symbolize`.  The profile is hostile, and so are the files that it names: they are opened
 *           and checked by collect/ as those of /proc/PID/maps are.
 * Memory:   message and texts in the arena of the encoder; modules of one mapping at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "encode/pprof_read.h"
#include "encode/pprof_symbolize.h"

#define MAPS_MAX	(64u << 20)

#define SN_SYMBOL_COUNTER(field, name, what) + 1
#define SN_FILL_COUNTER(field, name, what) + 1
enum {
	COUNTERS = 0
#include "base/counters.def"
};

struct filler {
	struct sn_pprof_encoder e;
	struct sn_pprof in;
	struct sn_images images;
	struct sn_modules live;		/* of the process, if one was named and can be looked at */
	pid_t pid;
	sn_location_msg **order;	/* locations to look up, by mapping and address */
	size_t count;
	struct sn_pprof_filled *filled;
};

static const char *
text(const struct filler *f, int64_t number)
{
	return f->in.msg->string_table[number];
}

/* ---- what there is already ---- */

/* Functions keep their order and get the ids of the encoder; so do the lines that refer to them. */
static void
adopt_functions(struct filler *f)
{
	const sn_profile_msg *m = f->in.msg;

	for (size_t i = 0; i < m->n_location; i++) {
		for (size_t k = 0; k < m->location[i]->n_line; k++) {
			sn_line_msg *line = m->location[i]->line[k];

			if (line->function_id != 0)
				line->function_id = (uint64_t)sn_ids_find(&f->in.functions, line->function_id) + 1;
		}
	}
	for (size_t i = 0; i < m->n_function && f->e.arena.err == 0; i++) {
		sn_function_msg *fn = m->function[i];
		struct sn_function_key key = {
			.name = (uint32_t)fn->name, .system_name = (uint32_t)fn->system_name,
			.file = (uint32_t)fn->filename,
			.start_line = fn->start_line > 0 && fn->start_line <= INT32_MAX ? (int32_t)fn->start_line : 0,
		};

		fn->id = sn_pprof_known_function(&f->e, &key);
	}
}

/* A name without a file and a line: all that symbol tables give. */
static bool
is_function_alone(const struct filler *f, const sn_location_msg *l)
{
	uint64_t id = l->n_line == 1 ? l->line[0]->function_id : 0;

	return id != 0 && l->line[0]->line == 0 && *text(f, f->in.msg->function[id - 1]->filename) == '\0';
}

/* Locations in no mapping need no file; the others are put in order. */
static void
choose_locations(struct filler *f)
{
	const sn_profile_msg *m = f->in.msg;

	f->order = sn_arena_alloc(&f->e.arena, m->n_location * sizeof(*f->order));
	for (size_t i = 0; i < m->n_location && f->e.arena.err == 0; i++) {
		sn_location_msg *l = m->location[i];

		if (l->n_line > 0 && !(f->e.how == SN_SYMBOLIZE_LINES && is_function_alone(f, l)))
			continue;
		if (l->mapping_id != 0)
			f->order[f->count++] = l;
		else if (l->n_line == 0)
			sn_pprof_unknown_line(&f->e, l, "[unknown]", l->address);
	}
}

static int
by_place(const void *left, const void *right)
{
	const sn_location_msg *a = *(sn_location_msg *const *)left, *b = *(sn_location_msg *const *)right;
	int order = sn_compare_u64(a->mapping_id, b->mapping_id);

	return order != 0 ? order : sn_compare_u64(a->address, b->address);
}

/* ---- files ---- */

static bool
is_build_id(const struct sn_image *image, const char *wanted)
{
	char hex[2 * SN_BUILD_ID_MAX + 1];

	if (*wanted == '\0')
		return true;		/* of a writer that knows none, or of a file that has none */
	return image != NULL && strcasecmp(sn_image_build_id_hex(image, hex), wanted) == 0;
}

enum found { MISSING, OTHER, FOUND };

static enum found
judge(const struct filler *f, const struct sn_module *m, const sn_mapping_msg *mapping)
{
	if (m == NULL || (m->image != NULL && m->image->err < 0))
		return MISSING;
	return is_build_id(m->image, text(f, mapping->build_id)) ? FOUND : OTHER;
}

static void
read_live_modules(struct filler *f)
{
	struct sn_buf maps = { 0 };
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)f->pid);
	/* A process that is gone or not ours: files are then looked up by their names. */
	if (f->pid > 0 && sn_buf_read_path(&maps, path, MAPS_MAX) == 0)
		(void)sn_modules_update(&f->live, (const char *)maps.data, maps.len, NULL, NULL);
	sn_buf_free(&maps);
}

static const struct sn_module *
live_module(const struct filler *f, const sn_mapping_msg *mapping)
{
	const struct sn_module *m = sn_modules_find(&f->live, mapping->memory_start);

	if (m == NULL || m->start != mapping->memory_start || m->limit != mapping->memory_limit ||
	    m->offset != mapping->file_offset || strcmp(m->path, text(f, mapping->filename)) != 0)
		return NULL;
	return m;
}

/* Memory that has no file of its own, by the names that sonde gives it. */
static bool
is_memory(const char *name)
{
	return strcmp(name, "[vdso]") == 0 || strcmp(name, "[anon]") == 0 || strncmp(name, "/memfd:", 7) == 0;
}

/* The mapping as a line of /proc/PID/maps, so that collect/ opens and checks it as it does those. */
static int
put_line(struct sn_buf *line, const sn_mapping_msg *mapping, const char *name, const struct stat *st)
{
	sn_buf_putf(line, "%" PRIx64 "-%" PRIx64 " r-xp %" PRIx64 " %x:%x %llu ", mapping->memory_start,
		mapping->memory_limit, mapping->file_offset, major(st->st_dev), minor(st->st_dev),
		(unsigned long long)st->st_ino);
	for (; *name != '\0'; name++) {
		if (*name == '\n')
			sn_buf_put(line, "\\012", 4);
		else
			sn_buf_put(line, name, 1);
	}
	sn_buf_put(line, "\n", 1);
	return line->err;
}

/* Look for the file of that name under a root folder.  own is empty, and then holds the module. */
static int
module_by_name(struct filler *f, const sn_mapping_msg *mapping, const char *root, struct sn_modules *own,
	const struct sn_module **out)
{
	const char *name = text(f, mapping->filename);
	char path[PATH_MAX];
	struct sn_buf line = { 0 };
	struct stat st = { 0 };
	int err;

	*out = NULL;
	if (!is_memory(name) && (*name != '/' ||
	    snprintf(path, sizeof(path), "%s%s", root, name) >= (int)sizeof(path) || stat(path, &st) < 0))
		return 0;
	err = put_line(&line, mapping, name, &st);
	if (err == 0)
		err = sn_modules_update(own, (const char *)line.data, line.len, NULL, NULL);
	sn_buf_free(&line);
	if (err == 0)
		*out = sn_modules_find(own, mapping->memory_start);
	return err;
}

/* Where the process has it, in its root folder, then here.  0 and *found, or -ENOMEM. */
static int
find_module(struct filler *f, const sn_mapping_msg *mapping, struct sn_modules *own, const struct sn_module **out,
	enum found *found)
{
	char roots[2][32] = { "", "" };
	int err = 0;

	*out = live_module(f, mapping);
	*found = judge(f, *out, mapping);
	(void)snprintf(roots[0], sizeof(roots[0]), "/proc/%d/root", (int)f->pid);
	for (unsigned i = f->pid > 0 ? 0 : 1; i < 2 && *found != FOUND && err == 0; i++) {
		enum found now;

		sn_modules_free(own);
		sn_modules_init(own, &f->images, f->pid);
		err = module_by_name(f, mapping, roots[i], own, out);
		now = judge(f, *out, mapping);
		*found = now > *found ? now : *found;
	}
	return err;
}

/* ---- names ---- */

static uint64_t
first_function(const sn_location_msg *l)
{
	return l->n_line > 0 ? l->line[0]->function_id : 0;
}

static void
name_locations(struct filler *f, sn_mapping_msg *mapping, const struct sn_module *m, sn_location_msg **location,
	size_t n)
{
	uint64_t *before = sn_arena_alloc(&f->e.arena, n * sizeof(*before));

	if (before == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		before[i] = first_function(location[i]);
	if (m->image != NULL)		/* only for better names of stripped functions */
		(void)sn_image_load_cfi(&f->images, m->image);
	sn_pprof_name_locations(&f->e, mapping, m, location, n);
	for (size_t i = 0; i < n; i++)
		f->filled->named += before[i] != first_function(location[i]);
	f->filled->looked_up += n;
}

/* Those of n locations of one mapping, in order, that lie in it. */
static void
fill_mapping(struct filler *f, sn_mapping_msg *mapping, sn_location_msg **location, size_t n)
{
	const struct sn_module *m = NULL;
	struct sn_modules own;
	enum found found;

	for (; n > 0 && location[0]->address < mapping->memory_start; n--)
		location++;
	while (n > 0 && location[n - 1]->address >= mapping->memory_limit)
		n--;
	sn_modules_init(&own, &f->images, f->pid);
	if (find_module(f, mapping, &own, &m, &found) < 0) {
		f->e.arena.err = -ENOMEM;
	} else if (found == FOUND && n > 0) {
		name_locations(f, mapping, m, location, n);
	} else {
		f->filled->other_files += found == OTHER;
		f->filled->missing_files += found != OTHER;
	}
	sn_modules_free(&own);
}

static void
fill_mappings(struct filler *f)
{
	size_t mappings = 0;

	qsort(f->order, f->count, sizeof(*f->order), by_place);
	for (size_t i = 0, end; i < f->count && f->e.arena.err == 0; i = end) {
		uint64_t id = f->order[i]->mapping_id;
		sn_mapping_msg *mapping = f->in.msg->mapping[sn_ids_find(&f->in.mappings, id)];

		for (end = i + 1; end < f->count && f->order[end]->mapping_id == id;)
			end++;
		if (mappings++ < SN_MODULES_MAX)
			fill_mapping(f, mapping, f->order + i, end - i);
		else
			f->filled->missing_files++;
	}
}

/* Any flag keeps pprof from looking for names itself: it is for mappings whose locations all have one. */
static void
set_flags(struct filler *f)
{
	const sn_profile_msg *m = f->in.msg;
	bool *lacks = sn_arena_alloc(&f->e.arena, m->n_mapping * sizeof(*lacks));

	if (lacks == NULL)
		return;
	for (size_t i = 0; i < m->n_location; i++)
		if (m->location[i]->n_line == 0 && m->location[i]->mapping_id != 0)
			lacks[sn_ids_find(&f->in.mappings, m->location[i]->mapping_id)] = true;
	for (size_t i = 0; i < m->n_mapping; i++)
		m->mapping[i]->has_functions |= !lacks[i];
}

/* ---- comments ---- */

/* "# NAME=…" in the place of one of that name, else at the end. */
static void
put_comment(struct filler *f, const char *name, uint64_t count, const char *what)
{
	enum { COMMENT_MAX = 160 };
	char *line = sn_arena_alloc(&f->e.arena, COMMENT_MAX);
	size_t at = 0, same;

	if (line == NULL)
		return;
	same = (size_t)snprintf(line, COMMENT_MAX, "# %s=", name);
	while (at < f->e.msg.n_comment && strncmp(f->e.strings.text[f->e.msg.comment[at]], line, same) != 0)
		at++;
	(void)snprintf(line + same, COMMENT_MAX - same, "%llu: %s", (unsigned long long)count, what);
	f->e.msg.comment[at] = sn_strings_add(&f->e.strings, line);
	f->e.msg.n_comment += at == f->e.msg.n_comment;
}

static void
put_comments(struct filler *f)
{
	const struct sn_symbol_counters *c = sn_symbolizer_counters(f->e.symbolizer);
	struct sn_pprof_filled *filled = f->filled;
	int64_t *list = sn_arena_alloc(&f->e.arena, (f->e.msg.n_comment + COUNTERS) * sizeof(*list));

#define SN_SYMBOL_COUNTER(field, name, what) filled->field = c->field;
#include "base/counters.def"
	if (list == NULL || filled->named + filled->other_files + filled->missing_files == 0)
		return;			/* nothing is new: what is said there holds */
	if (f->e.msg.n_comment > 0)
		memcpy(list, f->e.msg.comment, f->e.msg.n_comment * sizeof(*list));
	f->e.msg.comment = list;
#define SN_SYMBOL_COUNTER(field, name, what) if (filled->named > 0) put_comment(f, name, filled->field, what);
#define SN_FILL_COUNTER(field, name, what) put_comment(f, name, filled->field, what);
#include "base/counters.def"
}

/* ---- all of it ---- */

static int
fill(struct filler *f)
{
	int err = sn_strings_adopt(&f->e.strings, &f->e.arena, f->in.msg->string_table, f->in.msg->n_string_table);

	if (err < 0)
		return err;
	f->e.msg = *f->in.msg;
	adopt_functions(f);
	choose_locations(f);
	if (f->e.arena.err == 0)
		fill_mappings(f);
	if (f->e.arena.err == 0)
		set_flags(f);
	sn_pprof_add_functions(&f->e);
	put_comments(f);
	return f->e.arena.err;
}

int
sn_pprof_symbolize(const void *in, size_t len, pid_t pid, enum sn_symbolize how, struct sn_buf *out,
	struct sn_pprof_filled *filled)
{
	struct filler f = { .e.how = how, .pid = pid, .filled = filled };
	int err;

	*filled = (struct sn_pprof_filled){ 0 };
	if (how == SN_SYMBOLIZE_NONE)
		return -EINVAL;
	f.e.symbolizer = sn_symbolizer_new(how, NULL);
	if (f.e.symbolizer == NULL)
		return -ENOMEM;
	sn_symbolizer_set_process(f.e.symbolizer, pid, 0);
	sn_modules_init(&f.live, &f.images, pid);
	err = sn_pprof_read(in, len, &f.e.arena, &f.in);
	memcpy(filled->why, f.in.why, sizeof(filled->why));
	if (err == 0) {
		read_live_modules(&f);
		err = fill(&f);
	}
	err = sn_pprof_finish(&f.e, err, out);
	sn_modules_free(&f.live);
	sn_symbolizer_free(f.e.symbolizer);	/* last: the message had its texts */
	return err;
}

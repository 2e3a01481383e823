/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_places.c - mappings, locations, lines and functions of a profile in pprof's form.
 *
 * Runs in:  collector, in the child that writes the file.
 * Memory:   see pprof_parts.h.
 * Order:    used frames are sorted by module and address; a run of equal modules becomes one
 *           mapping, a run of equal addresses one location, so that numbers need no hash.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode/pprof_parts.h"

/* ---- order of frames ---- */

/* Which range of which file: two objects of one mapping are equal. */
static int
compare_modules(const struct sn_module *a, const struct sn_module *b)
{
	int order;

	if (a == b)
		return 0;
	order = sn_compare_u64(a->start, b->start);
	if (order == 0)
		order = sn_compare_u64(a->limit, b->limit);
	if (order == 0)
		order = sn_compare_u64(a->offset, b->offset);
	if (order == 0)
		order = strcmp(a->path != NULL ? a->path : "", b->path != NULL ? b->path : "");
	return order;
}

static bool
is_main_module(const struct sn_profile *p, const struct sn_module *m)
{
	return p->main_module != NULL && compare_modules(m, p->main_module) == 0;
}

/* Modules by their start, frames in no module, pseudo frames. */
static int
frame_rank(const struct sn_frame *f)
{
	if (f->pseudo != SN_PSEUDO_NONE)
		return 2;
	return f->module == NULL ? 1 : 0;
}

static int
compare_frames(const void *left, const void *right, void *profile)
{
	const struct sn_profile *p = profile;
	const struct sn_frame *a = &p->frames[*(const uint32_t *)left];
	const struct sn_frame *b = &p->frames[*(const uint32_t *)right];
	int order = frame_rank(a) - frame_rank(b);

	if (order == 0 && a->module != NULL && b->module != NULL)
		order = compare_modules(a->module, b->module);
	if (order == 0)
		order = sn_compare_u64(a->addr, b->addr);
	return order != 0 ? order : sn_compare_u64(a->pseudo, b->pseudo);
}

static bool
same_module(const struct sn_frame *a, const struct sn_frame *b)
{
	if (a->module == NULL || b->module == NULL)
		return a->module == b->module && a->pseudo == b->pseudo;
	return compare_modules(a->module, b->module) == 0;
}

/* ---- lines and functions ---- */

static bool
same_function(const void *key, uint32_t number, const void *list)
{
	return memcmp(key, &((const struct sn_function_key *)list)[number], sizeof(struct sn_function_key)) == 0;
}

static uint32_t
function_hash(const struct sn_function_key *k)
{
	uint64_t h = k->name * 0x9e3779b97f4a7c15ull;

	h = (h ^ k->system_name) * 0xff51afd7ed558ccdull;
	h = (h ^ k->file) * 0xc4ceb9fe1a85ec53ull;
	h = (h ^ (uint32_t)k->start_line) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h ^ (h >> 32));
}

static int
append_function(struct sn_pprof_encoder *e, const struct sn_function_key *key, uint32_t hash)
{
	if (e->function_index.count == e->function_cap) {
		uint32_t cap = e->function_cap > 0 ? e->function_cap * 2 : 128;
		struct sn_function_key *keys = realloc(e->function_keys, (size_t)cap * sizeof(*keys));

		if (keys == NULL)
			return -ENOMEM;
		e->function_keys = keys;
		e->function_cap = cap;
	}
	e->function_keys[e->function_index.count] = *key;
	return sn_index_add(&e->function_index, hash);
}

/* The id of a function, which is its number plus 1; 0 when out of memory. */
static uint64_t
function_id(struct sn_pprof_encoder *e, const struct sn_symbol_line *l)
{
	struct sn_function_key key = {
		.name = sn_strings_add(&e->strings, l->name),
		.system_name = sn_strings_add(&e->strings, l->system_name),
		.file = sn_strings_add(&e->strings, l->file),
		.start_line = l->start_line > 0 ? l->start_line : 0,
	};
	uint32_t hash = function_hash(&key);
	uint32_t number = sn_index_find(&e->function_index, hash, same_function, &key, e->function_keys);

	if (number != UINT32_MAX)
		return (uint64_t)number + 1;
	if (append_function(e, &key, hash) < 0) {
		e->arena.err = -ENOMEM;
		return 0;
	}
	return e->function_index.count;
}

/* Give a location its lines: count functions, innermost inlined first. */
static void
set_lines(struct sn_pprof_encoder *e, sn_location_msg *location, const struct sn_symbol_line *line, uint32_t count)
{
	sn_line_msg *all = sn_arena_alloc(&e->arena, count * sizeof(*all));
	sn_line_msg **list = sn_arena_alloc(&e->arena, count * sizeof(*list));

	if (all == NULL || list == NULL)
		return;
	for (uint32_t i = 0; i < count; i++) {
		perftools__profiles__line__init(&all[i]);
		all[i].function_id = function_id(e, &line[i]);
		all[i].line = line[i].line > 0 ? line[i].line : 0;
		all[i].column = line[i].column > 0 ? line[i].column : 0;
		list[i] = &all[i];
	}
	location->line = list;
	location->n_line = count;
}

static void
set_only_line(struct sn_pprof_encoder *e, sn_location_msg *location, const char *name)
{
	struct sn_symbol_line line = { .name = name, .system_name = name, .file = "" };

	set_lines(e, location, &line, 1);
}

void
sn_pprof_unknown_line(struct sn_pprof_encoder *e, sn_location_msg *location, const char *module, uint64_t offset)
{
	size_t size = strlen(module) + 32;
	char *name = sn_arena_alloc(&e->arena, size);

	if (name == NULL)
		return;
	(void)snprintf(name, size, "%s+0x%" PRIx64, module, offset);
	set_only_line(e, location, name);
}

/* ---- mappings and locations ---- */

static const char *
module_path(const struct sn_module *m)
{
	if (m->path != NULL && *m->path != '\0')
		return m->path;
	if (m->image != NULL && m->image->path != NULL && *m->image->path != '\0')
		return m->image->path;
	return m->kind == SN_MODULE_ANON ? "[anon]" : "[unknown]";
}

/* pprof looks for a file of exactly this name. */
static uint32_t
mapping_file(struct sn_pprof_encoder *e, const char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path), cut = sizeof(suffix) - 1;
	char *copy;

	if (len <= cut || strcmp(path + len - cut, suffix) != 0)
		return sn_strings_add(&e->strings, path);
	copy = sn_arena_alloc(&e->arena, len - cut + 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, path, len - cut);
	return sn_strings_add(&e->strings, copy);
}

static uint32_t
build_id_text(struct sn_pprof_encoder *e, const struct sn_image *image)
{
	static const char digits[] = "0123456789abcdef";
	char *hex;

	if (image == NULL || image->build_id_len == 0 || image->build_id_len > SN_BUILD_ID_MAX)
		return 0;
	hex = sn_arena_alloc(&e->arena, 2 * (size_t)image->build_id_len + 1);
	for (size_t i = 0; hex != NULL && i < image->build_id_len; i++) {
		hex[2 * i] = digits[image->build_id[i] >> 4];
		hex[2 * i + 1] = digits[image->build_id[i] & 15];
	}
	return sn_strings_add(&e->strings, hex);
}

/* One more mapping; m is NULL for a main binary that was never seen.  NULL when out of memory. */
static sn_mapping_msg *
add_mapping(struct sn_pprof_encoder *e, const struct sn_module *m)
{
	sn_mapping_msg *mapping = sn_arena_alloc(&e->arena, sizeof(*mapping));

	if (mapping == NULL)
		return NULL;
	perftools__profiles__mapping__init(mapping);
	e->msg.mapping[e->msg.n_mapping++] = mapping;
	mapping->id = e->msg.n_mapping;
	mapping->filename = mapping_file(e, m != NULL ? module_path(m) : "[unknown program]");
	/* Any flag keeps pprof from looking for names itself: ours are there for every location. */
	mapping->has_functions = e->how != SN_SYMBOLIZE_NONE;
	if (m != NULL) {
		mapping->memory_start = m->start;
		mapping->memory_limit = m->limit;
		mapping->file_offset = m->offset;
		mapping->build_id = build_id_text(e, m->image);
	}
	return mapping;
}

/* Had it a name before that says more than an offset? */
static bool
is_named_better(const struct sn_pprof_encoder *e, const sn_location_msg *location, const struct sn_symbol *symbol)
{
	uint64_t id = location->n_line > 0 ? location->line[0]->function_id : 0;

	if (id == 0 || (symbol->count > 0 && !symbol->is_fallback))
		return false;
	return symbol->count == 0 || strcmp(e->strings.text[e->function_keys[id - 1].name], symbol->line->name) != 0;
}

static void
name_location(struct sn_pprof_encoder *e, sn_mapping_msg *mapping, const struct sn_module *m, sn_location_msg *location,
	const struct sn_symbol *symbol)
{
	if (is_named_better(e, location, symbol))
		return;
	if (symbol->count == 0 || symbol->line == NULL) {
		const char *path = module_path(m), *slash = strrchr(path, '/');

		sn_pprof_unknown_line(e, location, slash != NULL ? slash + 1 : path, location->address - m->bias);
		return;
	}
	set_lines(e, location, symbol->line, symbol->count);
	if (e->how != SN_SYMBOLIZE_LINES)
		return;
	mapping->has_inline_frames |= symbol->count > 1;
	for (uint32_t i = 0; i < symbol->count; i++) {
		mapping->has_filenames |= symbol->line[i].file != NULL && *symbol->line[i].file != '\0';
		mapping->has_line_numbers |= symbol->line[i].line > 0;
	}
}

void
sn_pprof_name_locations(struct sn_pprof_encoder *e, sn_mapping_msg *mapping, const struct sn_module *m,
	sn_location_msg **location, size_t n)
{
	uint64_t *addr = calloc(n, sizeof(*addr));
	struct sn_symbol *symbol = calloc(n, sizeof(*symbol));

	if (addr == NULL || symbol == NULL) {
		e->arena.err = -ENOMEM;
	} else {
		for (size_t i = 0; i < n; i++)
			addr[i] = location[i]->address;
		if (sn_symbolize_batch(e->symbolizer, m, addr, n, symbol) < 0)
			e->arena.err = -ENOMEM;
		for (size_t i = 0; i < n && e->arena.err == 0; i++)
			name_location(e, mapping, m, location[i], &symbol[i]);
	}
	free(addr);
	free(symbol);
}

static sn_location_msg *
add_location(struct sn_pprof_encoder *e, const sn_mapping_msg *mapping, uint64_t addr)
{
	sn_location_msg *location = sn_arena_alloc(&e->arena, sizeof(*location));

	if (location == NULL)
		return NULL;
	perftools__profiles__location__init(location);
	e->msg.location[e->msg.n_location++] = location;
	location->id = e->msg.n_location;
	location->mapping_id = mapping != NULL ? mapping->id : 0;
	location->address = addr;
	return location;
}

/* Frames in no module and pseudo frames: their line needs no symbols. */
static void
name_lone_location(struct sn_pprof_encoder *e, sn_location_msg *location, const struct sn_frame *f)
{
	if (f->pseudo != SN_PSEUDO_NONE)
		set_only_line(e, location, sn_pseudo_name(f->pseudo));
	else if (e->how != SN_SYMBOLIZE_NONE)
		sn_pprof_unknown_line(e, location, "[unknown]", f->addr);
}

/* The locations of n frames, sorted by address, that lie in one module (or in none). */
static void
add_run(struct sn_pprof_encoder *e, const uint32_t *order, size_t n)
{
	const struct sn_module *m = e->p->frames[order[0]].module;
	size_t first = e->msg.n_location;
	sn_mapping_msg *mapping = NULL;

	if (m != NULL) {
		mapping = is_main_module(e->p, m) ? e->msg.mapping[0] : add_mapping(e, m);
		if (mapping == NULL)
			return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct sn_frame *f = &e->p->frames[order[i]];

		if (i == 0 || f->addr != e->p->frames[order[i - 1]].addr) {
			sn_location_msg *location = add_location(e, mapping, f->addr);

			if (location == NULL)
				return;
			if (m == NULL)
				name_lone_location(e, location, f);
		}
		e->location_of[order[i]] = (uint32_t)e->msg.n_location;
	}
	if (m != NULL && e->how != SN_SYMBOLIZE_NONE)
		sn_pprof_name_locations(e, mapping, m, e->msg.location + first, e->msg.n_location - first);
}

/* Frames that stacks with a count use, in order; their number. */
static size_t
used_frames(struct sn_pprof_encoder *e, uint32_t *order)
{
	const struct sn_profile *p = e->p;
	size_t n = 0;

	for (size_t i = 0; i < e->merged_count; i++) {
		const struct sn_stack *s = &p->stacks[e->merged[i].row->stack];

		for (uint32_t k = s->first; k < s->first + s->count; k++) {
			uint32_t frame = p->frame_ids[k];

			if (!e->used[frame])
				order[n++] = frame;
			e->used[frame] = true;
		}
	}
	qsort_r(order, n, sizeof(*order), compare_frames, (void *)p);
	return n;
}

static void
add_locations(struct sn_pprof_encoder *e)
{
	const struct sn_profile *p = e->p;
	uint32_t *order = malloc((p->frame_count + 1) * sizeof(*order));
	size_t n;

	if (order == NULL) {
		e->arena.err = -ENOMEM;
		return;
	}
	n = used_frames(e, order);
	e->msg.mapping = sn_arena_alloc(&e->arena, (n + 1) * sizeof(*e->msg.mapping));
	e->msg.location = sn_arena_alloc(&e->arena, (n + 1) * sizeof(*e->msg.location));
	if (e->arena.err == 0)
		(void)add_mapping(e, p->main_module);	/* with nothing sampled too: it titles the profile */
	for (size_t i = 0, end; i < n && e->arena.err == 0; i = end) {
		for (end = i + 1; end < n && same_module(&p->frames[order[i]], &p->frames[order[end]]);)
			end++;
		add_run(e, order + i, end - i);
	}
	free(order);
}

uint32_t
sn_pprof_known_function(struct sn_pprof_encoder *e, const struct sn_function_key *key)
{
	if (append_function(e, key, function_hash(key)) < 0) {
		e->arena.err = -ENOMEM;
		return 0;
	}
	return e->function_index.count;
}

void
sn_pprof_add_functions(struct sn_pprof_encoder *e)
{
	uint32_t n = e->function_index.count;
	sn_function_msg *all = sn_arena_alloc(&e->arena, n * sizeof(*all));
	sn_function_msg **list = sn_arena_alloc(&e->arena, n * sizeof(*list));

	if (all == NULL || list == NULL)
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct sn_function_key *k = &e->function_keys[i];

		perftools__profiles__function__init(&all[i]);
		all[i].id = (uint64_t)i + 1;
		all[i].name = k->name;
		all[i].system_name = k->system_name;
		all[i].filename = k->file;
		all[i].start_line = k->start_line;
		list[i] = i < e->msg.n_function ? e->msg.function[i] : &all[i];
	}
	e->msg.function = list;
	e->msg.n_function = n;
}

void
sn_pprof_add_places(struct sn_pprof_encoder *e)
{
	add_locations(e);
	sn_pprof_add_functions(e);
}

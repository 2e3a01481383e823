/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_read.c - read a profile that somebody else wrote (see pprof_read.h).
 *
 * When out of memory: -ENOMEM; what is in the arena goes with it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "encode/pprof_read.h"

/* ---- unpacking ---- */

/* protobuf-c takes memory from here: small messages may ask for much. */
struct purse {
	struct sn_arena *arena;
	size_t left;
	bool is_empty;
};

static void *
spend(void *data, size_t bytes)
{
	struct purse *p = data;
	size_t cost = bytes + sizeof(max_align_t);

	if (bytes > p->left || cost > p->left) {
		p->is_empty = true;
		return NULL;
	}
	p->left -= cost;
	return sn_arena_alloc(p->arena, bytes);
}

static void
keep(void *data, void *memory)
{
	(void)data;
	(void)memory;			/* it goes with the arena */
}

static int
unpack(const struct sn_buf *raw, struct sn_arena *arena, struct sn_pprof *out)
{
	struct purse purse = { .arena = arena, .left = SN_PPROF_MEMORY_MAX };
	ProtobufCAllocator allocator = { .alloc = spend, .free = keep, .allocator_data = &purse };

	out->msg = perftools__profiles__profile__unpack(&allocator, raw->len, raw->data);
	if (out->msg != NULL)
		return 0;
	if (purse.is_empty)
		return -EFBIG;
	if (arena->err < 0)
		return arena->err;
	(void)snprintf(out->why, sizeof(out->why), "not a message of profile.proto");
	return -EBADMSG;
}

/* ---- checks: false with out->why ---- */

__attribute__((format(printf, 2, 3))) static bool
wrong(struct sn_pprof *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(out->why, sizeof(out->why), fmt, ap);
	va_end(ap);
	return false;
}

/* Fields that we do not know are written again as they are; protobuf-c takes a number 0 that nobody reads then. */
static bool
is_message(struct sn_pprof *out, const ProtobufCMessage *m, const char *what, size_t at)
{
	for (unsigned i = 0; i < m->n_unknown_fields; i++)
		if (m->unknown_fields[i].tag == 0)
			return wrong(out, "%s %zu has a field of number 0", what, at);
	return true;
}

static bool
is_text(struct sn_pprof *out, int64_t number, const char *what, size_t at)
{
	if ((uint64_t)number < out->msg->n_string_table)	/* a negative one is huge */
		return true;
	return wrong(out, "%s %zu: text %" PRId64 " of %zu", what, at, number, out->msg->n_string_table);
}

static int
by_id(const void *a, const void *b)
{
	return sn_compare_u64(((const struct sn_id *)a)->id, ((const struct sn_id *)b)->id);
}

uint32_t
sn_ids_find(const struct sn_ids *ids, uint64_t id)
{
	struct sn_id key = { .id = id };
	const struct sn_id *found;

	if (id - 1 < ids->count && ids->all[id - 1].id == id)	/* as most writers number them */
		return ids->all[id - 1].number;
	found = bsearch(&key, ids->all, ids->count, sizeof(key), by_id);
	return found != NULL ? found->number : UINT32_MAX;
}

static bool
sort_ids(struct sn_pprof *out, struct sn_ids *ids, const char *what)
{
	qsort(ids->all, ids->count, sizeof(*ids->all), by_id);
	for (size_t i = 0; i < ids->count; i++) {
		if (ids->all[i].id == 0)
			return wrong(out, "%s %" PRIu32 " has the id 0", what, ids->all[i].number);
		if (i > 0 && ids->all[i].id == ids->all[i - 1].id)
			return wrong(out, "two of %s have the id %" PRIu64, what, ids->all[i].id);
	}
	return true;
}

/* The ids of a list of messages, all of which begin with base and id. */
#define TAKE_IDS(ids, list, n) do { \
		(ids)->count = (n); \
		for (size_t i_ = 0; i_ < (n); i_++) \
			(ids)->all[i_] = (struct sn_id){ (list)[i_]->id, (uint32_t)i_ }; \
	} while (0)

static bool
take_ids(struct sn_pprof *out, struct sn_arena *arena)
{
	const sn_profile_msg *m = out->msg;

	if (m->n_mapping >= UINT32_MAX || m->n_location >= UINT32_MAX || m->n_function >= UINT32_MAX)
		return wrong(out, "too many locations");
	out->mappings.all = sn_arena_alloc(arena, m->n_mapping * sizeof(struct sn_id));
	out->locations.all = sn_arena_alloc(arena, m->n_location * sizeof(struct sn_id));
	out->functions.all = sn_arena_alloc(arena, m->n_function * sizeof(struct sn_id));
	if (arena->err < 0)
		return false;
	TAKE_IDS(&out->mappings, m->mapping, m->n_mapping);
	TAKE_IDS(&out->locations, m->location, m->n_location);
	TAKE_IDS(&out->functions, m->function, m->n_function);
	return sort_ids(out, &out->mappings, "mapping") && sort_ids(out, &out->locations, "location") &&
		sort_ids(out, &out->functions, "function");
}

static bool
check_header(struct sn_pprof *out)
{
	const sn_profile_msg *m = out->msg;

	if (!is_message(out, &m->base, "profile", 0))
		return false;
	if (m->n_string_table == 0 || *m->string_table[0] != '\0')
		return wrong(out, "string_table does not begin with an empty text");
	if (m->n_sample_type == 0)
		return wrong(out, "no sample_type");
	for (size_t i = 0; i < m->n_sample_type; i++)
		if (!is_message(out, &m->sample_type[i]->base, "sample_type", i) ||
		    !is_text(out, m->sample_type[i]->type, "sample_type", i) ||
		    !is_text(out, m->sample_type[i]->unit, "sample_type", i))
			return false;
	for (size_t i = 0; i < m->n_comment; i++)
		if (!is_text(out, m->comment[i], "comment", i))
			return false;
	if (m->period_type != NULL && (!is_message(out, &m->period_type->base, "period_type", 0) ||
	    !is_text(out, m->period_type->type, "period_type", 0) ||
	    !is_text(out, m->period_type->unit, "period_type", 0)))
		return false;
	return is_text(out, m->drop_frames, "drop_frames", 0) && is_text(out, m->keep_frames, "keep_frames", 0) &&
		is_text(out, m->default_sample_type, "default_sample_type", 0) &&
		is_text(out, m->doc_url, "doc_url", 0);
}

static bool
check_places(struct sn_pprof *out)
{
	const sn_profile_msg *m = out->msg;

	for (size_t i = 0; i < m->n_mapping; i++)
		if (!is_message(out, &m->mapping[i]->base, "mapping", i) ||
		    !is_text(out, m->mapping[i]->filename, "mapping", i) ||
		    !is_text(out, m->mapping[i]->build_id, "mapping", i))
			return false;
	for (size_t i = 0; i < m->n_function; i++)
		if (!is_message(out, &m->function[i]->base, "function", i) ||
		    !is_text(out, m->function[i]->name, "function", i) ||
		    !is_text(out, m->function[i]->system_name, "function", i) ||
		    !is_text(out, m->function[i]->filename, "function", i))
			return false;
	for (size_t i = 0; i < m->n_location; i++) {
		const sn_location_msg *l = m->location[i];

		if (l->mapping_id != 0 && sn_ids_find(&out->mappings, l->mapping_id) == UINT32_MAX)
			return wrong(out, "location %zu: no mapping has the id %" PRIu64, i, l->mapping_id);
		if (!is_message(out, &l->base, "location", i))
			return false;
		for (size_t k = 0; k < l->n_line; k++) {
			uint64_t id = l->line[k]->function_id;

			if (!is_message(out, &l->line[k]->base, "line of location", i))
				return false;
			if (id != 0 && sn_ids_find(&out->functions, id) == UINT32_MAX)
				return wrong(out, "location %zu: no function has the id %" PRIu64, i, id);
		}
	}
	return true;
}

static bool
check_samples(struct sn_pprof *out)
{
	const sn_profile_msg *m = out->msg;

	for (size_t i = 0; i < m->n_sample; i++) {
		const sn_sample_msg *s = m->sample[i];

		if (!is_message(out, &s->base, "sample", i))
			return false;
		if (s->n_value != m->n_sample_type)
			return wrong(out, "sample %zu has %zu values of %zu", i, s->n_value, m->n_sample_type);
		for (size_t k = 0; k < s->n_location_id; k++)
			if (sn_ids_find(&out->locations, s->location_id[k]) == UINT32_MAX)
				return wrong(out, "sample %zu: no location has the id %" PRIu64, i, s->location_id[k]);
		for (size_t k = 0; k < s->n_label; k++)
			if (!is_message(out, &s->label[k]->base, "label of sample", i) ||
			    !is_text(out, s->label[k]->key, "label of sample", i) ||
			    !is_text(out, s->label[k]->str, "label of sample", i) ||
			    !is_text(out, s->label[k]->num_unit, "label of sample", i))
				return false;
	}
	return true;
}

static int
gunzip(const void *in, size_t len, struct sn_buf *raw, struct sn_pprof *out)
{
	int err = sn_gunzip(in, len, SN_PPROF_BYTES_MAX, raw);

	if (err == -EBADMSG)
		(void)snprintf(out->why, sizeof(out->why), "gzip: damaged or cut after %zu bytes unpacked", raw->len);
	return err;
}

int
sn_pprof_read(const void *in, size_t len, struct sn_arena *arena, struct sn_pprof *out)
{
	const uint8_t *bytes = in;
	struct sn_buf raw = { 0 };
	int err = 0;

	*out = (struct sn_pprof){ 0 };
	if (len >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
		err = gunzip(in, len, &raw, out);
	else if (len <= SN_PPROF_BYTES_MAX)
		raw = (struct sn_buf){ .data = (uint8_t *)in, .len = len };	/* only read, and not freed */
	else
		err = -EFBIG;
	if (err == 0)
		err = unpack(&raw, arena, out);
	if (raw.data != in)
		sn_buf_free(&raw);
	if (err < 0)
		return err;
	if (check_header(out) && take_ids(out, arena) && check_places(out) && check_samples(out))
		return 0;
	return arena->err < 0 ? arena->err : -EBADMSG;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof.c - build the message of profile.proto from a profile, pack it, compress it (see pprof.h).
 *
 * Runs in:  collector, in the child that writes the file.
 * Memory:   everything that the message is built of is freed before it is compressed.
 * When out of memory: -ENOMEM, and what the buffer held before stays.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "encode/pprof_parts.h"

#define COMMENT_MAX 160

/* How many comments counters.def has for the symbolizer. */
enum {
	SYMBOL_COMMENTS = 0
#define SN_SYMBOL_COUNTER(field, name, what) + 1
#include "base/counters.def"
};

static const struct {
	const char *type[2], *unit[2], *period_type, *period_unit;
} kinds[] = {
#define SN_KIND(id, name, t1, u1, t2, u2, pt, pu, help) { { t1, t2 }, { u1, u2 }, pt, pu },
#include "base/kinds.def"
#undef SN_KIND
};

static sn_value_type_msg *
value_type(struct sn_pprof_encoder *e, const char *type, const char *unit)
{
	sn_value_type_msg *v = sn_arena_alloc(&e->arena, sizeof(*v));

	if (v == NULL)
		return NULL;
	perftools__profiles__value_type__init(v);
	v->type = sn_strings_add(&e->strings, type);
	v->unit = sn_strings_add(&e->strings, unit);
	return v;
}

/* What the profile is; the same for every profile of the kind, so that they merge and compare. */
static void
add_header(struct sn_pprof_encoder *e)
{
	const struct sn_profile *p = e->p;

	e->msg.sample_type = sn_arena_alloc(&e->arena, 2 * sizeof(*e->msg.sample_type));
	e->msg.comment = sn_arena_alloc(&e->arena, (p->comment_count + SYMBOL_COMMENTS) * sizeof(*e->msg.comment));
	if (e->arena.err < 0)
		return;
	for (size_t i = 0; i < 2; i++)
		e->msg.sample_type[i] = value_type(e, kinds[0].type[i], kinds[0].unit[i]);
	e->msg.n_sample_type = 2;
	e->msg.period_type = value_type(e, kinds[0].period_type, kinds[0].period_unit);
	e->msg.period = sn_saturated(p->period_ns, 1);
	e->msg.time_nanos = sn_saturated(p->time_ns, 1);
	e->msg.duration_nanos = sn_saturated(p->duration_ns, 1);
	for (uint32_t i = 0; i < p->comment_count; i++)
		e->msg.comment[i] = sn_strings_add(&e->strings, p->comments[i]);
	e->msg.n_comment = p->comment_count;
}

static void
add_count(struct sn_pprof_encoder *e, const char *name, uint64_t count, const char *what)
{
	char *text = sn_arena_alloc(&e->arena, COMMENT_MAX);	/* the strings keep it until the message is packed */

	if (text == NULL)
		return;
	(void)snprintf(text, COMMENT_MAX, "# %s=%llu: %s", name, (unsigned long long)count, what);
	e->msg.comment[e->msg.n_comment++] = sn_strings_add(&e->strings, text);
}

/* What symbolizing this profile, and not those before it, has counted. */
static void
add_symbol_comments(struct sn_pprof_encoder *e, const struct sn_symbol_counters *before)
{
	const struct sn_symbol_counters *now;

	if (e->how == SN_SYMBOLIZE_NONE || e->arena.err < 0)
		return;
	now = sn_symbolizer_counters(e->symbolizer);
#define SN_SYMBOL_COUNTER(field, name, what) add_count(e, name, now->field - before->field, what);
#include "base/counters.def"
}

static int
prepare(struct sn_pprof_encoder *e)
{
	const struct sn_profile *p = e->p;

	perftools__profiles__profile__init(&e->msg);
	e->used = calloc(p->frame_count + 1, sizeof(*e->used));
	e->location_of = calloc(p->frame_count + 1, sizeof(*e->location_of));
	e->location_ids = malloc((p->frame_id_count + 1) * sizeof(*e->location_ids));
	e->merged = malloc((p->row_count + 1) * sizeof(*e->merged));
	e->thread_label = calloc(p->label_count + 1, sizeof(*e->thread_label));
	if (e->used == NULL || e->location_of == NULL || e->location_ids == NULL || e->merged == NULL ||
	    e->thread_label == NULL)
		return -ENOMEM;
	return sn_strings_init(&e->strings, &e->arena);
}

void
sn_pprof_dispose(struct sn_pprof_encoder *e)
{
	sn_arena_free(&e->arena);
	sn_strings_free(&e->strings);
	sn_index_free(&e->function_index);
	free(e->function_keys);
	free(e->used);
	free(e->location_of);
	free(e->location_ids);
	free(e->merged);
	free(e->thread_label);
}

static void
pack(struct sn_pprof_encoder *e, struct sn_buf *raw)
{
	size_t size;
	void *room;

	e->msg.string_table = e->strings.text;
	e->msg.n_string_table = e->strings.index.count;
	size = perftools__profiles__profile__get_packed_size(&e->msg);
	room = sn_buf_room(raw, size);
	if (room != NULL)
		raw->len += perftools__profiles__profile__pack(&e->msg, room);
}

int
sn_pprof_finish(struct sn_pprof_encoder *e, int err, struct sn_buf *out)
{
	struct sn_buf raw = { 0 };

	if (err == 0)
		pack(e, &raw);
	sn_pprof_dispose(e);
	if (err == 0)
		err = raw.err < 0 ? raw.err : sn_gzip(raw.data, raw.len, out);
	sn_buf_free(&raw);
	return err;
}

int
sn_pprof_encode(const struct sn_profile *p, struct sn_symbolizer *s, enum sn_symbolize how, struct sn_buf *out)
{
	struct sn_pprof_encoder e = { .p = p, .symbolizer = s, .how = s != NULL ? how : SN_SYMBOLIZE_NONE };
	struct sn_symbol_counters before = { 0 };
	int err = prepare(&e);

	if (s != NULL)
		before = *sn_symbolizer_counters(s);
	if (err == 0) {
		sn_pprof_merge_rows(&e);
		add_header(&e);
		sn_pprof_add_places(&e);
		sn_pprof_add_samples(&e);
		add_symbol_comments(&e, &before);
		err = e.arena.err;
	}
	return sn_pprof_finish(&e, err, out);
}

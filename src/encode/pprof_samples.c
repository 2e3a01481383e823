/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_samples.c - rows of a profile as pprof's samples, with their labels.
 *
 * Runs in:  collector, in the child that writes the file.
 * Memory:   see pprof_parts.h; samples of one stack share its list of locations.
 */
#include <stdlib.h>

#include "encode/pprof_parts.h"

#define LABELS_EACH	2		/* thread, thread_id */

static int
compare_keys(const struct sn_row *a, const struct sn_row *b)
{
	int order = sn_compare_u64(a->stack, b->stack);

	if (order == 0)
		order = sn_compare_u64(a->label, b->label);
	return order != 0 ? order : (a->tid > b->tid) - (a->tid < b->tid);
}

static int
compare_rows(const void *left, const void *right)
{
	const struct sn_merged_row *a = left, *b = right;

	return compare_keys(a->row, b->row);
}

static int
compare_merged(const void *left, const void *right)
{
	const struct sn_merged_row *a = left, *b = right;
	int order = -sn_compare_u64(a->count, b->count);

	return order != 0 ? order : compare_keys(a->row, b->row);
}

/* Rows with a count, those of equal stack and labels added up, the largest first. */
void
sn_pprof_merge_rows(struct sn_pprof_encoder *e)
{
	const struct sn_profile *p = e->p;
	struct sn_merged_row *m = e->merged;
	size_t n = 0, kept = 0;

	for (uint32_t i = 0; i < p->row_count; i++)
		if (p->rows[i].count > 0)
			m[n++] = (struct sn_merged_row){ &p->rows[i], p->rows[i].count };
	qsort(m, n, sizeof(*m), compare_rows);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && compare_keys(m[kept - 1].row, m[i].row) == 0)
			m[kept - 1].count += m[i].count;
		else
			m[kept++] = m[i];
	}
	qsort(m, kept, sizeof(*m), compare_merged);
	e->merged_count = kept;
}

static sn_label_msg *
new_label(struct sn_pprof_encoder *e, const char *key)
{
	sn_label_msg *label = sn_arena_alloc(&e->arena, sizeof(*label));

	if (label == NULL)
		return NULL;
	perftools__profiles__label__init(label);
	label->key = sn_strings_add(&e->strings, key);
	return label;
}

static sn_label_msg *
thread_label(struct sn_pprof_encoder *e, uint32_t label)
{
	const char *name = e->p->labels[label];

	if (e->thread_label[label] == NULL && *name != '\0') {	/* pprof drops an empty text */
		e->thread_label[label] = new_label(e, "thread");
		if (e->thread_label[label] != NULL)
			e->thread_label[label]->str = sn_strings_add(&e->strings, name);
	}
	return e->thread_label[label];
}

static sn_label_msg *
thread_id_label(struct sn_pprof_encoder *e, int32_t tid)
{
	sn_label_msg *label = new_label(e, "thread_id");

	if (label != NULL) {
		label->num = tid;
		/* A unit of pprof's that it does not print; without one the key would be the unit. */
		label->num_unit = sn_strings_add(&e->strings, "count");
	}
	return label;
}

static void
set_labels(struct sn_pprof_encoder *e, sn_sample_msg *sample, const struct sn_row *row)
{
	sn_label_msg *label;

	if (row->label < e->p->label_count) {
		label = thread_label(e, row->label);
		if (label != NULL)
			sample->label[sample->n_label++] = label;
	}
	if (row->tid != 0) {
		label = thread_id_label(e, row->tid);
		if (label != NULL)
			sample->label[sample->n_label++] = label;
	}
}

static void
fill_locations(struct sn_pprof_encoder *e)
{
	for (uint32_t i = 0; i < e->p->frame_id_count; i++)
		e->location_ids[i] = e->location_of[e->p->frame_ids[i]];
}

void
sn_pprof_add_samples(struct sn_pprof_encoder *e)
{
	size_t n = e->merged_count;
	sn_sample_msg *all = sn_arena_alloc(&e->arena, n * sizeof(*all));
	sn_sample_msg **list = sn_arena_alloc(&e->arena, n * sizeof(*list));
	int64_t *values = sn_arena_alloc(&e->arena, 2 * n * sizeof(*values));
	sn_label_msg **labels = sn_arena_alloc(&e->arena, LABELS_EACH * n * sizeof(*labels));

	if (e->arena.err < 0)
		return;
	fill_locations(e);
	for (size_t i = 0; i < n; i++) {
		const struct sn_merged_row *m = &e->merged[i];
		const struct sn_stack *s = &e->p->stacks[m->row->stack];

		perftools__profiles__sample__init(&all[i]);
		all[i].location_id = e->location_ids + s->first;
		all[i].n_location_id = s->count;
		all[i].value = values + 2 * i;
		all[i].n_value = 2;
		all[i].value[0] = sn_saturated(m->count, 1);
		all[i].value[1] = sn_saturated(m->count, e->p->period_ns);
		all[i].label = labels + LABELS_EACH * i;
		set_labels(e, &all[i], m->row);
		list[i] = &all[i];
	}
	e->msg.sample = list;
	e->msg.n_sample = n;
}

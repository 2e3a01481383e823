/* SPDX-License-Identifier: Apache-2.0
 *
 * jit.c - call frame information that the program registers becomes tables, which lie over its anonymous mappings.
 *
 * Runs in:  collector, when the maps of texts are made anew.
 * Memory:   a table of a block that was taken back keeps its place until no handler can be reading it.
 * When full: the block has no table, and its code goes by frame pointers.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "collect/frames.h"
#include "collect/jit.h"
#include "collect/process.h"
#include "collect/table.h"
#include "collect/tables.h"

#define MAPPINGS_TRIED	8u	/* the nearest ones to a block: compilers put it beside its code */

#if defined(__x86_64__)
#define MACHINE	EM_X86_64
#else
#define MACHINE	EM_AARCH64
#endif

struct block {
	struct sn_table table;		/* bytes 0: none */
	uint32_t at;			/* in the store */
};

/* The place of a block that was taken back. */
struct retired {
	uint32_t at, bytes, epoch;
	struct retired *next;
};

struct sn_jit {
	struct sn_frames_view view;
	struct sn_frames_change change;
	struct block block[SN_FRAMES_BLOCKS];
	struct retired *retired;
};

static void
retire(struct sn_process *p, struct block *b)
{
	struct retired *r = b->table.bytes > 0 ? malloc(sizeof(*r)) : NULL;

	if (r != NULL) {
		*r = (struct retired){ b->at, b->table.bytes, p->texts_epoch + 1, p->jit->retired };
		p->jit->retired = r;
	}
	*b = (struct block){ .at = 0 };
}

/* The part of the table that says something. */
static bool
find_extent(const struct sn_table *t, uint64_t *lo, uint64_t *hi)
{
	const uint32_t *index = (const uint32_t *)(const void *)(t->data + t->index);
	const struct sn_table_row *rows = (const struct sn_table_row *)(const void *)(t->data + t->rows);
	const struct sn_rule *rules = (const struct sn_rule *)(const void *)(t->data + t->rules);
	bool open = false;

	*lo = UINT64_MAX;
	*hi = 0;
	for (uint32_t b = 0; b < t->nbuckets; b++) {
		for (uint32_t i = index[b]; i < index[b + 1]; i++) {
			uint64_t at = t->vaddr + ((uint64_t)b << t->shift) + rows[i].at;

			if (rules[rows[i].rule].cfa != SN_CFA_NONE) {
				*lo = at < *lo ? at : *lo;
				open = true;
			} else if (open) {
				*hi = at;
				open = false;
			}
		}
	}
	if (open)
		*hi = t->limit;
	return *lo < *hi;
}

/* A table of the code that the block describes in this mapping.  False: of none there. */
static bool
compile_in(const struct sn_frames_change *c, uint64_t lo, uint64_t hi, struct sn_table *out)
{
	struct sn_cfi_block in = { .data = c->data, .bytes = c->bytes, .vaddr = c->address, .text_lo = lo,
		.text_hi = hi, .machine = MACHINE };
	bool found;

	if (sn_table_compile(&in, out) < 0)
		return false;
	found = find_extent(out, &in.text_lo, &in.text_hi);
	sn_table_free(out);
	return found && sn_table_compile(&in, out) == 0;
}

static uint64_t
distance(const struct sn_module *m, uint64_t addr)
{
	return addr < m->start ? m->start - addr : addr >= m->limit ? addr - m->limit : 0;
}

/* Among the anonymous mappings, the nearest first. */
static bool
compile(const struct sn_process *p, const struct sn_frames_change *c, struct sn_table *out)
{
	uint64_t beyond = 0;

	for (unsigned tried = 0; tried < MAPPINGS_TRIED; tried++) {
		const struct sn_module *best = NULL;

		for (uint32_t i = 0; i < p->modules->now_count; i++) {
			const struct sn_module *m = p->modules->now[i];

			if (m->kind == SN_MODULE_ANON && (tried == 0 || distance(m, c->address) > beyond) &&
			    (best == NULL || distance(m, c->address) < distance(best, c->address)))
				best = m;
		}
		if (best == NULL)
			return false;
		beyond = distance(best, c->address);
		if (compile_in(c, best->start, best->limit, out))
			return true;
	}
	return false;
}

bool
sn_jit_is_behind(const struct sn_process *p)
{
	return SN_LOAD_ACQUIRE(&p->seg.frames->changes) != (p->jit != NULL ? p->jit->view.changes : 0);
}

bool
sn_jit_follow(struct sn_process *p)
{
	struct sn_jit *j = p->jit;
	bool changed = false;

	if (!sn_jit_is_behind(p))
		return false;
	if (j == NULL)
		j = p->jit = calloc(1, sizeof(*j));
	if (j == NULL)
		return false;
	while (sn_process_frames_next(p, &j->view, &j->change)) {
		struct block *b = &j->block[j->change.index];

		retire(p, b);
		changed = true;
		if (j->change.bytes > 0 && compile(p, &j->change, &b->table) &&
		    sn_tables_put(p->file_images, &b->table, &b->at) < 0)
			b->table.bytes = 0;
	}
	return changed;
}

static int
by_start(const void *a, const void *b)
{
	const struct sn_text *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Cut [x->start, x->limit) out of the texts, then add it. */
static uint32_t
put_over(struct sn_text *texts, uint32_t n, const struct sn_text *x)
{
	uint32_t count = n;

	for (uint32_t i = 0; i < count; i++) {
		struct sn_text *t = &texts[i];

		if (x->start < t->start || x->limit > t->limit)
			continue;
		if (n + 2 > SN_TEXTS_MAX)
			return n;
		if (x->limit < t->limit) {
			texts[n] = *t;
			texts[n++].start = x->limit;
		}
		if (t->start < x->start) {
			t->limit = x->start;
			texts[n++] = *x;
		} else {
			*t = *x;
		}
		break;
	}
	return n;
}

uint32_t
sn_jit_overlay(const struct sn_process *p, struct sn_text *texts, uint32_t n)
{
	uint32_t before = n;

	for (uint32_t i = 0; p->jit != NULL && i < SN_FRAMES_BLOCKS; i++) {
		const struct block *b = &p->jit->block[i];
		struct sn_text x = { .start = b->table.vaddr, .limit = b->table.limit };

		if (b->table.bytes == 0)
			continue;
		sn_text_set_table(&x, &b->table, b->at, 0);
		n = put_over(texts, n, &x);
	}
	if (n != before)
		qsort(texts, n, sizeof(*texts), by_start);
	return n;
}

void
sn_jit_expire(struct sn_process *p, uint32_t oldest_read)
{
	struct retired **at = p->jit != NULL ? &p->jit->retired : NULL, *r;

	while (at != NULL && (r = *at) != NULL) {
		if (r->epoch > oldest_read) {
			at = &r->next;
			continue;
		}
		sn_tables_give_back(p->file_images, r->at, r->bytes);
		*at = r->next;
		free(r);
	}
}

void
sn_jit_free(struct sn_process *p)
{
	if (p->jit == NULL)
		return;
	for (uint32_t i = 0; i < SN_FRAMES_BLOCKS; i++)
		retire(p, &p->jit->block[i]);
	sn_jit_expire(p, UINT32_MAX);
	free(p->jit);
	p->jit = NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * table_rows.c - rows in the making, the dictionary of rules, and the finished table (see table_rows.h).
 *
 * Runs in:  collector.
 * Memory:   the rows' own; the finished table is the caller's.  -ENOMEM leaves all as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/table_rows.h"

#define RULES_MAX	65535u
#define PROBES_MAX	64u	/* a dictionary made to collide loses rules instead of time */
#define FIRST_HASH	512u
#define INDEX_SHARE	16u	/* the index may add 1/16 (6 %) to the rows */

static const struct sn_rule bad_rule = { .cfa = SN_CFA_BAD };

static uint32_t
hash_of(const struct sn_rule *rule)
{
	uint64_t a, b;

	memcpy(&a, rule, sizeof(a));
	memcpy(&b, (const char *)rule + sizeof(a), sizeof(b));
	a = (a ^ (a >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	b = (b ^ (b >> 29)) * UINT64_C(0xc2b2ae3d27d4eb4f);
	a ^= b;
	return (uint32_t)(a >> 32) ^ (uint32_t)a;
}

/* The place of a rule, or the free one for it; NULL: too many collide. */
static uint32_t *
place(const struct sn_rows *r, const struct sn_rule *rule)
{
	uint32_t h = hash_of(rule);

	for (unsigned i = 0; i < PROBES_MAX; i++, h++) {
		uint32_t *at = &r->hash[h & (r->hash_size - 1)];

		if (*at == 0 || memcmp(&r->rule[*at - 1], rule, sizeof(*rule)) == 0)
			return at;
	}
	return NULL;
}

static int
grow_hash(struct sn_rows *r, uint32_t size)
{
	uint32_t *fresh = calloc(size, sizeof(*fresh)), *at;

	if (fresh == NULL)
		return -ENOMEM;
	free(r->hash);
	r->hash = fresh;
	r->hash_size = size;
	for (uint32_t i = 0; i < r->nrules; i++) {
		at = place(r, &r->rule[i]);
		if (at != NULL && *at == 0)
			*at = i + 1;
	}
	return 0;
}

static int
add_rule(struct sn_rows *r, const struct sn_rule *rule)
{
	uint32_t cap = r->rule_cap * 2;
	struct sn_rule *more;
	uint32_t *at;

	if (r->nrules == r->rule_cap) {
		more = realloc(r->rule, cap * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		r->rule = more;
		r->rule_cap = cap;
	}
	if (r->nrules * 2 >= r->hash_size && grow_hash(r, r->hash_size * 2) < 0)
		return -ENOMEM;
	at = place(r, rule);
	if (at == NULL)
		return -ENOSPC;
	r->rule[r->nrules] = *rule;
	*at = ++r->nrules;
	return 0;
}

/* The number of a rule.  0, -ENOMEM, or -ENOSPC: there is no place for it. */
static int
number_of(struct sn_rows *r, const struct sn_rule *rule, uint16_t *out)
{
	uint32_t *at = place(r, rule);
	int err;

	if (at == NULL)
		return -ENOSPC;
	if (*at == 0) {
		if (r->nrules == RULES_MAX)
			return -ENOSPC;
		err = add_rule(r, rule);
		if (err < 0)
			return err;
		*out = (uint16_t)(r->nrules - 1);
		return 0;
	}
	*out = (uint16_t)(*at - 1);
	return 0;
}

int
sn_rows_init(struct sn_rows *r)
{
	uint16_t bad;
	int err;

	*r = (struct sn_rows){ .row_cap = 256, .rule_cap = 64 };
	r->row = malloc(r->row_cap * sizeof(*r->row));
	r->rule = malloc(r->rule_cap * sizeof(*r->rule));
	err = r->row == NULL || r->rule == NULL ? -ENOMEM : grow_hash(r, FIRST_HASH);
	if (err == 0)
		err = number_of(r, &bad_rule, &bad);	/* so that there is always a place for this one: 0 */
	if (err < 0)
		sn_rows_free(r);
	return err;
}

void
sn_rows_free(struct sn_rows *r)
{
	free(r->row);
	free(r->rule);
	free(r->hash);
	*r = (struct sn_rows){ 0 };
}

int
sn_rows_add(struct sn_rows *r, uint64_t at, const struct sn_rule *given)
{
	struct sn_wide_row *last = r->nrows > 0 ? &r->row[r->nrows - 1] : NULL, *more;
	struct sn_rule marked = *given, *rule = &marked;
	uint16_t number = 0;
	int err;

	sn_rule_mark(rule);
	r->given++;
	if (last != NULL && memcmp(&r->rule[last->rule], rule, sizeof(*rule)) == 0) {
		r->bad += rule->cfa == SN_CFA_BAD;
		return 0;
	}
	if (at > UINT32_MAX || r->nrows == UINT32_MAX / 2)
		return -E2BIG;
	err = number_of(r, rule, &number);
	if (err < 0 && err != -ENOSPC)
		return err;
	r->bad += number == 0;
	if (last != NULL && last->rule == number)
		return 0;
	if (r->nrows == r->row_cap) {
		more = realloc(r->row, (size_t)r->row_cap * 2 * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		r->row = more;
		r->row_cap *= 2;
	}
	r->row[r->nrows++] = (struct sn_wide_row){ .at = (uint32_t)at, .rule = number };
	return 0;
}

static uint64_t
buckets(uint64_t text, unsigned shift)
{
	return (text + (UINT64_C(1) << shift) - 1) >> shift;
}

static uint64_t
size_of(const struct sn_rows *r, uint64_t nbuckets)
{
	return (uint64_t)r->nrules * sizeof(struct sn_rule) + (nbuckets + 1) * sizeof(uint32_t) +
		(uint64_t)r->nrows * sizeof(struct sn_table_row);
}

/* Small buckets are searched faster; but the index should add little to the rows, and 0.85 of the CFI is enough. */
static unsigned
choose_shift(const struct sn_rows *r, uint64_t text, uint64_t cfi_bytes)
{
	unsigned shift = SN_TABLE_SHIFT_MIN;

	for (; shift < SN_TABLE_SHIFT_MAX; shift++) {
		uint64_t n = buckets(text, shift), rest = size_of(r, 0);

		if (n * sizeof(uint32_t) * INDEX_SHARE <= rest && size_of(r, n) * 20 <= cfi_bytes * 17)
			break;
	}
	return shift;
}

static void
fill(const struct sn_rows *r, struct sn_table *t)
{
	uint32_t *index = (uint32_t *)(void *)(t->data + t->index), bucket = 0;
	struct sn_table_row *row = (struct sn_table_row *)(void *)(t->data + t->rows);
	uint32_t mask = (1u << t->shift) - 1;

	memcpy(t->data + t->rules, r->rule, r->nrules * sizeof(*r->rule));
	for (uint32_t i = 0; i < r->nrows; i++) {
		const struct sn_wide_row *w = &r->row[i];
		uint64_t next = i + 1 < r->nrows ? w[1].at : t->limit - t->vaddr;

		while (bucket <= w->at >> t->shift)
			index[bucket++] = i;
		row[i] = (struct sn_table_row){ .at = (uint16_t)(w->at & mask), .rule = w->rule };
		if (r->rule[w->rule].cfa != SN_CFA_NONE)
			t->text_bytes += next - w->at;
		if (r->rule[w->rule].cfa == SN_CFA_BAD)
			t->text_bad += next - w->at;
	}
	while (bucket <= t->nbuckets)
		index[bucket++] = r->nrows;
}

int
sn_rows_pack(const struct sn_rows *r, struct sn_table *out)
{
	uint64_t text = out->limit - out->vaddr, n, bytes;

	out->shift = choose_shift(r, text, out->cfi_bytes);
	n = buckets(text, out->shift);
	bytes = (size_of(r, n) + SN_TABLE_ALIGN - 1) & ~(uint64_t)(SN_TABLE_ALIGN - 1);
	if (n > UINT32_MAX / 8 || bytes > SN_TABLES_WINDOW)
		return -E2BIG;
	out->data = aligned_alloc(SN_TABLE_ALIGN, (size_t)bytes);
	if (out->data == NULL)
		return -ENOMEM;
	memset(out->data, 0, (size_t)bytes);
	out->bytes = (uint32_t)bytes;
	out->nbuckets = (uint32_t)n;
	out->nrows = r->nrows;
	out->nrules = r->nrules;
	out->rules = 0;
	out->index = out->nrules * (uint32_t)sizeof(struct sn_rule);
	out->rows = out->index + (out->nbuckets + 1) * (uint32_t)sizeof(uint32_t);
	out->rows_total = r->given;
	out->rows_bad = r->bad;
	fill(r, out);
	return 0;
}

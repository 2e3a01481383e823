/* SPDX-License-Identifier: Apache-2.0
 *
 * table_rows.h - rows of a table in the making, and the dictionary of their rules.
 *
 * Runs in:  collector.
 * Memory:   belongs to struct sn_rows; grows by doubling, within bounds that follow from the bytes of CFI.
 */
#ifndef SN_COLLECT_TABLE_ROWS_H
#define SN_COLLECT_TABLE_ROWS_H

#include "collect/table.h"

struct sn_wide_row {
	uint32_t at;		/* from the beginning of the text */
	uint16_t rule;
};

struct sn_rows {
	struct sn_wide_row *row;
	uint32_t nrows, row_cap;
	struct sn_rule *rule;
	uint32_t nrules, rule_cap;
	uint32_t *hash;		/* number of a rule + 1, 0 for none */
	uint32_t hash_size;	/* a power of two */
	uint64_t given, bad;	/* rows before they were merged; … of them with bad rules */
};

/* 0 or -ENOMEM. */
int sn_rows_init(struct sn_rows *r);
void sn_rows_free(struct sn_rows *r);

/*
 * From at on, which is behind the last row's, the rule is this one.  0, -E2BIG, -ENOMEM.  With 65535 rules the
 * dictionary is full: rows with further ones are bad.
 */
int sn_rows_add(struct sn_rows *r, uint64_t at, const struct sn_rule *rule);

/* Cut into buckets: fills data and what describes it, of out->vaddr up to out->limit, and the bytes of text. */
int sn_rows_pack(const struct sn_rows *r, struct sn_table *out);

#endif

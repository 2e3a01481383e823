/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h - an arena with one copy of each string, for names and lines that live long.
 *
 * Runs in:  collector.
 * Memory:   everything handed out lives until sn_store_free.
 * When out of memory: NULL; what was handed out before stays good.
 */
#ifndef SN_SYMBOL_STORE_H
#define SN_SYMBOL_STORE_H

#include <stddef.h>
#include <stdint.h>

struct sn_store_chunk;

struct sn_store {
	struct sn_store_chunk *chunks;
	char *at;		/* free room in the newest chunk */
	size_t left;
	const char **table;	/* open addressing over the strings, cap is a power of two */
	size_t count, cap;
};

/* size bytes, zeroed and aligned to 8.  NULL when out of memory. */
void *sn_store_alloc(struct sn_store *s, size_t size);

/* The one copy of these len bytes, ended by a NUL.  NULL when out of memory. */
const char *sn_store_string(struct sn_store *s, const char *text, size_t len);

void sn_store_free(struct sn_store *s);

#endif

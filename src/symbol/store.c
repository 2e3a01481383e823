/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c - arena and strings of the symbolizer (see store.h).  Runs in the collector.
 */
#include <stdlib.h>
#include <string.h>

#include "symbol/store.h"

#define CHUNK_BYTES	(64 * 1024)

struct sn_store_chunk {
	struct sn_store_chunk *next;
	_Alignas(8) char data[];
};

void *
sn_store_alloc(struct sn_store *s, size_t size)
{
	struct sn_store_chunk *c;
	size_t room = CHUNK_BYTES - sizeof(*c);
	char *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 7) & ~(size_t)7;
	if (size > s->left) {
		if (size > room)
			room = size;
		c = calloc(1, sizeof(*c) + room);
		if (c == NULL)
			return NULL;
		c->next = s->chunks;
		s->chunks = c;
		s->at = c->data;
		s->left = room;
	}
	p = s->at;
	s->at += size;
	s->left -= size;
	return p;
}

/* FNV-1a */
static uint64_t
hash_text(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

static size_t
slot_of(const char **table, size_t cap, const char *text, size_t len)
{
	size_t i = hash_text(text, len) & (cap - 1);

	while (table[i] != NULL && (strncmp(table[i], text, len) != 0 || table[i][len] != '\0'))
		i = (i + 1) & (cap - 1);
	return i;
}

static int
grow(struct sn_store *s)
{
	size_t cap = s->cap ? s->cap * 2 : 1024;
	const char **table = calloc(cap, sizeof(*table));

	if (table == NULL)
		return -1;
	for (size_t i = 0; i < s->cap; i++) {
		if (s->table[i] != NULL)
			table[slot_of(table, cap, s->table[i], strlen(s->table[i]))] = s->table[i];
	}
	free(s->table);
	s->table = table;
	s->cap = cap;
	return 0;
}

const char *
sn_store_string(struct sn_store *s, const char *text, size_t len)
{
	size_t i;
	char *copy;

	len = strnlen(text, len);
	if (s->count * 4 >= s->cap * 3 && grow(s) < 0)
		return NULL;
	i = slot_of(s->table, s->cap, text, len);
	if (s->table[i] != NULL)
		return s->table[i];
	copy = sn_store_alloc(s, len + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, text, len);
	s->table[i] = copy;
	s->count++;
	return copy;
}

void
sn_store_free(struct sn_store *s)
{
	struct sn_store_chunk *next;

	for (struct sn_store_chunk *c = s->chunks; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	free(s->table);
	*s = (struct sn_store){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - arena, hash index and list of texts for encoders (see table.h).
 *
 * Runs in:  collector, in the child that writes the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "encode/table.h"

#define CHUNK_BYTES	(64 * 1024)

struct sn_arena_chunk {
	struct sn_arena_chunk *next;
	size_t bytes;
	_Alignas(max_align_t) uint8_t data[];
};

void *
sn_arena_alloc(struct sn_arena *a, size_t bytes)
{
	const size_t align = _Alignof(max_align_t);
	struct sn_arena_chunk *c = a->first;
	void *out;

	if (bytes > SIZE_MAX / 2) {
		a->err = -ENOMEM;
		return NULL;
	}
	bytes = (bytes + align - 1) & ~(align - 1);
	if (c == NULL || bytes > c->bytes - a->used) {
		size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

		c = calloc(1, sizeof(*c) + room);
		if (c == NULL) {
			a->err = -ENOMEM;
			return NULL;
		}
		c->bytes = room;
		c->next = a->first;
		a->first = c;
		a->used = 0;
	}
	out = c->data + a->used;
	a->used += bytes;
	return out;
}

void
sn_arena_free(struct sn_arena *a)
{
	while (a->first != NULL) {
		struct sn_arena_chunk *next = a->first->next;

		free(a->first);
		a->first = next;
	}
	a->used = 0;
}

uint32_t
sn_index_find(const struct sn_index *x, uint32_t hash, sn_index_same same, const void *key, const void *list)
{
	if (x->slots == 0)
		return UINT32_MAX;
	for (uint32_t at = hash & (x->slots - 1); x->slot[at] != 0; at = (at + 1) & (x->slots - 1)) {
		uint32_t number = x->slot[at] - 1;

		if (x->hash[number] == hash && same(key, number, list))
			return number;
	}
	return UINT32_MAX;
}

static void
take_slot(struct sn_index *x, uint32_t number)
{
	uint32_t at = x->hash[number] & (x->slots - 1);

	while (x->slot[at] != 0)
		at = (at + 1) & (x->slots - 1);
	x->slot[at] = number + 1;
}

/* Twice the numbers, and twice as many slots as numbers, so that half of them stay free. */
static int
grow_index(struct sn_index *x)
{
	uint32_t cap = x->cap > 0 ? x->cap * 2 : 128;
	uint32_t *hash, *slot;

	if (cap > UINT32_MAX / 4)
		return -ENOMEM;
	hash = realloc(x->hash, (size_t)cap * sizeof(*hash));
	if (hash == NULL)
		return -ENOMEM;
	x->hash = hash;
	slot = calloc((size_t)cap * 2, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	free(x->slot);
	x->slot = slot;
	x->slots = cap * 2;
	x->cap = cap;
	for (uint32_t i = 0; i < x->count; i++)
		take_slot(x, i);
	return 0;
}

int
sn_index_add(struct sn_index *x, uint32_t hash)
{
	if (x->count == x->cap) {
		int err = grow_index(x);

		if (err < 0)
			return err;
	}
	x->hash[x->count] = hash;
	take_slot(x, x->count++);
	return 0;
}

void
sn_index_free(struct sn_index *x)
{
	free(x->hash);
	free(x->slot);
	*x = (struct sn_index){ 0 };
}

size_t
sn_utf8_length(const char *text)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	if (s[0] == '\0')
		return 0;
	for (size_t i = 1; i < len; i++)	/* stops at the NUL, which is no continuation */
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90))
		return 0;			/* longer than it need be */
	if ((s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;			/* half of a UTF-16 pair; beyond U+10FFFF */
	return len;
}

/* The text itself when it is valid, else a copy with '?' in it; NULL when out of memory. */
static const char *
valid_text(struct sn_arena *arena, const char *text)
{
	size_t at = 0;
	char *copy;

	for (size_t n; text[at] != '\0' && (n = sn_utf8_length(text + at)) > 0;)
		at += n;
	if (text[at] == '\0')
		return text;
	copy = sn_arena_alloc(arena, strlen(text) + 1);
	if (copy == NULL)
		return NULL;
	strcpy(copy, text);
	while (copy[at] != '\0') {
		size_t n = sn_utf8_length(copy + at);

		if (n == 0)
			copy[at++] = '?';
		else
			at += n;
	}
	return copy;
}

static uint32_t
text_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;		/* FNV-1a */

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
	return (uint32_t)(h ^ (h >> 32));
}

static bool
same_text(const void *key, uint32_t number, const void *list)
{
	return strcmp(key, ((char *const *)list)[number]) == 0;
}

static int
append_text(struct sn_strings *s, const char *text, uint32_t hash)
{
	if (s->index.count == s->cap) {
		uint32_t cap = s->cap > 0 ? s->cap * 2 : 128;
		char **grown = realloc(s->text, (size_t)cap * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		s->text = grown;
		s->cap = cap;
	}
	s->text[s->index.count] = (char *)text;		/* protobuf-c has no const; it only reads */
	return sn_index_add(&s->index, hash);
}

uint32_t
sn_strings_add(struct sn_strings *s, const char *text)
{
	const char *valid = valid_text(s->arena, text != NULL ? text : "");
	uint32_t hash, number;

	if (valid == NULL)
		return 0;
	hash = text_hash(valid);
	number = sn_index_find(&s->index, hash, same_text, valid, s->text);
	if (number != UINT32_MAX)
		return number;
	if (append_text(s, valid, hash) < 0) {
		s->arena->err = -ENOMEM;
		return 0;
	}
	return s->index.count - 1;
}

int
sn_strings_init(struct sn_strings *s, struct sn_arena *arena)
{
	*s = (struct sn_strings){ .arena = arena };
	(void)sn_strings_add(s, "");
	return s->index.count == 1 ? 0 : -ENOMEM;
}

int
sn_strings_adopt(struct sn_strings *s, struct sn_arena *arena, char *const *text, size_t count)
{
	int err = count <= UINT32_MAX / 4 ? 0 : -ENOMEM;

	*s = (struct sn_strings){ .arena = arena };
	for (size_t i = 0; i < count && err == 0; i++)
		err = append_text(s, text[i], text_hash(text[i]));
	return err;
}

void
sn_strings_free(struct sn_strings *s)
{
	sn_index_free(&s->index);
	free(s->text);
	s->text = NULL;
}

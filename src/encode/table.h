/* SPDX-License-Identifier: Apache-2.0
 *
 * table.h - what an encoder needs to build one message: memory that goes all at once, and lists
 * in which everything stands once.
 *
 * Runs in:  collector, in the child that writes the file.
 * Memory:   everything belongs to the arena or the list and lives until it is freed.
 * When out of memory: err is set to -ENOMEM once, numbers come back as 0 and the encoder goes on
 *           to its end, where it checks.
 */
#ifndef SN_ENCODE_TABLE_H
#define SN_ENCODE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sn_arena {
	struct sn_arena_chunk *first;
	size_t used;			/* of the first chunk */
	int err;
};

/* Zeroed; NULL when out of memory. */
void *sn_arena_alloc(struct sn_arena *a, size_t bytes);
void sn_arena_free(struct sn_arena *a);

/* Numbers 0, 1, 2 … found by the hash of what they stand for. */
struct sn_index {
	uint32_t *hash;			/* of each number */
	uint32_t *slot;			/* open addressing: number + 1, 0 when free */
	uint32_t count, cap, slots;
};

/* Is `number` what `key` describes? */
typedef bool (*sn_index_same)(const void *key, uint32_t number, const void *list);

/* The number, or UINT32_MAX. */
uint32_t sn_index_find(const struct sn_index *x, uint32_t hash, sn_index_same same, const void *key,
	const void *list);
/* Give the next number to hash.  0 or -ENOMEM. */
int sn_index_add(struct sn_index *x, uint32_t hash);
void sn_index_free(struct sn_index *x);

/* Texts, each once, all valid UTF-8; number 0 is "". */
struct sn_strings {
	struct sn_arena *arena;
	struct sn_index index;
	char **text;
	uint32_t cap;
};

/* 0 or -ENOMEM. */
int sn_strings_init(struct sn_strings *s, struct sn_arena *arena);
/* Begin with a table as it stands, which must live as long as the list: its numbers stay.  0 or -ENOMEM. */
int sn_strings_adopt(struct sn_strings *s, struct sn_arena *arena, char *const *text, size_t count);
void sn_strings_free(struct sn_strings *s);

/*
 * The number of a text.  Bytes that are not UTF-8 become '?'.  A text that is valid is not copied:
 * it must live as long as the list.  NULL is "".
 */
uint32_t sn_strings_add(struct sn_strings *s, const char *text);

/* Bytes of the character of UTF-8 that s begins with; 0 when there is none. */
size_t sn_utf8_length(const char *s);

#endif

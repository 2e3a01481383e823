/* SPDX-License-Identifier: Apache-2.0
 *
 * history.c - rows of what was sampled when, in chunks (see history.h).
 *
 * Runs in:  collector.
 * Memory:   chunks of 64 KiB, each a mapping of its own, so that what goes is really given back.
 * When full: the oldest chunk goes, pinned or not: memory is the promise to the program, the span only one to a
 *           client, and from_ns says from where on it still holds.
 */
#include <sys/mman.h>

#include "collect/history.h"

#define CHUNK_BYTES	(64u << 10)
#define CHUNK_ROWS	((CHUNK_BYTES - 40) / sizeof(struct sn_history_row))

struct sn_history_chunk {
	struct sn_history_chunk *next;
	uint64_t oldest_ns, newest_ns;
	uint32_t count;
	struct sn_history_row row[CHUNK_ROWS];
};
_Static_assert(sizeof(struct sn_history_chunk) <= CHUNK_BYTES, "a chunk is what is counted for it");

void
sn_history_init(struct sn_history *h, uint64_t keep_ns, size_t bound_bytes, uint64_t now_ns)
{
	*h = (struct sn_history){ .keep_ns = keep_ns, .bound_bytes = bound_bytes, .from_ns = now_ns };
}

static void
begin_after(struct sn_history *h, uint64_t ns)
{
	if (ns > h->from_ns)
		h->from_ns = ns;
}

static void
free_first(struct sn_history *h)
{
	struct sn_history_chunk *c = h->first;

	begin_after(h, c->newest_ns);
	h->first = c->next;
	if (h->first == NULL)
		h->last = NULL;
	h->held_bytes -= CHUNK_BYTES;
	(void)munmap(c, CHUNK_BYTES);
}

void
sn_history_free(struct sn_history *h)
{
	while (h->first != NULL)
		free_first(h);
}

static struct sn_history_chunk *
new_chunk(struct sn_history *h)
{
	struct sn_history_chunk *c;

	while (h->first != NULL && h->held_bytes + CHUNK_BYTES > h->bound_bytes) {
		h->rows_dropped += h->first->count;
		free_first(h);
	}
	if (CHUNK_BYTES > h->bound_bytes)
		return NULL;
	c = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c == MAP_FAILED)
		return NULL;
	c->oldest_ns = UINT64_MAX;
	h->held_bytes += CHUNK_BYTES;
	if (h->last != NULL)
		h->last->next = c;
	else
		h->first = c;
	h->last = c;
	return c;
}

void
sn_history_add(struct sn_history *h, const struct sn_history_row *row)
{
	struct sn_history_chunk *c = h->last;

	if (h->keep_ns == 0 && h->pinned_ns == 0) {
		begin_after(h, row->time_ns);	/* nobody will ask for it */
		return;
	}
	if (c == NULL || c->count == CHUNK_ROWS)
		c = new_chunk(h);
	if (c == NULL) {
		h->rows_dropped++;
		begin_after(h, row->time_ns);
		return;
	}
	c->row[c->count++] = *row;
	if (row->time_ns < c->oldest_ns)
		c->oldest_ns = row->time_ns;
	if (row->time_ns > c->newest_ns)
		c->newest_ns = row->time_ns;
}

void
sn_history_expire(struct sn_history *h, uint64_t now_ns)
{
	uint64_t horizon = now_ns > h->keep_ns ? now_ns - h->keep_ns : 0;

	if (h->pinned_ns != 0 && h->pinned_ns < horizon)
		horizon = h->pinned_ns;
	while (h->first != NULL && h->first->newest_ns <= horizon)
		free_first(h);
}

void
sn_history_each(const struct sn_history *h, uint64_t from_ns, uint64_t to_ns,
	void (*fn)(void *ctx, const struct sn_history_row *row), void *ctx)
{
	for (const struct sn_history_chunk *c = h->first; c != NULL; c = c->next) {
		if (c->newest_ns <= from_ns || c->oldest_ns > to_ns)
			continue;
		for (uint32_t i = 0; i < c->count; i++)
			if (c->row[i].time_ns > from_ns && c->row[i].time_ns <= to_ns)
				fn(ctx, &c->row[i]);
	}
}

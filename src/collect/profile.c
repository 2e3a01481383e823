/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.c - intern frames and stacks, count rows (see profile.h).
 *
 * Runs in:  collector.
 * Memory:   arrays that double; every element is found by an index and chained by index,
 *           so that nothing moves but the arrays.  held_bytes is their room, not their filling.
 * When full: new frames and stacks are refused at three quarters of the budget, new rows at all
 *           of it; a row that finds no room is counted under [stack dropped], which always exists.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/profile.h"

#define NONE		UINT32_MAX
#define LABELS_MAX	64
#define GROUPS_MAX	4096		/* start functions; found by looking at each, so bounded */
#define NO_LIMIT	SIZE_MAX

static const char *const pseudo_names[SN_PSEUDO_COUNT] = {
	[SN_PSEUDO_NONE] = "[unknown]",
	[SN_PSEUDO_TRUNCATED] = "[truncated]",
	[SN_PSEUDO_UNWIND_FAILED] = "[unwind failed]",
	[SN_PSEUDO_NOT_SAMPLED] = "[not sampled]",
	[SN_PSEUDO_LOST] = "[lost]",
	[SN_PSEUDO_SIGNAL_BLOCKED] = "[signal blocked]",
	[SN_PSEUDO_KERNEL] = "[kernel]",
	[SN_PSEUDO_UNSAMPLED_THREAD] = "[unsampled thread]",
	[SN_PSEUDO_STACK_DROPPED] = "[stack dropped]",
	[SN_PSEUDO_FILTERED] = "[filtered]",
	[SN_PSEUDO_UNSAMPLED_PROCESSES] = "[unsampled processes]",
};

const char *
sn_pseudo_name(enum sn_pseudo p)
{
	return pseudo_names[(unsigned)p < SN_PSEUDO_COUNT ? p : SN_PSEUDO_NONE];
}

static size_t
stack_limit(const struct sn_profile *p)
{
	return p->budget_bytes == 0 ? NO_LIMIT : p->budget_bytes / 4 * 3;
}

static size_t
row_limit(const struct sn_profile *p)
{
	return p->budget_bytes == 0 ? NO_LIMIT : p->budget_bytes;
}

static bool
charge(struct sn_profile *p, size_t bytes, size_t limit)
{
	if (bytes > limit || p->held_bytes > limit - bytes)
		return false;
	p->held_bytes += bytes;
	return true;
}

/* The array with room for need elements; NULL, and nothing changed, when there is none. */
static void *
with_room(struct sn_profile *p, void *array, uint32_t *cap, size_t element, uint64_t need, size_t limit)
{
	uint64_t bigger = *cap > 0 ? *cap : 16;
	size_t extra;
	void *grown;

	if (need <= *cap)
		return array;
	while (bigger < need)
		bigger *= 2;
	if (bigger > UINT32_MAX / 2)
		return NULL;
	extra = (size_t)(bigger - *cap) * element;
	if (!charge(p, extra, limit))
		return NULL;
	grown = realloc(array, (size_t)bigger * element);
	if (grown == NULL) {
		p->held_bytes -= extra;
		return NULL;
	}
	*cap = (uint32_t)bigger;
	return grown;
}

/*
 * Twice as many hash heads once there is an element a head.  True when they are new and empty, so
 * that the caller links all elements again; where they cannot grow, the chains get longer instead.
 */
static bool
more_heads(struct sn_profile *p, uint32_t **heads, uint32_t *size, uint32_t count, size_t limit)
{
	uint32_t bigger = *size > 0 ? *size * 2 : 32;
	uint32_t *grown;

	if (count < *size || bigger > UINT32_MAX / 4 || !charge(p, (bigger - *size) * sizeof(*grown), limit))
		return false;
	grown = malloc(bigger * sizeof(*grown));
	if (grown == NULL) {
		p->held_bytes -= (bigger - *size) * sizeof(*grown);
		return false;
	}
	memset(grown, 0xff, bigger * sizeof(*grown));
	free(*heads);
	*heads = grown;
	*size = bigger;
	return true;
}

static void
link_at(uint32_t *heads, uint32_t size, uint32_t hash, uint32_t index, uint32_t *next)
{
	*next = heads[hash & (size - 1)];
	heads[hash & (size - 1)] = index;
}

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ (h >> 29);
}

static uint32_t
frame_hash(uint64_t addr, const struct sn_module *module, uint32_t pseudo)
{
	uint64_t h = mix(mix(mix(0, addr), (uintptr_t)module), pseudo);

	return (uint32_t)(h ^ (h >> 32));
}

static uint32_t
ids_hash(const uint32_t *ids, uint32_t count)
{
	uint64_t h = count;

	for (uint32_t i = 0; i < count; i++)
		h = mix(h, ids[i]);
	return (uint32_t)(h ^ (h >> 32));
}

static uint32_t
row_hash(uint32_t stack, uint32_t label, int32_t tid, uint32_t group)
{
	const uint32_t key[4] = { stack, label, (uint32_t)tid, group };

	return ids_hash(key, 4);
}

static uint32_t
find_frame(const struct sn_profile *p, uint32_t hash, uint64_t addr, const struct sn_module *module, uint32_t pseudo)
{
	if (p->frame_hash_size == 0)
		return NONE;
	for (uint32_t i = p->frame_hash[hash & (p->frame_hash_size - 1)]; i != NONE; i = p->frames[i].hash_next)
		if (p->frames[i].addr == addr && p->frames[i].module == module && p->frames[i].pseudo == pseudo)
			return i;
	return NONE;
}

static bool
frame_heads(struct sn_profile *p, size_t limit)
{
	if (more_heads(p, &p->frame_hash, &p->frame_hash_size, p->frame_count, limit))
		for (uint32_t i = 0; i < p->frame_count; i++) {
			struct sn_frame *f = &p->frames[i];

			link_at(p->frame_hash, p->frame_hash_size, frame_hash(f->addr, f->module, f->pseudo), i,
				&f->hash_next);
		}
	return p->frame_hash_size > 0;
}

uint32_t
sn_profile_frame(struct sn_profile *p, uint64_t addr, struct sn_module *module, enum sn_pseudo pseudo)
{
	size_t limit = stack_limit(p);
	struct sn_frame *frames;
	uint32_t hash, index;

	if (pseudo != SN_PSEUDO_NONE) {
		addr = 0;
		module = NULL;
	}
	hash = frame_hash(addr, module, pseudo);
	index = find_frame(p, hash, addr, module, pseudo);
	if (index != NONE)
		return index;
	frames = with_room(p, p->frames, &p->frame_cap, sizeof(*frames), (uint64_t)p->frame_count + 1, limit);
	if (frames == NULL)
		return NONE;
	p->frames = frames;
	if (!frame_heads(p, limit))
		return NONE;
	index = p->frame_count++;
	frames[index] = (struct sn_frame){ .addr = addr, .module = module, .pseudo = pseudo };
	link_at(p->frame_hash, p->frame_hash_size, hash, index, &frames[index].hash_next);
	return index;
}

static uint32_t
find_stack(const struct sn_profile *p, uint32_t hash, const uint32_t *frames, uint32_t count)
{
	if (p->stack_hash_size == 0)
		return NONE;
	for (uint32_t i = p->stack_hash[hash & (p->stack_hash_size - 1)]; i != NONE; i = p->stacks[i].hash_next) {
		const struct sn_stack *s = &p->stacks[i];

		if (s->hash == hash && s->count == count &&
		    memcmp(&p->frame_ids[s->first], frames, count * sizeof(*frames)) == 0)
			return i;
	}
	return NONE;
}

/* Room for one more stack of count frames, in all three arrays. */
static bool
stack_room(struct sn_profile *p, uint32_t count, size_t limit)
{
	uint32_t *ids = with_room(p, p->frame_ids, &p->frame_id_cap, sizeof(*ids),
		(uint64_t)p->frame_id_count + count, limit);
	struct sn_stack *stacks;

	if (ids == NULL)
		return false;
	p->frame_ids = ids;
	stacks = with_room(p, p->stacks, &p->stack_cap, sizeof(*stacks), (uint64_t)p->stack_count + 1, limit);
	if (stacks == NULL)
		return false;
	p->stacks = stacks;
	if (more_heads(p, &p->stack_hash, &p->stack_hash_size, p->stack_count, limit))
		for (uint32_t i = 0; i < p->stack_count; i++)
			link_at(p->stack_hash, p->stack_hash_size, stacks[i].hash, i, &stacks[i].hash_next);
	return p->stack_hash_size > 0;
}

uint32_t
sn_profile_stack(struct sn_profile *p, const uint32_t *frames, uint32_t count)
{
	uint32_t hash, index;

	for (uint32_t i = 0; i < count; i++)
		if (frames[i] >= p->frame_count)
			return NONE;
	if (count == 0)
		return NONE;
	hash = ids_hash(frames, count);
	index = find_stack(p, hash, frames, count);
	if (index != NONE)
		return index;
	if (!stack_room(p, count, stack_limit(p)))
		return NONE;
	index = p->stack_count++;
	p->stacks[index] = (struct sn_stack){ .first = p->frame_id_count, .count = count, .hash = hash };
	memcpy(&p->frame_ids[p->frame_id_count], frames, count * sizeof(*frames));
	p->frame_id_count += count;
	link_at(p->stack_hash, p->stack_hash_size, hash, index, &p->stacks[index].hash_next);
	return index;
}

uint32_t
sn_profile_group(struct sn_profile *p, uint64_t start_fn, bool is_main)
{
	struct sn_group *groups;

	for (uint32_t i = 0; i < p->group_count; i++)
		if (p->groups[i].start_fn == start_fn && p->groups[i].is_main == is_main)
			return i;
	if (p->group_count >= GROUPS_MAX)
		return NONE;
	groups = with_room(p, p->groups, &p->group_cap, sizeof(*groups), (uint64_t)p->group_count + 1, row_limit(p));
	if (groups == NULL)
		return NONE;
	p->groups = groups;
	groups[p->group_count] = (struct sn_group){
		.start_fn = start_fn, .is_main = is_main, .root_stack = SN_NO_STACK,
	};
	return p->group_count++;
}

/* Append a copy of text to a list; few and short, so they are charged but not refused.  Index or NONE. */
static uint32_t
append_text(struct sn_profile *p, char ***list, uint32_t *count, uint32_t *cap, const char *text)
{
	char **grown = with_room(p, *list, cap, sizeof(*grown), (uint64_t)*count + 1, NO_LIMIT);
	char *copy;

	if (grown == NULL)
		return NONE;
	*list = grown;
	copy = strdup(text);
	if (copy == NULL)
		return NONE;
	p->held_bytes += strlen(copy) + 1;
	grown[*count] = copy;
	return (*count)++;
}

static uint32_t
find_label(const struct sn_profile *p, const char *text)
{
	for (uint32_t i = 0; i < p->label_count; i++)
		if (strcmp(p->labels[i], text) == 0)
			return i;
	return NONE;
}

uint32_t
sn_profile_label(struct sn_profile *p, const char *text, bool *overflow)
{
	uint32_t index = find_label(p, text);

	if (index == LABELS_MAX)
		index = NONE;		/* a thread called [other], after the table was full */
	if (index != NONE)
		return index;
	if (p->label_count < LABELS_MAX)
		return append_text(p, &p->labels, &p->label_count, &p->label_cap, text);
	if (overflow != NULL)
		*overflow = true;
	index = find_label(p, "[other]");
	return index != NONE ? index : append_text(p, &p->labels, &p->label_count, &p->label_cap, "[other]");
}

static uint32_t
find_row(const struct sn_profile *p, uint32_t hash, uint32_t stack, uint32_t label, int32_t tid, uint32_t group)
{
	if (p->row_hash_size == 0)
		return NONE;
	for (uint32_t i = p->row_hash[hash & (p->row_hash_size - 1)]; i != NONE; i = p->rows[i].hash_next) {
		const struct sn_row *r = &p->rows[i];

		if (r->stack == stack && r->label == label && r->tid == tid && r->group == group)
			return i;
	}
	return NONE;
}

static bool
row_room(struct sn_profile *p, uint64_t more, size_t limit)
{
	struct sn_row *rows = with_room(p, p->rows, &p->row_cap, sizeof(*rows), p->row_count + more, limit);

	if (rows == NULL)
		return false;
	p->rows = rows;
	if (more_heads(p, &p->row_hash, &p->row_hash_size, p->row_count, row_limit(p)))
		for (uint32_t i = 0; i < p->row_count; i++) {
			struct sn_row *r = &rows[i];

			link_at(p->row_hash, p->row_hash_size, row_hash(r->stack, r->label, r->tid, r->group), i,
				&r->hash_next);
		}
	return p->row_hash_size > 0;
}

/*
 * The row of these, made when it is new.  Where it does not fit under the limit with `spare` more
 * behind it: NULL.
 */
static struct sn_row *
row_of(struct sn_profile *p, uint32_t stack, uint32_t label, int32_t tid, uint32_t group, uint32_t spare, size_t limit)
{
	uint32_t hash = row_hash(stack, label, tid, group);
	uint32_t index = find_row(p, hash, stack, label, tid, group);

	if (index != NONE)
		return &p->rows[index];
	if (!row_room(p, (uint64_t)spare + 1, limit))
		return NULL;
	index = p->row_count++;
	p->rows[index] = (struct sn_row){ .stack = stack, .label = label, .tid = tid, .group = group };
	link_at(p->row_hash, p->row_hash_size, hash, index, &p->rows[index].hash_next);
	return &p->rows[index];
}

int
sn_profile_add(struct sn_profile *p, uint32_t stack, uint32_t label, int32_t tid, uint32_t group, uint64_t count)
{
	const uint32_t dropped = SN_PSEUDO_STACK_DROPPED - 1;	/* as sn_profile_init interned it */
	struct sn_row *row = NULL;

	if (count == 0)
		return 0;
	if (stack < p->stack_count)
		row = row_of(p, stack, label, tid, group, p->group_count + 1, row_limit(p));
	if (row == NULL && dropped < p->stack_count) {
		stack = dropped;	/* in what the rows before left spare: one for each group */
		row = row_of(p, stack, SN_NO_LABEL, 0, group, 0, NO_LIMIT);
	}
	if (row == NULL)
		return -ENOMEM;
	row->count = row->count > UINT64_MAX - count ? UINT64_MAX : row->count + count;
	if (stack == dropped)
		p->stacks_dropped++;
	return 0;
}

int
sn_profile_comment(struct sn_profile *p, const char *fmt, ...)
{
	uint32_t index;
	char *line;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	index = append_text(p, &p->comments, &p->comment_count, &p->comment_cap, line);
	free(line);
	return index == NONE ? -ENOMEM : 0;
}

uint64_t
sn_profile_total(const struct sn_profile *p)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < p->row_count; i++)
		total += p->rows[i].count;
	return total;
}

/*
 * The stacks of one pseudo frame exist from the start, whatever the budget: they must be there
 * just when nothing else fits.  Frame and stack number i stand for pseudo frame i + 1.
 */
void
sn_profile_init(struct sn_profile *p, uint64_t period_ns, size_t budget_bytes)
{
	*p = (struct sn_profile){ .period_ns = period_ns };
	for (uint32_t i = SN_PSEUDO_NONE + 1; i < SN_PSEUDO_COUNT; i++) {
		uint32_t frame = sn_profile_frame(p, 0, NULL, i);

		(void)sn_profile_stack(p, &frame, 1);	/* out of memory: every later call says so */
	}
	(void)row_room(p, 1, NO_LIMIT);
	p->budget_bytes = budget_bytes;
}

static bool
copy_array(struct sn_profile *p, void *to, uint32_t *cap, const void *from, uint32_t count, size_t element)
{
	void *copy = malloc(count > 0 ? count * element : element);

	if (copy == NULL)
		return false;
	if (count > 0)
		memcpy(copy, from, count * element);
	if (cap != NULL)
		*cap = count > 0 ? count : 1;
	p->held_bytes += count * element;
	memcpy(to, &copy, sizeof(copy));
	return true;
}

static bool
copy_texts(struct sn_profile *p, char ***list, uint32_t *count, uint32_t *cap, char *const *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (append_text(p, list, count, cap, from[i]) == NONE)
			return false;
	return true;
}

int
sn_profile_copy(struct sn_profile *to, const struct sn_profile *p)
{
	*to = *p;
	to->frames = NULL;
	to->stacks = NULL;
	to->frame_ids = to->frame_hash = to->stack_hash = to->row_hash = NULL;
	to->rows = NULL;
	to->groups = NULL;
	to->labels = to->comments = NULL;
	to->label_count = to->label_cap = to->comment_count = to->comment_cap = 0;
	to->held_bytes = 0;
	if (copy_array(to, &to->frames, &to->frame_cap, p->frames, p->frame_count, sizeof(*p->frames)) &&
	    copy_array(to, &to->stacks, &to->stack_cap, p->stacks, p->stack_count, sizeof(*p->stacks)) &&
	    copy_array(to, &to->frame_ids, &to->frame_id_cap, p->frame_ids, p->frame_id_count, sizeof(uint32_t)) &&
	    copy_array(to, &to->rows, &to->row_cap, p->rows, p->row_count, sizeof(*p->rows)) &&
	    copy_array(to, &to->groups, &to->group_cap, p->groups, p->group_count, sizeof(*p->groups)) &&
	    copy_array(to, &to->frame_hash, NULL, p->frame_hash, p->frame_hash_size, sizeof(uint32_t)) &&
	    copy_array(to, &to->stack_hash, NULL, p->stack_hash, p->stack_hash_size, sizeof(uint32_t)) &&
	    copy_array(to, &to->row_hash, NULL, p->row_hash, p->row_hash_size, sizeof(uint32_t)) &&
	    copy_texts(to, &to->labels, &to->label_count, &to->label_cap, p->labels, p->label_count) &&
	    copy_texts(to, &to->comments, &to->comment_count, &to->comment_cap, p->comments, p->comment_count))
		return 0;
	sn_profile_free(to);
	return -ENOMEM;
}

static void
free_texts(char **list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

void
sn_profile_free(struct sn_profile *p)
{
	free_texts(p->labels, p->label_count);
	free_texts(p->comments, p->comment_count);
	free(p->frames);
	free(p->stacks);
	free(p->frame_ids);
	free(p->rows);
	free(p->groups);
	free(p->frame_hash);
	free(p->stack_hash);
	free(p->row_hash);
	*p = (struct sn_profile){ 0 };
}

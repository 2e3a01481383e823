/* SPDX-License-Identifier: Apache-2.0
 *
 * dwarf.c - lines and inlined calls of the addresses of a batch, by libdw.
 *
 * Runs in:  collector.
 * Method:   the address ranges of all compilation units are read once, past the sorted
 *           addresses, which needs no .debug_aranges (clang and rustc write none).  Then the
 *           debug entries of each unit that was hit are walked once, for all its addresses:
 *           an entry that covers an address becomes a struct cover on top of the one that it
 *           stands in, so that each address ends with its chain of inlined calls.
 * Memory:   covers are freed unit by unit; lines and names go to the store.
 * Hostile files: ranges, units, entries, covers and line programs are counted against the
 *           limits of lookup.h; a sibling that is not behind is damage.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/dwarf.h"

#define DEPTH_MAX 200		/* of nested debug entries */

/* The first address of the group at or above vaddr. */
static size_t
first_want(const struct sn_walk *w, uint64_t vaddr)
{
	size_t lo = 0, n = w->count;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (w->want[mid].l->vaddr < vaddr)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

/*
 * The next address range of an entry; *at is 0 at first.  false at the end.  Linkers leave
 * the ranges of functions that they dropped at 0 or 1: those are passed over.
 */
static bool
next_range(struct sn_walk *w, Dwarf_Die *die, ptrdiff_t *at, Dwarf_Addr *base, uint64_t *start, uint64_t *limit)
{
	do {
		Dwarf_Addr lo = 0, hi = 0;

		if (w->ranges_left == 0) {
			w->e->bad = true;
			return false;
		}
		w->ranges_left--;
		*at = dwarf_ranges(die, *at, base, &lo, &hi);
		*start = lo;
		*limit = hi;
		if (*at < 0)
			w->e->bad = true;
	} while (*at > 0 && (*start <= 1 || *limit <= *start));
	return *at > 0;
}

static struct sn_cover *
new_cover(struct sn_walk *w, const Dwarf_Die *die, struct sn_cover *outer)
{
	struct sn_cover *c;

	if (outer != NULL && outer->depth >= SN_INLINES_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		w->err = -ENOMEM;
		return NULL;
	}
	c->die = *die;
	c->outer = outer;
	c->depth = outer == NULL ? 0 : outer->depth + 1;
	c->next = w->covers;
	w->covers = c;
	return c;
}

/*
 * Put the entry on top of `outer` at each address that it covers.  NULL when it covers none.
 * Of two functions at one address the first wins, so covers are at most depth × addresses.
 */
static struct sn_cover *
cover(struct sn_walk *w, Dwarf_Die *die, struct sn_cover *outer)
{
	struct sn_cover *c = NULL;
	uint64_t start, limit;
	Dwarf_Addr base = 0;
	ptrdiff_t at = 0;

	while (w->err == 0 && next_range(w, die, &at, &base, &start, &limit)) {
		for (size_t i = first_want(w, start); i < w->count && w->want[i].l->vaddr < limit; i++) {
			if (w->want[i].top != outer)
				continue;
			if (c == NULL)
				c = new_cover(w, die, outer);
			if (c == NULL)
				return NULL;
			w->want[i].top = c;
		}
	}
	return c;
}

/* May a block hold inlined calls at addresses that we want?  Blocks without ranges may. */
static bool
block_matters(struct sn_walk *w, Dwarf_Die *die, const struct sn_cover *outer)
{
	bool has_ranges = false;
	uint64_t start, limit;
	Dwarf_Addr base = 0;
	ptrdiff_t at = 0;

	while (next_range(w, die, &at, &base, &start, &limit)) {
		has_ranges = true;
		for (size_t i = first_want(w, start); i < w->count && w->want[i].l->vaddr < limit; i++) {
			if (w->want[i].top == outer)
				return true;
		}
	}
	return !has_ranges;
}

static void walk_children(struct sn_walk *w, Dwarf_Die *parent, struct sn_cover *outer, unsigned depth);

static void
visit(struct sn_walk *w, Dwarf_Die *die, struct sn_cover *outer, unsigned depth)
{
	struct sn_cover *c;

	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		c = cover(w, die, NULL);
		if (c != NULL || w->deep)
			walk_children(w, die, c, depth);
		break;
	case DW_TAG_inlined_subroutine:
		c = outer == NULL ? NULL : cover(w, die, outer);
		if (c != NULL)
			walk_children(w, die, c, depth);
		break;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
		if (w->deep || (outer != NULL && block_matters(w, die, outer)))
			walk_children(w, die, outer, depth);
		break;
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:	/* of Rust, with methods */
		if (outer == NULL || w->deep)
			walk_children(w, die, NULL, depth);
		break;
	default:
		break;
	}
}

static void
walk_children(struct sn_walk *w, Dwarf_Die *parent, struct sn_cover *outer, unsigned depth)
{
	Dwarf_Die die, next;
	int r = dwarf_child(parent, &die);

	if (r == 0 && depth >= DEPTH_MAX) {
		w->e->bad = true;
		return;
	}
	for (; r == 0 && w->err == 0; die = next) {
		if (w->dies_left == 0) {
			w->e->bad = true;
			return;
		}
		w->dies_left--;
		visit(w, &die, outer, depth + 1);
		r = dwarf_siblingof(&die, &next);
		if (r == 0 && dwarf_dieoffset(&next) <= dwarf_dieoffset(&die))
			r = -1;		/* a sibling in front of us would lead round for ever */
	}
	if (r < 0)
		w->e->bad = true;
}

static void
free_covers(struct sn_walk *w)
{
	struct sn_cover *next;

	for (struct sn_cover *c = w->covers; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	w->covers = NULL;
}

/* All addresses of one unit: w->want[0..count). */
static void
do_unit(struct sn_walk *w, Dwarf_Off unit)
{
	bool missing = false;
	Dwarf_Die die;

	if (dwarf_offdie(w->e->dwarf, unit, &die) == NULL) {
		w->e->bad = true;
		return;
	}
	w->deep = false;
	walk_children(w, &die, NULL, 0);
	for (size_t i = 0; i < w->count; i++)
		missing |= w->want[i].top == NULL;
	if (missing && w->err == 0) {
		w->deep = true;		/* functions nested in functions */
		walk_children(w, &die, NULL, 0);
	}
	sn_dwarf_begin_unit(w, &die);
	for (size_t i = 0; i < w->count && w->err == 0; i++)
		w->err = sn_dwarf_describe(w, &die, &w->want[i]);
	free_covers(w);
}

/* Give the addresses that this unit covers to it, unless a narrower range has them. */
static void
claim(struct sn_walk *w, Dwarf_Die *unit)
{
	Dwarf_Off offset = dwarf_dieoffset(unit);
	uint64_t start, limit;
	Dwarf_Addr base = 0;
	ptrdiff_t at = 0;

	while (next_range(w, unit, &at, &base, &start, &limit)) {
		for (size_t i = first_want(w, start); i < w->count && w->want[i].l->vaddr < limit; i++) {
			struct sn_want *a = &w->want[i];

			if (w->ranges_left == 0)
				return;
			w->ranges_left--;
			if (!a->has_unit || limit - start < a->width) {
				a->has_unit = true;
				a->unit = offset;
				a->width = limit - start;
			}
		}
	}
}

static void
find_units(struct sn_walk *w)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Half version;
	Dwarf_Die die;
	uint8_t type;
	int r = 0;

	/* No subdie is asked for: libdw would look for .dwo files, and map them. */
	for (uint32_t n = 0; n < SN_UNITS_MAX && w->ranges_left > 0; n++) {
		r = dwarf_get_units(w->e->dwarf, cu, &cu, &version, &type, &die, NULL);
		if (r != 0)
			break;
		if (type == DW_UT_compile || type == DW_UT_skeleton)
			claim(w, &die);
	}
	if (r != 1)
		w->e->bad = true;
}

static int
by_unit(const void *a, const void *b)
{
	const struct sn_want *x = a, *y = b;

	if (x->has_unit != y->has_unit)
		return x->has_unit ? -1 : 1;
	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	return x->l->vaddr < y->l->vaddr ? -1 : x->l->vaddr > y->l->vaddr;
}

int
sn_dwarf_lines(struct sn_elf *e, struct sn_lookup *l, size_t n, struct sn_store *store)
{
	struct sn_walk w = {
		.e = e, .store = store, .count = n, .dies_left = SN_DIES_MAX, .ranges_left = SN_RANGES_MAX,
		.line_bytes_left = SN_LINE_TABLES_MAX, .scope_dies_left = SN_SCOPE_DIES_MAX,
	};
	struct sn_want *all = calloc(n ? n : 1, sizeof(*all));

	if (all == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		all[i].l = &l[i];
	w.want = all;
	find_units(&w);
	qsort(all, n, sizeof(*all), by_unit);
	for (size_t i = 0; i < n && all[i].has_unit && w.err == 0; i += w.count) {
		w.want = &all[i];
		w.count = 1;
		while (i + w.count < n && all[i + w.count].has_unit && all[i + w.count].unit == all[i].unit)
			w.count++;
		do_unit(&w, all[i].unit);
	}
	sn_scopes_free(&w);
	free(all);
	return w.err;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * scope.c - the namespaces, classes and functions that a function without linkage name stands in.
 *
 * Runs in:  collector.
 * Method:   debug entries do not know what they stand in, so a unit is walked once, when the first
 *           name of it is asked for: every scope and function in order, with the index of its scope.
 *           Names are wanted by GCC's static functions and lambdas that were inlined: they have no
 *           linkage name and no symbol either.
 * Memory:   40 bytes a scope or function, SCOPES_MAX of them at once; all tables are dropped when
 *           the next would not fit, and at the end of the batch.  A unit with more is cut there.
 * Hostile files: entries are counted against SN_SCOPE_DIES_MAX of a batch, nesting, the parts and
 *           the length of a name are limited; origins are followed at most ORIGINS_MAX in a row.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/dwarf.h"

#define SCOPES_MAX	(256u * 1024)
#define DEPTH_MAX	64		/* of nested debug entries */
#define PARTS_MAX	32		/* of one name */
#define ORIGINS_MAX	16
#define NO_SCOPE	UINT32_MAX

struct scope {
	Dwarf_Die die;
	uint32_t outer;			/* index; NO_SCOPE: the unit itself */
};

/* All scopes and functions of a unit, in the order of their place in it. */
struct sn_scopes {
	struct sn_scopes *next;
	Dwarf_CU *unit;
	struct scope *scope;
	uint32_t count, cap;
};

/* What a name is made of. */
struct parts {
	const char *part[PARTS_MAX];	/* innermost first */
	size_t count;
	char *root;			/* demangled, malloc'd: the function that it is all in */
};

void
sn_scopes_free(struct sn_walk *w)
{
	struct sn_scopes *next;

	for (struct sn_scopes *t = w->scopes; t != NULL; t = next) {
		next = t->next;
		free(t->scope);
		free(t);
	}
	w->scopes = NULL;
	w->scope_count = 0;
}

/* 0, -ENOMEM, or -ENOSPC when there are too many. */
static int
add_scope(struct sn_walk *w, struct sn_scopes *t, const Dwarf_Die *die, uint32_t outer)
{
	if (w->scope_count >= SCOPES_MAX)
		return -ENOSPC;
	if (t->count == t->cap) {
		uint32_t cap = t->cap == 0 ? 64 : t->cap * 2;
		struct scope *grown = realloc(t->scope, cap * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		t->scope = grown;
		t->cap = cap;
	}
	t->scope[t->count++] = (struct scope){ .die = *die, .outer = outer };
	w->scope_count++;
	return 0;
}

enum kind { NO_NAME, BLOCK, SCOPE };

static enum kind
kind_of(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_subprogram:
		return SCOPE;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
		return BLOCK;
	default:
		return NO_NAME;
	}
}

/* 0 or a negative errno, which ends the walk. */
static int
walk_scopes(struct sn_walk *w, struct sn_scopes *t, Dwarf_Die *parent, uint32_t outer, unsigned depth)
{
	Dwarf_Die die, next;
	int err = 0, r = dwarf_child(parent, &die);

	if (r == 0 && depth >= DEPTH_MAX)
		return 0;
	for (; r == 0 && err == 0; die = next) {
		enum kind kind = kind_of(&die);

		if (w->scope_dies_left == 0)
			return -ENOSPC;
		w->scope_dies_left--;
		if (kind == SCOPE)
			err = add_scope(w, t, &die, outer);
		if (kind != NO_NAME && err == 0)
			err = walk_scopes(w, t, &die, kind == SCOPE ? t->count - 1 : outer, depth + 1);
		r = dwarf_siblingof(&die, &next);
		if (r == 0 && next.addr <= die.addr)
			r = -1;		/* a sibling in front of us would lead round for ever */
	}
	if (r < 0)
		w->e->bad = true;
	return err;
}

/* The table of a unit, made when it is not there.  0 or -ENOMEM. */
static int
scopes_of(struct sn_walk *w, Dwarf_Die *die, struct sn_scopes **out)
{
	struct sn_scopes *t = w->scopes;
	Dwarf_Die unit;
	int err;

	while (t != NULL && t->unit != die->cu)
		t = t->next;
	*out = t;
	if (t != NULL || dwarf_diecu(die, &unit, NULL, NULL) == NULL)
		return 0;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->unit = die->cu;
	err = walk_scopes(w, t, &unit, NO_SCOPE, 0);
	if (err == -ENOSPC && w->scopes != NULL && w->scope_dies_left > 0) {
		sn_scopes_free(w);	/* once more, with all the room */
		t->count = 0;
		err = walk_scopes(w, t, &unit, NO_SCOPE, 0);
	}
	if (err == -ENOSPC)
		w->e->bad = true;
	t->next = w->scopes;
	w->scopes = t;
	*out = t;
	return err == -ENOMEM ? err : 0;
}

/* Where the entry was declared: a definition outside of its class, an inlined call. */
static void
go_to_origin(Dwarf_Die *die)
{
	for (int i = 0; i < ORIGINS_MAX; i++) {
		Dwarf_Attribute attr;
		Dwarf_Die origin;

		if (dwarf_attr(die, DW_AT_abstract_origin, &attr) == NULL &&
		    dwarf_attr(die, DW_AT_specification, &attr) == NULL)
			return;
		if (dwarf_formref_die(&attr, &origin) == NULL)
			return;
		*die = origin;
	}
}

/* What the entry stands in.  1; 0 when that is the unit, or not known; -ENOMEM. */
static int
go_outwards(struct sn_walk *w, Dwarf_Die *die)
{
	struct sn_scopes *t;
	uint32_t lo = 0, n;
	int err;

	go_to_origin(die);
	err = scopes_of(w, die, &t);
	if (err < 0 || t == NULL)
		return err;
	n = t->count;
	while (n > 0) {
		uint32_t mid = lo + n / 2;

		if (t->scope[mid].die.addr < die->addr) {
			lo = mid + 1;
			n -= n / 2 + 1;
		} else {
			n /= 2;
		}
	}
	if (lo == t->count || t->scope[lo].die.addr != die->addr || t->scope[lo].outer == NO_SCOPE)
		return 0;
	*die = t->scope[t->scope[lo].outer].die;
	return 1;
}

/* The names of what the entry stands in.  0 or -ENOMEM. */
static int
collect_parts(struct sn_walk *w, Dwarf_Die die, struct parts *p)
{
	bool is_call = strncmp(p->part[0], "operator()", 10) == 0;
	int r = 0;

	while (p->count < PARTS_MAX && (r = go_outwards(w, &die)) > 0) {
		bool is_function = dwarf_tag(&die) == DW_TAG_subprogram;
		const char *linkage = is_function ? sn_dwarf_linkage_name(&die) : NULL;
		const char *name = sn_dwarf_text(&die, DW_AT_name);

		p->root = linkage == NULL ? NULL : sn_demangle(linkage, false);
		if (p->root != NULL)
			break;
		if (name == NULL && dwarf_tag(&die) == DW_TAG_namespace)
			name = "(anonymous namespace)";
		else if (name == NULL)
			name = is_call && p->count == 1 ? "{lambda}" : "{unnamed type}";
		p->part[p->count++] = name;
	}
	return r < 0 ? r : 0;
}

/* Root and parts, outermost first.  NULL *out: too long. */
static int
join(const struct parts *p, char **out)
{
	size_t root_len = p->root == NULL ? 0 : strnlen(p->root, SN_NAME_MAX + 1), len = root_len, at;

	for (size_t i = 0; i < p->count && len <= SN_NAME_MAX; i++)
		len += 2 + strnlen(p->part[i], SN_NAME_MAX + 1);
	if (len > SN_NAME_MAX)
		return 0;
	*out = malloc(len + 1);
	if (*out == NULL)
		return -ENOMEM;
	at = root_len;
	if (root_len > 0)
		memcpy(*out, p->root, root_len);
	for (size_t i = p->count; i-- > 0;) {
		size_t part_len = strlen(p->part[i]);

		if (at > 0) {
			memcpy(*out + at, "::", 2);
			at += 2;
		}
		memcpy(*out + at, p->part[i], part_len);
		at += part_len;
	}
	(*out)[at] = '\0';
	return 0;
}

int
sn_dwarf_qualified(struct sn_walk *w, const Dwarf_Die *die, const char *plain, char **out)
{
	struct parts p = { .part = { plain }, .count = 1 };
	int err;

	*out = NULL;
	err = collect_parts(w, *die, &p);
	if (err == 0 && (p.count > 1 || p.root != NULL))
		err = join(&p, out);
	free(p.root);
	return err;
}

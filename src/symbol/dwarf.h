/* SPDX-License-Identifier: Apache-2.0
 *
 * dwarf.h - what dwarf.c (which entries cover an address) hands to describe.c (what they say).
 *
 * Runs in:  collector.  Private to src/symbol/.
 * Memory:   a struct sn_walk and all it points to live for one batch; covers for one unit.
 */
#ifndef SN_SYMBOL_DWARF_H
#define SN_SYMBOL_DWARF_H

#include "symbol/lookup.h"

/* A function or inlined call that covers an address. */
struct sn_cover {
	struct sn_cover *next;		/* all of the unit */
	struct sn_cover *outer;		/* what it is inlined in; NULL: a function of its own */
	Dwarf_Die die;
	uint32_t depth;
	bool is_described;
	const char *name, *system_name;	/* when described; NULL when DWARF has none */
	int32_t start_line;
};

/* One address, and what covers it. */
struct sn_want {
	struct sn_lookup *l;
	struct sn_cover *top;		/* the innermost */
	Dwarf_Off unit;
	uint64_t width;			/* of the range of the unit */
	bool has_unit;
};

struct sn_walk {
	struct sn_elf *e;
	struct sn_store *store;
	struct sn_want *want;		/* those of the unit at hand, by address */
	size_t count;
	struct sn_cover *covers;
	bool deep;			/* look for functions within functions, too */
	int err;			/* 0 or -ENOMEM */
	uint64_t dies_left, ranges_left, line_bytes_left, scope_dies_left;
	struct sn_scopes *scopes;	/* of units that were asked for */
	uint32_t scope_count;		/* in all of them */

	/* Of the unit at hand. */
	bool has_lines;
	bool is_cplusplus;
	bool has_namespaces;		/* C++, Rust */
	const char *folder;		/* in which it was compiled; NULL unknown */
	Dwarf_Files *files;
	size_t file_count;
};

/* Before the first address of a unit is described. */
void sn_dwarf_begin_unit(struct sn_walk *w, Dwarf_Die *unit);

/* A text of an entry, or of what it refers to as its origin; NULL: it has none. */
const char *sn_dwarf_text(Dwarf_Die *die, unsigned name);
const char *sn_dwarf_linkage_name(Dwarf_Die *die);

/* Fill in the lookup of one address.  0 or -ENOMEM. */
int sn_dwarf_describe(struct sn_walk *w, Dwarf_Die *unit, struct sn_want *want);

/*
 * scope.c: the name of a function with the namespaces, classes and functions that it stands in,
 * not simplified.  *out is malloc'd, NULL when it stands in none or is too long.  0 or -ENOMEM.
 */
int sn_dwarf_qualified(struct sn_walk *w, const Dwarf_Die *die, const char *plain, char **out);
void sn_scopes_free(struct sn_walk *w);

#endif

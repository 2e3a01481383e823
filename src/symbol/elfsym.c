/* SPDX-License-Identifier: Apache-2.0
 *
 * elfsym.c - names of addresses by .symtab or .dynsym.
 *
 * Runs in:  collector.
 * Method:   the table is read once, past the sorted addresses of the batch; for each address
 *           the best symbol so far is kept.  So a table of millions needs no sorted copy.
 * Memory:   one struct best per address, freed before it returns; names go to the store.
 * Hostile files: symbols are clipped to their section, pairs of symbol and address are
 *           counted against SN_COVERS_MAX, names against SN_NAME_MAX.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/lookup.h"

/* A symbol without a size is not believed beyond this. */
#define UNSIZED_MAX	(64 * 1024)

struct candidate {
	uint64_t start, limit;	/* of the symbol; limit of its section when it has no size */
	uint32_t name;		/* offset in the string table */
	bool is_set, is_func, is_sized;
	uint8_t bind;		/* the greater the better */
};

struct best {
	struct candidate in;	/* the address lies in this sized symbol */
	struct candidate near;	/* the symbol that starts nearest below */
};

struct table {
	struct sn_elf *e;
	Elf_Data *symbols;
	size_t strings;		/* section of the names */
	size_t count;
	uint64_t covers_left;
};

size_t
sn_lookup_from(const struct sn_lookup *l, size_t n, uint64_t vaddr)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (l[mid].vaddr < vaddr)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

/* The name, or NULL when there is none that could be shown. */
static const char *
symbol_name(const struct table *t, uint32_t offset, size_t *len)
{
	const char *name = elf_strptr(t->e->elf, t->strings, offset);
	const char *at;

	if (name == NULL || *name == '\0')
		return NULL;
	*len = strnlen(name, SN_NAME_MAX + 1);
	if (*len > SN_NAME_MAX)
		return NULL;
	at = memchr(name + 1, '@', *len - 1);	/* name@VERSION, name@@VERSION */
	if (at != NULL)
		*len = (size_t)(at - name);
	return name;
}

static size_t
underscores(const char *name, size_t len)
{
	size_t n = 0;

	while (n < len && name[n] == '_')
		n++;
	return n;
}

/* Of two equal aliases the one that people write: fewer underscores in front, then shorter. */
static bool
reads_better(const struct table *t, uint32_t a, uint32_t b)
{
	size_t alen, blen, au, bu;
	const char *an = symbol_name(t, a, &alen), *bn = symbol_name(t, b, &blen);

	if (an == NULL || bn == NULL)
		return an != NULL;
	au = underscores(an, alen);
	bu = underscores(bn, blen);
	if (au != bu)
		return au < bu;
	return alen != blen ? alen < blen : memcmp(an, bn, alen) < 0;
}

/* Is a better than b, both at the same address, as its name? */
static bool
is_better(const struct table *t, const struct candidate *a, const struct candidate *b)
{
	if (!b->is_set)
		return true;
	if (a->is_func != b->is_func)
		return a->is_func;
	if (a->start != b->start)
		return a->start > b->start;	/* the innermost */
	if (a->is_sized != b->is_sized)
		return a->is_sized;
	if (a->limit != b->limit)
		return a->limit < b->limit;
	if (a->bind != b->bind)
		return a->bind > b->bind;
	return reads_better(t, a->name, b->name);
}

/* Does a, which starts at or below, hide b as the nearest symbol? */
static bool
is_nearer(const struct table *t, const struct candidate *a, const struct candidate *b)
{
	if (!b->is_set || a->start != b->start)
		return !b->is_set || a->start > b->start;
	if (a->is_sized != b->is_sized)
		return a->is_sized;
	return is_better(t, a, b);
}

/* Mapping symbols of aarch64 ($x, $d) and assembler locals name no function. */
static bool
is_marker(const struct table *t, const GElf_Sym *sym)
{
	const char *name = elf_strptr(t->e->elf, t->strings, sym->st_name);

	return name == NULL || name[0] == '$' || (name[0] == '.' && name[1] == 'L');
}

/* Make a candidate of a symbol; false when it cannot name code. */
static bool
read_symbol(const struct table *t, const GElf_Sym *sym, struct candidate *c)
{
	static const uint8_t rank[16] = { [STB_GLOBAL] = 3, [STB_GNU_UNIQUE] = 3, [STB_LOCAL] = 2, [STB_WEAK] = 1 };
	unsigned type = GELF_ST_TYPE(sym->st_info);
	const struct sn_section *s;

	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE || sym->st_shndx >= t->e->section_count)
		return false;
	s = &t->e->section[sym->st_shndx];
	if (!s->exec || sym->st_value < s->addr || sym->st_value >= s->limit)
		return false;
	if (type == STT_NOTYPE && is_marker(t, sym))
		return false;
	*c = (struct candidate){
		.start = sym->st_value, .limit = s->limit, .name = sym->st_name, .is_set = true,
		.is_func = type != STT_NOTYPE, .is_sized = sym->st_size > 0,
		.bind = rank[GELF_ST_BIND(sym->st_info)],
	};
	if (c->is_sized && sym->st_size < s->limit - sym->st_value)
		c->limit = sym->st_value + sym->st_size;
	return true;
}

/* Let one symbol compete for the addresses that it covers.  false: the budget is spent. */
static bool
offer(struct table *t, const struct candidate *c, const struct sn_lookup *l, struct best *best, size_t n)
{
	size_t i = sn_lookup_from(l, n, c->start);

	if (i < n && is_nearer(t, c, &best[i].near))
		best[i].near = *c;
	for (; c->is_sized && i < n && l[i].vaddr < c->limit; i++) {
		if (t->covers_left-- == 0)
			return false;
		if (is_better(t, c, &best[i].in))
			best[i].in = *c;
	}
	return true;
}

static int
take_names(const struct table *t, struct sn_lookup *l, struct best *best, size_t n, struct sn_store *store)
{
	for (size_t i = 0; i < n; i++) {
		const struct candidate *c = &best[i].in;
		const char *name;
		size_t len;

		if (i > 0 && best[i - 1].near.is_set && is_nearer(t, &best[i - 1].near, &best[i].near))
			best[i].near = best[i - 1].near;
		/* A label without a size names what follows it; a sized symbol below has ended: no name. */
		if (!c->is_set)
			c = &best[i].near;
		if (l[i].symbol != NULL || !c->is_set || l[i].vaddr >= c->limit)
			continue;
		if (!c->is_sized && l[i].vaddr - c->start >= UNSIZED_MAX)
			continue;
		name = symbol_name(t, c->name, &len);
		if (name == NULL)
			continue;
		l[i].symbol = sn_store_string(store, name, len);
		if (l[i].symbol == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* Fill in t.  false when the table cannot be read, which is damage. */
static bool
open_table(struct table *t, struct sn_elf *e, Elf_Scn *scn)
{
	GElf_Shdr sh;

	*t = (struct table){ .e = e, .covers_left = SN_COVERS_MAX };
	if (gelf_getshdr(scn, &sh) == NULL || sh.sh_entsize != sizeof(Elf64_Sym))
		return false;
	t->symbols = elf_getdata(scn, NULL);
	if (t->symbols == NULL || t->symbols->d_buf == NULL)
		return false;
	t->strings = sh.sh_link;
	t->count = t->symbols->d_size / sizeof(Elf64_Sym);
	if (t->count > SN_SYMBOLS_MAX) {
		e->bad = true;
		t->count = SN_SYMBOLS_MAX;
	}
	return true;
}

int
sn_elf_symbols(struct sn_elf *e, Elf_Scn *scn, struct sn_lookup *l, size_t n, struct sn_store *store)
{
	struct table t;
	struct best *best;
	int err;

	if (scn == NULL || n == 0)
		return 0;
	if (!open_table(&t, e, scn)) {
		e->bad = true;
		return 0;
	}
	best = calloc(n, sizeof(*best));
	if (best == NULL)
		return -ENOMEM;
	for (size_t i = 1; i < t.count; i++) {	/* symbol 0 is none */
		struct candidate c;
		GElf_Sym sym;

		if (gelf_getsym(t.symbols, (int)i, &sym) == NULL || !read_symbol(&t, &sym, &c))
			continue;
		if (!offer(&t, &c, l, best, n)) {
			e->bad = true;
			break;
		}
	}
	err = take_names(&t, l, best, n, store);
	free(best);
	return err;
}

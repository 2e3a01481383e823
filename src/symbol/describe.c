/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.c - names, files and lines of the debug entries that cover an address.
 *
 * Runs in:  collector.
 * Memory:   strings and lines go to the store.
 * Hostile files: strings longer than SN_NAME_MAX are not taken; the line program of a unit is
 *           run by libdw only when its length is within our limits, since it makes many bytes
 *           of one.  Abstract origins are followed by libdw, at most 16 in a row.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/dwarf.h"

/* Of DWARF 6; newer than the oldest libdw that we build with. */
#define LANG_C_PLUS_PLUS_17	0x2b
#define LANG_C_PLUS_PLUS_20	0x2c

/* Into the store; NULL in, empty or too long: *out stays.  0 or -ENOMEM. */
static int
store_text(struct sn_walk *w, const char *text, const char **out)
{
	size_t len = text == NULL ? 0 : strnlen(text, SN_NAME_MAX + 1);
	const char *kept;

	if (len == 0 || len > SN_NAME_MAX)
		return 0;
	kept = sn_store_string(w->store, text, len);
	if (kept == NULL)
		return -ENOMEM;
	*out = kept;
	return 0;
}

/* A source file: relative names count from the folder of the compilation. */
static int
store_path(struct sn_walk *w, const char *path, const char **out)
{
	size_t folder_len = w->folder == NULL ? 0 : strnlen(w->folder, SN_NAME_MAX + 1);
	size_t len = path == NULL ? 0 : strnlen(path, SN_NAME_MAX + 1);
	char *whole;
	int err;

	if (len == 0 || path[0] == '/' || folder_len == 0 || folder_len + len + 1 > SN_NAME_MAX)
		return store_text(w, path, out);
	whole = malloc(folder_len + len + 2);
	if (whole == NULL)
		return -ENOMEM;
	memcpy(whole, w->folder, folder_len);
	whole[folder_len] = '/';
	memcpy(whole + folder_len + 1, path, len + 1);
	err = store_text(w, whole, out);
	free(whole);
	return err;
}

const char *
sn_dwarf_text(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, name, &attr) == NULL ? NULL : dwarf_formstring(&attr);
}

const char *
sn_dwarf_linkage_name(Dwarf_Die *die)
{
	const char *name = sn_dwarf_text(die, DW_AT_linkage_name);

	return name != NULL ? name : sn_dwarf_text(die, DW_AT_MIPS_linkage_name);
}

/* A number of an entry, 0 when it has none that fits. */
static int32_t
number_of(Dwarf_Die *die, unsigned name, bool integrate)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if ((integrate ? dwarf_attr_integrate(die, name, &attr) : dwarf_attr(die, name, &attr)) == NULL)
		return 0;
	return dwarf_formudata(&attr, &value) == 0 && value <= INT32_MAX ? (int32_t)value : 0;
}

/* Does the line program of the unit have a length that we let libdw run? */
static bool
lines_are_bounded(struct sn_walk *w, Dwarf_Die *unit)
{
	Dwarf_Attribute attr;
	Dwarf_Word offset;
	Elf_Data *data;
	uint32_t len;

	if (w->e->debug_line == NULL || dwarf_attr(unit, DW_AT_stmt_list, &attr) == NULL)
		return false;
	data = elf_getdata(w->e->debug_line, NULL);
	if (dwarf_formudata(&attr, &offset) != 0 || data == NULL || data->d_buf == NULL || data->d_size < 4 ||
	    offset > data->d_size - 4) {
		w->e->bad = true;
		return false;
	}
	memcpy(&len, (const char *)data->d_buf + offset, sizeof(len));
	if (len > SN_LINE_TABLE_MAX || len > w->line_bytes_left) {	/* 64-bit DWARF begins ~0: no */
		w->e->bad = true;
		return false;
	}
	w->line_bytes_left -= len;
	return true;
}

void
sn_dwarf_begin_unit(struct sn_walk *w, Dwarf_Die *unit)
{
	int lang = dwarf_srclang(unit);
	Dwarf_Attribute folder;

	w->folder = dwarf_attr(unit, DW_AT_comp_dir, &folder) == NULL ? NULL : dwarf_formstring(&folder);
	w->has_lines = lines_are_bounded(w, unit);
	w->files = NULL;
	w->file_count = 0;
	if (w->has_lines && dwarf_getsrcfiles(unit, &w->files, &w->file_count) != 0) {
		w->e->bad = true;
		w->has_lines = false;
	}
	w->is_cplusplus = lang == DW_LANG_C_plus_plus || lang == DW_LANG_C_plus_plus_03 ||
		lang == DW_LANG_C_plus_plus_11 || lang == DW_LANG_C_plus_plus_14 ||
		lang == LANG_C_PLUS_PLUS_17 || lang == LANG_C_PLUS_PLUS_20;
	w->has_namespaces = w->is_cplusplus || lang == DW_LANG_Rust;
}

/* The line table's answer for the address itself. */
static int
describe_leaf(struct sn_walk *w, Dwarf_Die *unit, struct sn_lookup *l)
{
	Dwarf_Line *line = w->has_lines ? dwarf_getsrc_die(unit, l->vaddr) : NULL;
	int number;

	if (line == NULL)
		return 0;
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		l->lineno = number;
	if (dwarf_linecol(line, &number) == 0 && number > 0)
		l->column = number;
	return store_path(w, dwarf_linesrc(line, NULL, NULL), &l->file);
}

/* Demangle, or tidy what a C++ compiler gives as the name of a function without linkage. */
static int
describe_name(struct sn_walk *w, struct sn_cover *c, const char *plain)
{
	char *text = NULL;
	int err;

	if (c->system_name != NULL)
		text = sn_demangle(c->system_name, false);
	if (text == NULL && w->is_cplusplus && plain != NULL && strnlen(plain, SN_NAME_MAX) < SN_NAME_MAX) {
		text = strdup(plain);
		if (text != NULL)
			(void)sn_demangle_simplify(text, false);
	}
	err = store_text(w, text != NULL ? text : plain, &c->name);
	free(text);
	if (c->name == NULL)
		c->name = c->system_name;
	return err;
}

/* Length of a mangled name without what the compiler appended to a part of the function. */
static size_t
without_clone(const char *symbol)
{
	static const char *const suffix[] = { ".cold", ".part.", ".constprop.", ".isra.", ".lto_priv.", ".llvm." };
	size_t len = strlen(symbol);

	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		const char *at = strstr(symbol, suffix[i]);

		if (at != NULL && (size_t)(at - symbol) < len)
			len = (size_t)(at - symbol);
	}
	return len;
}

static bool
is_mangled(const char *name)
{
	return name != NULL && name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

/* May a function without linkage name stand in a namespace?  main and extern "C" have their plain name as symbol. */
static bool
may_be_qualified(const struct sn_walk *w, const struct sn_cover *c, const char *plain, const char *symbol)
{
	if (!w->has_namespaces || plain == NULL)
		return false;
	return c->outer != NULL || symbol == NULL || strcmp(symbol, plain) != 0;
}

static int
describe_cover(struct sn_walk *w, struct sn_cover *c, const char *symbol)
{
	const char *plain = sn_dwarf_text(&c->die, DW_AT_name);
	const char *linkage = sn_dwarf_linkage_name(&c->die);
	char *qualified = NULL;
	int err = 0;

	c->is_described = true;
	c->start_line = number_of(&c->die, DW_AT_decl_line, true);
	if (linkage == NULL && c->outer == NULL && is_mangled(symbol)) {
		/* GCC gives static functions no linkage name; the symbol table knows it. */
		c->system_name = sn_store_string(w->store, symbol, without_clone(symbol));
		err = c->system_name == NULL ? -ENOMEM : 0;
	} else {
		if (linkage == NULL && may_be_qualified(w, c, plain, symbol))
			err = sn_dwarf_qualified(w, &c->die, plain, &qualified);
		if (qualified != NULL)
			plain = qualified;
		if (err == 0)
			err = store_text(w, linkage != NULL ? linkage : plain, &c->system_name);
	}
	if (err == 0)
		err = describe_name(w, c, plain);
	free(qualified);
	return err;
}

/* Where an inlined call was made. */
static int
describe_call(struct sn_walk *w, Dwarf_Die *die, struct sn_symbol_line *line)
{
	int32_t file = number_of(die, DW_AT_call_file, false);

	line->line = number_of(die, DW_AT_call_line, false);
	line->column = number_of(die, DW_AT_call_column, false);
	if (file < 0 || (size_t)file >= w->file_count)
		return 0;
	return store_path(w, dwarf_filesrc(w->files, (size_t)file, NULL, NULL), &line->file);
}

int
sn_dwarf_describe(struct sn_walk *w, Dwarf_Die *unit, struct sn_want *want)
{
	struct sn_lookup *l = want->l;
	int err = describe_leaf(w, unit, l);
	struct sn_symbol_line *line;
	uint32_t i = 0;

	if (err < 0 || want->top == NULL)
		return err;
	line = sn_store_alloc(w->store, (want->top->depth + 1) * sizeof(*line));
	if (line == NULL)
		return -ENOMEM;
	line[0].file = l->file;
	line[0].line = l->lineno;
	line[0].column = l->column;
	for (struct sn_cover *c = want->top; c != NULL && err == 0; c = c->outer, i++) {
		if (!c->is_described)
			err = describe_cover(w, c, l->symbol);
		line[i].name = c->name;
		line[i].system_name = c->system_name;
		line[i].start_line = c->start_line;
		if (c->outer != NULL && err == 0)
			err = describe_call(w, &c->die, &line[i + 1]);
	}
	l->line = line;
	l->count = i;
	return err;
}

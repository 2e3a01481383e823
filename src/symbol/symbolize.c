/* SPDX-License-Identifier: Apache-2.0
 *
 * symbolize.c - address → function, file, line: the way of a batch (see symbol.h).
 *
 * Runs in:  collector.  One thread at a time per symbolizer.
 * Memory:   answers are remembered per file and address until sn_symbolizer_free, so that a
 *           later batch opens a file only for addresses that are new.
 * Order:    names by .symtab (else the debug file's, else .dynsym, else PLT), then DWARF, which
 *           knows better where it knows anything; what neither knows is module+0xoffset.
 * When out of memory: -ENOMEM; answers of earlier batches stay good.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/unwind.h"
#include "symbol/lookup.h"
#include "symbol/perfmap.h"

/* A file that was asked about.  Not the image itself: that may be gone by the next batch. */
struct file {
	struct file *next;
	uint64_t dev, ino, bytes;
	uint8_t build_id[SN_BUILD_ID_MAX];
	uint8_t build_id_len;
	char *path;
	uint32_t id;
	bool is_bad;			/* counted once */
	struct sn_debug_place debug;
};

/* One remembered answer; sym.count is 0 in a free slot. */
struct answer {
	uint64_t vaddr;
	uint32_t file;
	struct sn_symbol sym;
};

struct sn_symbolizer {
	enum sn_symbolize how;
	char *root;
	struct sn_store store;
	struct file *files;
	uint32_t file_count;
	struct answer *answer;		/* open addressing, cap is a power of two */
	size_t count, cap;
	uint64_t tables_max;		/* bytes of a symbol table that is read; 0 any */
	struct sn_symbol_counters counters;
	pid_t pid;			/* whose code in memory it is; 0: nobody's */
	uint64_t start_time;
	bool map_is_read;		/* once a profile: it grows */
	struct sn_perfmap map;
};

struct sn_symbolizer *
sn_symbolizer_new(enum sn_symbolize how, const char *debug_root)
{
	struct sn_symbolizer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->how = how;
	s->root = strdup(debug_root == NULL ? "" : debug_root);
	if (s->root == NULL || elf_version(EV_CURRENT) == EV_NONE) {
		sn_symbolizer_free(s);
		return NULL;
	}
	return s;
}

void
sn_symbolizer_free(struct sn_symbolizer *s)
{
	struct file *next;

	if (s == NULL)
		return;
	for (struct file *f = s->files; f != NULL; f = next) {
		next = f->next;
		free(f->debug.path);
		free(f->path);
		free(f);
	}
	sn_store_free(&s->store);
	sn_perfmap_free(&s->map);
	free(s->answer);
	free(s->root);
	free(s);
}

void
sn_symbolizer_set_process(struct sn_symbolizer *s, pid_t pid, uint64_t start_time)
{
	sn_perfmap_free(&s->map);
	s->map_is_read = false;
	s->pid = pid;
	s->start_time = start_time;
}

void
sn_symbolizer_limit(struct sn_symbolizer *s, uint64_t tables_max)
{
	s->tables_max = tables_max;
}

const struct sn_symbol_counters *
sn_symbolizer_counters(const struct sn_symbolizer *s)
{
	return &s->counters;
}

static bool
is_file_of(const struct file *f, const struct sn_image *image, const char *path)
{
	if (strcmp(f->path, path) != 0)
		return false;
	if (image == NULL)
		return f->ino == 0 && f->bytes == 0;
	return f->dev == image->dev && f->ino == image->ino && f->bytes == image->file_bytes &&
		f->build_id_len == image->build_id_len &&
		memcmp(f->build_id, image->build_id, f->build_id_len) == 0;
}

static struct file *
file_of(struct sn_symbolizer *s, const struct sn_module *m)
{
	const struct sn_image *image = m->image;
	const char *path = m->path == NULL ? "" : m->path;
	struct file *f;

	for (f = s->files; f != NULL; f = f->next) {
		if (is_file_of(f, image, path))
			return f;
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL || (f->path = strdup(path)) == NULL) {
		free(f);
		return NULL;
	}
	if (image != NULL) {
		f->dev = image->dev;
		f->ino = image->ino;
		f->bytes = image->file_bytes;
		f->build_id_len = image->build_id_len <= SN_BUILD_ID_MAX ? image->build_id_len : 0;
		memcpy(f->build_id, image->build_id, f->build_id_len);
	}
	f->id = s->file_count++;
	f->next = s->files;
	s->files = f;
	return f;
}

static size_t
slot_of(const struct answer *table, size_t cap, uint32_t file, uint64_t vaddr)
{
	uint64_t h = (vaddr ^ (uint64_t)file << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (h ^ h >> 32) & (cap - 1);

	while (table[i].sym.count > 0 && (table[i].file != file || table[i].vaddr != vaddr))
		i = (i + 1) & (cap - 1);
	return i;
}

static const struct sn_symbol *
recall(const struct sn_symbolizer *s, uint32_t file, uint64_t vaddr)
{
	size_t i;

	if (s->cap == 0)
		return NULL;
	i = slot_of(s->answer, s->cap, file, vaddr);
	return s->answer[i].sym.count > 0 ? &s->answer[i].sym : NULL;
}

static int
grow_answers(struct sn_symbolizer *s)
{
	size_t cap = s->cap ? s->cap * 2 : 1024;
	struct answer *table = calloc(cap, sizeof(*table));

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap; i++) {
		const struct answer *a = &s->answer[i];

		if (a->sym.count > 0)
			table[slot_of(table, cap, a->file, a->vaddr)] = *a;
	}
	free(s->answer);
	s->answer = table;
	s->cap = cap;
	return 0;
}

static int
remember(struct sn_symbolizer *s, uint32_t file, uint64_t vaddr, const struct sn_symbol *sym)
{
	size_t i;

	if (s->count * 4 >= s->cap * 3 && grow_answers(s) < 0)
		return -ENOMEM;
	i = slot_of(s->answer, s->cap, file, vaddr);
	s->answer[i] = (struct answer){ .vaddr = vaddr, .file = file, .sym = *sym };
	s->count++;
	return 0;
}

/* The address as the file counts it; memory without a file counts from its start. */
static uint64_t
vaddr_of(const struct sn_module *m, uint64_t addr)
{
	return m->kind == SN_MODULE_ANON ? addr - m->start : addr - m->bias;
}

/*
 * Stripped code still says in .eh_frame where its functions begin: naming that makes one row of a
 * function, not one of each instruction.  Only where the unwinder has loaded it already.
 */
static uint64_t
function_start(const struct sn_module *m, uint64_t vaddr)
{
	struct sn_cfi cfi;

	if (m->kind == SN_MODULE_ANON || m->image == NULL || m->image->cfi_state != 1 ||
	    sn_cfi_find(m, vaddr + m->bias, &cfi) < 0)
		return vaddr;
	return cfi.start - m->bias;
}

static const char *
fallback_name(struct sn_symbolizer *s, const struct sn_module *m, uint64_t vaddr)
{
	const char *path = m->path == NULL || *m->path == '\0' ? "[unknown]" : m->path;
	const char *slash = m->kind == SN_MODULE_ANON ? NULL : strrchr(path, '/');
	char text[512];
	int n = snprintf(text, sizeof(text), "%.400s+0x%" PRIx64, slash == NULL ? path : slash + 1,
		function_start(m, vaddr));

	return sn_store_string(&s->store, text, n < 0 ? 0 : (size_t)n);
}

static const char *
readable_name(struct sn_symbolizer *s, const char *symbol)
{
	char *text = sn_demangle(symbol, false);
	const char *name = text == NULL ? symbol : sn_store_string(&s->store, text, strlen(text));

	free(text);
	return name;
}

/* DWARF knows no function here: the symbol's name, else the module's, with the line if there is one. */
static int
answer_by_symbol(struct sn_symbolizer *s, const struct sn_module *m, const struct sn_lookup *l, struct sn_symbol *out)
{
	struct sn_symbol_line *line = sn_store_alloc(&s->store, sizeof(*line));

	if (line == NULL)
		return -ENOMEM;
	line->system_name = l->symbol != NULL ? l->symbol : fallback_name(s, m, l->vaddr);
	line->name = l->symbol != NULL ? readable_name(s, l->symbol) : line->system_name;
	line->file = l->file != NULL ? l->file : "";
	line->line = l->lineno;
	line->column = l->column;
	*out = (struct sn_symbol){ .line = line, .count = 1, .is_fallback = l->symbol == NULL };
	return line->name == NULL || line->system_name == NULL ? -ENOMEM : 0;
}

static int
answer_of(struct sn_symbolizer *s, const struct sn_module *m, const struct sn_lookup *l, struct sn_symbol *out)
{
	/* A function that DWARF leaves without a name is as good as none. */
	if (l->count == 0 || l->line[l->count - 1].name == NULL)
		return answer_by_symbol(s, m, l, out);
	for (uint32_t i = 0; i < l->count; i++) {
		struct sn_symbol_line *line = &l->line[i];

		if (line->name == NULL)
			line->name = line->system_name = fallback_name(s, m, l->vaddr);
		if (line->name == NULL)
			return -ENOMEM;
		if (line->system_name == NULL)
			line->system_name = line->name;
		if (line->file == NULL)
			line->file = "";
	}
	*out = (struct sn_symbol){ .line = l->line, .count = l->count };
	return 0;
}

/* The files that a batch has open. */
struct open_files {
	struct sn_elf main, debug, alt;
};

/* A table that is too large for the process that we are in is as good as none. */
static Elf_Scn *
if_it_fits(const struct sn_symbolizer *s, const struct sn_elf *e, Elf_Scn *table)
{
	GElf_Shdr symbols, strings;

	if (table == NULL || s->tables_max == 0)
		return table;
	if (gelf_getshdr(table, &symbols) == NULL ||
	    gelf_getshdr(elf_getscn(e->elf, symbols.sh_link), &strings) == NULL)
		return NULL;
	return symbols.sh_size <= s->tables_max && strings.sh_size <= s->tables_max ? table : NULL;
}

static int
read_symbols(struct sn_symbolizer *s, struct open_files *o, struct sn_lookup *l, size_t n)
{
	int err = 0;

	o->main.symtab = if_it_fits(s, &o->main, o->main.symtab);
	o->main.dynsym = if_it_fits(s, &o->main, o->main.dynsym);
	o->debug.symtab = if_it_fits(s, &o->debug, o->debug.symtab);
	if (o->main.symtab != NULL)
		err = sn_elf_symbols(&o->main, o->main.symtab, l, n, &s->store);
	else if (o->debug.symtab != NULL)
		err = sn_elf_symbols(&o->debug, o->debug.symtab, l, n, &s->store);
	if (err == 0)
		err = sn_elf_symbols(&o->main, o->main.dynsym, l, n, &s->store);
	return err < 0 ? err : sn_elf_plt(&o->main, l, n, &s->store);
}

static int
read_lines(struct sn_symbolizer *s, const struct file *f, const struct sn_image *image, struct open_files *o,
	struct sn_lookup *l, size_t n)
{
	bool is_main = o->main.dwarf != NULL;
	struct sn_elf *e = is_main ? &o->main : &o->debug;
	const char *path = is_main ? image->path : f->debug.path;
	int err;

	if (!sn_elf_dwarf(e) || path == NULL)
		return 0;
	err = sn_debug_open_alt(&o->alt, e, path, s->root);
	if (err < 0)			/* half of the names would be missing, and libdw would go and look itself */
		return err == -ENOMEM ? err : 0;
	return sn_dwarf_lines(e, l, n, &s->store);
}

static int
read_files(struct sn_symbolizer *s, struct file *f, const struct sn_image *image, struct sn_lookup *l, size_t n)
{
	struct open_files o = { .debug.fd = -1, .alt.fd = -1 };
	bool lines = s->how == SN_SYMBOLIZE_LINES;
	int err;

	if (image->memory != NULL)
		err = sn_elf_open_memory(&o.main, image->memory, image->file_bytes);
	else
		err = sn_elf_open_fd(&o.main, image->fd);
	f->is_bad |= o.main.bad;
	if (err < 0)
		return err == -ENOMEM ? err : 0;
	if (o.main.symtab == NULL || (lines && !sn_elf_dwarf(&o.main)))
		err = sn_debug_open(&o.debug, &f->debug, &o.main, image, s->root);
	if (err != -ENOMEM)
		err = read_symbols(s, &o, l, n);
	if (err == 0 && lines)
		err = read_lines(s, f, image, &o, l, n);
	f->is_bad |= o.main.bad || o.debug.bad || o.alt.bad;
	sn_elf_close(&o.debug);
	sn_elf_close(&o.main);
	sn_elf_close(&o.alt);		/* last: the others point into it */
	return err;
}

static int
look_up(struct sn_symbolizer *s, struct file *f, const struct sn_module *m, struct sn_lookup *l, size_t n)
{
	const struct sn_image *image = m->kind == SN_MODULE_ANON ? NULL : m->image;
	bool was_bad = f->is_bad;
	int err = 0;

	if (image == NULL || s->how == SN_SYMBOLIZE_NONE || n == 0)
		return 0;
	if (image->err == 0 && (image->fd >= 0 || image->memory != NULL))
		err = read_files(s, f, image, l, n);
	else if (image->err == -ENOEXEC || image->err == -EIO)
		f->is_bad = true;
	if (f->is_bad && !was_bad)
		s->counters.bad_debug_info++;
	return err;
}

static int
by_vaddr(const void *a, const void *b)
{
	uint64_t x = ((const struct sn_lookup *)a)->vaddr, y = ((const struct sn_lookup *)b)->vaddr;

	return x < y ? -1 : x > y;
}

/* The addresses that have no answer yet, sorted, each once. */
static size_t
collect_unknown(const struct sn_symbolizer *s, const struct file *f, const struct sn_module *m, const uint64_t *addr,
	size_t n, struct sn_lookup *l)
{
	size_t found = 0, kept = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t vaddr = vaddr_of(m, addr[i]);

		if (recall(s, f->id, vaddr) == NULL)
			l[found++].vaddr = vaddr;
	}
	qsort(l, found, sizeof(*l), by_vaddr);
	for (size_t i = 0; i < found; i++) {
		if (kept == 0 || l[kept - 1].vaddr != l[i].vaddr)
			l[kept++].vaddr = l[i].vaddr;
	}
	return kept;
}

static int
symbolize_by_file(struct sn_symbolizer *s, const struct sn_module *m, const uint64_t *addr, size_t n,
	struct sn_symbol *out)
{
	struct file *f = file_of(s, m);
	struct sn_lookup *l = calloc(n ? n : 1, sizeof(*l));
	size_t unknown;
	int err;

	if (f == NULL || l == NULL) {
		free(l);
		return -ENOMEM;
	}
	unknown = collect_unknown(s, f, m, addr, n, l);
	err = look_up(s, f, m, l, unknown);
	for (size_t i = 0; i < unknown && err == 0; i++) {
		struct sn_symbol sym;

		err = answer_of(s, m, &l[i], &sym);
		if (err == 0)
			err = remember(s, f->id, l[i].vaddr, &sym);
	}
	free(l);
	for (size_t i = 0; i < n && err == 0; i++) {
		out[i] = *recall(s, f->id, vaddr_of(m, addr[i]));
		s->counters.unsymbolized += out[i].is_fallback;
	}
	return err;
}

/* Code in memory that has no file: is its name written down?  Not remembered: other code may come there. */
static int
symbolize_by_map(struct sn_symbolizer *s, const struct sn_module *m, uint64_t addr, struct sn_symbol *out)
{
	const struct sn_perfmap_line *l = sn_perfmap_find(&s->map, addr);
	struct sn_symbol_line *line;

	if (l == NULL)
		return symbolize_by_file(s, m, &addr, 1, out);
	line = sn_store_alloc(&s->store, sizeof(*line));
	if (line == NULL)
		return -ENOMEM;
	line->name = line->system_name = sn_store_string(&s->store, s->map.text + l->name, l->name_len);
	line->file = "";
	*out = (struct sn_symbol){ .line = line, .count = 1 };
	return line->name == NULL ? -ENOMEM : 0;
}

int
sn_symbolize_batch(struct sn_symbolizer *s, const struct sn_module *m, const uint64_t *addr, size_t n,
	struct sn_symbol *out)
{
	int err = 0;

	if (m->kind != SN_MODULE_ANON || s->pid == 0 || s->how == SN_SYMBOLIZE_NONE)
		return symbolize_by_file(s, m, addr, n, out);
	/* Without a map, or where it cannot be read, code in memory has no names. */
	if (!s->map_is_read && sn_perfmap_read(&s->map, s->pid, s->start_time, s->tables_max) == -ENOMEM)
		return -ENOMEM;
	s->map_is_read = true;
	if (s->map.count == 0)
		return symbolize_by_file(s, m, addr, n, out);
	for (size_t i = 0; i < n && err == 0; i++)
		err = symbolize_by_map(s, m, addr[i], &out[i]);
	return err;
}

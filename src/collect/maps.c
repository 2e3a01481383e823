/* SPDX-License-Identifier: Apache-2.0
 *
 * maps.c - /proc/PID/maps as a set of modules (see module.h).
 *
 * Runs in:  collector.  The text may come from a hostile program: nothing in it is trusted.
 * Memory:   modules belong to their struct sn_modules, images to the list of all.
 * When full: mappings beyond SN_MODULES_MAX are passed over and counted as bad lines.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "collect/module.h"

static const char deleted[] = " (deleted)";

/* One line of maps; path points into the text and still has its escapes and its suffix. */
struct line {
	uint64_t start, limit, offset, dev, ino;
	const char *path;
	size_t path_len;
	bool exec, readable;
};

/* A number in base 10 or 16 of at most max, ended by `end` unless that is 0; *at moves behind both. */
static bool
take_number(const char **at, const char *stop, unsigned base, uint64_t max, char end, uint64_t *out)
{
	const char *p = *at;
	uint64_t value = 0;

	for (; p < stop; p++) {
		unsigned digit;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		else
			break;
		if (value > (max - digit) / base)
			return false;
		value = value * base + digit;
	}
	if (p == *at || (end != '\0' && (p == stop || *p != end)))
		return false;
	*at = end != '\0' ? p + 1 : p;
	*out = value;
	return true;
}

static bool
parse_line(const char *p, const char *stop, struct line *l)
{
	uint64_t major, minor;

	if (memchr(p, '\0', (size_t)(stop - p)) != NULL)
		return false;
	if (!take_number(&p, stop, 16, UINT64_MAX, '-', &l->start) ||
	    !take_number(&p, stop, 16, UINT64_MAX, ' ', &l->limit) || l->start >= l->limit)
		return false;
	if (stop - p < 5 || p[4] != ' ')
		return false;
	l->exec = p[2] == 'x';
	l->readable = p[0] == 'r';
	p += 5;
	if (!take_number(&p, stop, 16, UINT64_MAX, ' ', &l->offset) ||
	    !take_number(&p, stop, 16, UINT32_MAX, ':', &major) ||
	    !take_number(&p, stop, 16, UINT32_MAX, ' ', &minor) ||
	    !take_number(&p, stop, 10, UINT64_MAX, '\0', &l->ino))
		return false;
	if (p < stop && *p != ' ')
		return false;
	while (p < stop && *p == ' ')
		p++;
	l->dev = makedev((unsigned)major, (unsigned)minor);
	l->path = p;
	l->path_len = (size_t)(stop - p);
	return true;
}

static bool
begins(const char *s, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && memcmp(s, prefix, n) == 0;
}

/* The path without suffix and with newlines as they are; the only escape that the kernel makes is \012. */
static char *
clean_path(const char *s, size_t len)
{
	size_t suffix = sizeof(deleted) - 1, n = 0;
	char *out;

	if (len > suffix && memcmp(s + len - suffix, deleted, suffix) == 0)
		len -= suffix;
	out = malloc(len + 1);
	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (begins(s + i, len - i, "\\012")) {
			out[n++] = '\n';
			i += 3;
		} else {
			out[n++] = s[i];
		}
	}
	out[n] = '\0';
	return out;
}

static enum sn_module_kind
kind_of(const struct line *l)
{
	if (begins(l->path, l->path_len, "[vdso]"))
		return SN_MODULE_VDSO;
	/* Memory in a file's clothing: nothing behind these names is an ELF file that could be opened. */
	if (l->ino == 0 || l->path_len == 0 || l->path[0] != '/' || begins(l->path, l->path_len, "/memfd:") ||
	    begins(l->path, l->path_len, "/dev/zero") || begins(l->path, l->path_len, "//anon") ||
	    begins(l->path, l->path_len, "/SYSV") || begins(l->path, l->path_len, "/anon_hugepage"))
		return SN_MODULE_ANON;
	return SN_MODULE_FILE;
}

static char *
name_of(const struct line *l, enum sn_module_kind kind)
{
	if (kind == SN_MODULE_VDSO)
		return strdup("[vdso]");
	if (kind == SN_MODULE_ANON && !begins(l->path, l->path_len, "/memfd:"))
		return strdup("[anon]");
	return clean_path(l->path, l->path_len);
}

/*
 * Run-time address minus virtual address: from the segment that this piece of file belongs to.  The kernel maps
 * whole pages, so segments overlap at their edges; the executable one is meant.
 */
static uint64_t
bias_of(const struct sn_image *image, uint64_t start, uint64_t offset)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	const Elf64_Phdr *best = NULL;

	for (unsigned i = 0; i < image->phnum; i++) {
		const Elf64_Phdr *p = &image->phdr[i];

		if (p->p_type != PT_LOAD || offset < (p->p_offset & ~page) || p->p_filesz == 0 ||
		    offset > ((p->p_offset + p->p_filesz - 1) | page))
			continue;
		if (best == NULL || (!(best->p_flags & PF_X) && (p->p_flags & PF_X)))
			best = p;
	}
	return start - offset + (best == NULL ? 0 : best->p_offset - best->p_vaddr);
}

static void
free_module(struct sn_modules *m, struct sn_module *mod)
{
	sn_image_put(m->images, mod->image);
	free(mod->path);
	free(mod);
}

/* Append to an array of pointers that grows by doubling. */
static int
append(struct sn_module ***array, uint32_t *count, uint32_t *cap, struct sn_module *mod)
{
	if (*count == *cap) {
		uint32_t more = *cap == 0 ? 16 : *cap * 2;
		struct sn_module **bigger = realloc(*array, more * sizeof(**array));

		if (bigger == NULL)
			return -ENOMEM;
		*array = bigger;
		*cap = more;
	}
	(*array)[(*count)++] = mod;
	return 0;
}

static int
add_module(struct sn_modules *m, struct sn_module *mod)
{
	int err = append(&m->all, &m->count, &m->cap, mod);

	if (err < 0) {
		free_module(m, mod);
		return err;
	}
	mod->index = m->count - 1;
	return 0;
}

/* 0 or -ENOMEM. */
static int
new_module(struct sn_modules *m, const struct line *l, struct sn_module **out)
{
	struct sn_module *mod = calloc(1, sizeof(*mod));
	int err;

	if (mod == NULL)
		return -ENOMEM;
	mod->start = l->start;
	mod->limit = l->limit;
	mod->offset = l->offset;
	mod->dev = l->dev;
	mod->ino = l->ino;
	mod->kind = kind_of(l);
	mod->readable = l->readable;
	mod->gone = true;	/* until the whole text was taken over */
	mod->path = name_of(l, mod->kind);
	if (mod->path != NULL && mod->kind == SN_MODULE_FILE)
		mod->image = sn_image_get(m->images, m->pid, mod->path, l->dev, l->ino, l->start, l->limit);
	else if (mod->path != NULL && mod->kind == SN_MODULE_VDSO)
		mod->image = sn_image_vdso(m->images);
	if (mod->path == NULL || (mod->kind != SN_MODULE_ANON && mod->image == NULL)) {
		free_module(m, mod);
		return -ENOMEM;
	}
	mod->bias = mod->image != NULL ? bias_of(mod->image, l->start, l->offset) : l->start - l->offset;
	err = add_module(m, mod);
	if (err == 0)
		*out = mod;
	return err;
}

static bool
is_line_of(const struct sn_module *mod, const struct line *l)
{
	return mod->start == l->start && mod->limit == l->limit && mod->offset == l->offset && mod->dev == l->dev &&
		mod->ino == l->ino && mod->kind == kind_of(l);
}

/* The module that this mapping was before, also one that had gone: dlopen tends to come back to its place. */
static struct sn_module *
known_module(const struct sn_modules *m, const struct line *l)
{
	struct sn_module *mod = sn_modules_find(m, l->start);

	if (mod != NULL && is_line_of(mod, l))
		return mod;
	for (uint32_t i = 0; i < m->count; i++) {
		if (is_line_of(m->all[i], l))
			return m->all[i];
	}
	return NULL;
}

static int
by_start(const void *a, const void *b)
{
	const struct sn_module *x = *(struct sn_module *const *)a, *y = *(struct sn_module *const *)b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Sort; drop and count what only a text that is not the kernel's can hold: ranges that overlap. */
static uint32_t
tidy(struct sn_module **now, uint32_t *count)
{
	uint32_t n = 0, dropped;

	if (*count > 1)
		qsort(now, *count, sizeof(*now), by_start);
	for (uint32_t i = 0; i < *count; i++) {
		if (n == 0 || now[i]->start >= now[n - 1]->limit)
			now[n++] = now[i];
	}
	dropped = *count - n;
	*count = n;
	return dropped;
}

static void
choose_main(struct sn_modules *m, const char *exe)
{
	size_t len = exe == NULL ? 0 : strlen(exe), suffix = sizeof(deleted) - 1;
	struct sn_module *first = NULL;

	if (sn_modules_main(m) != NULL)
		return;
	if (len > suffix && strcmp(exe + len - suffix, deleted) == 0)
		len -= suffix;
	for (uint32_t i = 0; i < m->now_count; i++) {
		struct sn_module *mod = m->now[i];

		if (mod->kind != SN_MODULE_FILE)
			continue;
		if (len > 0 && strlen(mod->path) == len && memcmp(mod->path, exe, len) == 0) {
			mod->is_main = true;
			return;
		}
		if (first == NULL && mod->image->err == 0)
			first = mod;
	}
	if (first != NULL)
		first->is_main = true;
}

/* Every executable mapping of the text into *now.  0 or -ENOMEM. */
static int
collect_now(struct sn_modules *m, const char *text, size_t len, struct sn_module ***now, uint32_t *count, uint32_t *bad)
{
	const char *stop = text + len, *p = text;
	uint32_t cap = 0;
	int err = 0;

	while (p < stop && err == 0) {
		const char *end = memchr(p, '\n', (size_t)(stop - p));
		struct sn_module *mod = NULL;
		struct line l;

		if (end == NULL || !parse_line(p, end, &l)) {
			(*bad)++;
		} else if (l.exec) {
			mod = known_module(m, &l);
			if (mod == NULL && m->count < SN_MODULES_MAX)
				err = new_module(m, &l, &mod);
			else if (mod == NULL)
				(*bad)++;
		}
		if (mod != NULL)
			err = append(now, count, &cap, mod);
		p = end == NULL ? stop : end + 1;
	}
	return err;
}

int
sn_modules_update(struct sn_modules *m, const char *text, size_t len, const char *exe, uint32_t *bad_lines)
{
	struct sn_module **now = NULL;
	uint32_t count = 0, bad = 0;
	int err = collect_now(m, text, len, &now, &count, &bad);

	if (err < 0) {
		free(now);
		return err;
	}
	bad += tidy(now, &count);
	for (uint32_t i = 0; i < m->now_count; i++)
		m->now[i]->gone = true;
	for (uint32_t i = 0; i < count; i++)
		now[i]->gone = false;
	free(m->now);
	m->now = now;
	m->now_count = m->now_cap = count;
	choose_main(m, exe);
	if (bad_lines != NULL)
		*bad_lines = bad;
	return 0;
}

void
sn_modules_init(struct sn_modules *m, struct sn_images *images, pid_t pid)
{
	*m = (struct sn_modules){ .images = images, .pid = pid };
}

void
sn_modules_free(struct sn_modules *m)
{
	for (uint32_t i = 0; i < m->count; i++)
		free_module(m, m->all[i]);
	free(m->all);
	free(m->now);
	sn_modules_init(m, m->images, m->pid);
}

/* A twin of a module, its image shared.  NULL when out of memory. */
static struct sn_module *
twin(const struct sn_module *from)
{
	struct sn_module *mod = malloc(sizeof(*mod));

	if (mod == NULL)
		return NULL;
	*mod = *from;
	mod->path = strdup(from->path);
	if (mod->path == NULL) {
		free(mod);
		return NULL;
	}
	if (mod->image != NULL)
		mod->image->refs++;
	return mod;
}

int
sn_modules_copy(struct sn_modules *m, const struct sn_modules *from)
{
	int err = 0;

	for (uint32_t i = 0; i < from->count && err == 0; i++) {
		struct sn_module *mod;

		if (from->all[i]->gone)		/* the child has no sample of it */
			continue;
		mod = twin(from->all[i]);
		err = mod == NULL ? -ENOMEM : add_module(m, mod);
		if (err == 0)
			err = append(&m->now, &m->now_count, &m->now_cap, mod);
	}
	if (err < 0)
		sn_modules_free(m);
	else if (m->now_count > 1)
		qsort(m->now, m->now_count, sizeof(*m->now), by_start);
	return err;
}

struct sn_module *
sn_modules_find(const struct sn_modules *m, uint64_t addr)
{
	uint32_t lo = 0, hi = m->now_count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->now[mid]->start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && addr < m->now[lo - 1]->limit ? m->now[lo - 1] : NULL;
}

struct sn_module *
sn_modules_main(const struct sn_modules *m)
{
	for (uint32_t i = 0; i < m->count; i++) {
		if (m->all[i]->is_main)
			return m->all[i];
	}
	return NULL;
}

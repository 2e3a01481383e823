/* SPDX-License-Identifier: Apache-2.0
 *
 * debugfile.c - separate debug files: by build id, by debuglink, and what dwz shared.
 *
 * Runs in:  collector.  Looks at local files only; nothing goes to the network.
 * Memory:   the place that was found is kept by the caller (place->path is malloc'd).
 * Trust:    a file is taken only if its build id, or its CRC for a debuglink, is the one
 *           asked for; anything but a regular file is not opened for reading.
 */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "symbol/lookup.h"

#define DEBUG_FOLDER "/usr/lib/debug"

/* What makes a candidate the right one. */
struct wanted {
	const uint8_t *build_id;	/* NULL: the CRC decides */
	size_t build_id_len;
	uint32_t crc;
	const struct stat *known;	/* checked before: the same file needs no CRC again; or NULL */
};

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool
crc_agrees(int fd, uint32_t want)
{
	uint8_t *block = malloc(256 * 1024);
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	ssize_t n = -1;

	while (block != NULL && (n = pread(fd, block, 256 * 1024, at)) > 0) {
		crc = crc32(crc, block, (uInt)n);
		at += n;
	}
	free(block);
	return n == 0 && crc == want;
}

static bool
build_id_agrees(struct sn_elf *e, const struct wanted *w)
{
	const void *id;
	ssize_t len = dwelf_elf_gnu_build_id(e->elf, &id);

	return len > 0 && (size_t)len == w->build_id_len && memcmp(id, w->build_id, w->build_id_len) == 0;
}

/* Open one candidate and check that it is the file.  0, -ENOENT or -ENOMEM. */
static int
try_path(struct sn_elf *out, const char *path, const struct wanted *w, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err = -ENOENT;

	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) &&
	    (w->build_id != NULL || (w->known != NULL && is_same_file(st, w->known)) || crc_agrees(fd, w->crc)))
		err = sn_elf_open_fd(out, fd);
	(void)close(fd);
	if (err == 0 && w->build_id != NULL && !build_id_agrees(out, w)) {
		sn_elf_close(out);
		err = -ENOENT;
	}
	return err == 0 || err == -ENOMEM ? err : -ENOENT;
}

/* Where the last '/' of path ends its folder. */
static int
folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? 0 : (int)(slash - path);
}

/* snprintf to a path that must fit; false when it does not. */
static bool __attribute__((format(printf, 2, 3)))
path_of(char out[PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, PATH_MAX, fmt, ap);
	va_end(ap);
	return n > 0 && n < PATH_MAX;
}

static bool
build_id_path(char out[PATH_MAX], const char *root, const uint8_t *id, size_t len)
{
	char hex[2 * SN_BUILD_ID_MAX + 1] = "";

	if (len < 2 || len > SN_BUILD_ID_MAX)
		return false;
	for (size_t i = 1; i < len; i++)
		(void)snprintf(hex + 2 * (i - 1), 3, "%02x", id[i]);
	return path_of(out, "%s" DEBUG_FOLDER "/.build-id/%02x/%s.debug", root, id[0], hex);
}

static int
try_build_id(struct sn_elf *out, char path[PATH_MAX], struct stat *st, const struct sn_image *image, const char *root)
{
	const struct wanted w = { .build_id = image->build_id, .build_id_len = image->build_id_len };

	if (!build_id_path(path, root, image->build_id, image->build_id_len))
		return -ENOENT;
	return try_path(out, path, &w, st);
}

static int
try_debuglink(struct sn_elf *out, char path[PATH_MAX], struct stat *st, const struct sn_elf *main,
	const struct sn_image *image, const char *root, const struct stat *known)
{
	static const char *const form[] = { "", "/.debug" };
	GElf_Word crc = 0;
	const char *link = dwelf_elf_gnu_debuglink(main->elf, &crc);
	const struct wanted w = { .crc = crc, .known = known };
	int len, err = -ENOENT;

	/* A bare file name: anything else would lead us out of the folders meant for it. */
	if (link == NULL || *link == '\0' || strchr(link, '/') != NULL || image->path == NULL || *image->path != '/')
		return -ENOENT;
	len = folder_len(image->path);
	for (size_t i = 0; err == -ENOENT && i < 2; i++) {
		if (path_of(path, "%.*s%s/%s", len, image->path, form[i], link))
			err = try_path(out, path, &w, st);
	}
	if (err == -ENOENT && path_of(path, "%s" DEBUG_FOLDER "%.*s/%s", root, len, image->path, link))
		err = try_path(out, path, &w, st);
	return err;
}

int
sn_debug_open(struct sn_elf *out, struct sn_debug_place *place, const struct sn_elf *main,
	const struct sn_image *image, const char *root)
{
	char path[PATH_MAX];
	struct stat st = { 0 };
	int err;

	*out = (struct sn_elf){ .fd = -1 };
	if (place->tried && place->path == NULL)
		return -ENOENT;
	err = try_build_id(out, path, &st, image, root);
	if (err == -ENOENT)
		err = try_debuglink(out, path, &st, main, image, root, place->tried ? &place->st : NULL);
	if (err == -ENOMEM)
		return err;
	place->tried = true;
	free(place->path);
	place->path = err == 0 ? strdup(path) : NULL;
	place->st = st;
	return err;
}

/* Where a dwz file may be: as its name says, then in the usual folders. */
static bool
alt_path(char out[PATH_MAX], unsigned which, const char *name, const char *path, const char *root)
{
	const char *base = strrchr(name, '/');

	switch (which) {
	case 0:
		if (*name != '/')
			return path_of(out, "%.*s/%s", folder_len(path), path, name);
		if (strncmp(name, DEBUG_FOLDER "/", sizeof(DEBUG_FOLDER)) == 0)
			return path_of(out, "%s%s", root, name);
		return path_of(out, "%s", name);
	default:
		return path_of(out, "%s" DEBUG_FOLDER "/.dwz/%s", root, base == NULL ? name : base + 1);
	}
}

int
sn_debug_open_alt(struct sn_elf *alt, struct sn_elf *e, const char *path, const char *root)
{
	char file[PATH_MAX];
	struct wanted w = { 0 };
	const char *name;
	const void *id;
	ssize_t len;
	struct stat st;
	int err = -ENOENT;

	*alt = (struct sn_elf){ .fd = -1 };
	len = dwelf_dwarf_gnu_debugaltlink(e->dwarf, &name, &id);
	if (len <= 0)
		return 0;
	w.build_id = id;
	w.build_id_len = (size_t)len;
	for (unsigned i = 0; err == -ENOENT && i < 2; i++) {
		if (alt_path(file, i, name, path, root))
			err = try_path(alt, file, &w, &st);
	}
	if (err == -ENOENT && build_id_path(file, root, id, w.build_id_len))
		err = try_path(alt, file, &w, &st);
	if (err == 0 && !sn_elf_dwarf(alt)) {
		sn_elf_close(alt);
		err = -ENOENT;
	}
	if (err == 0)
		dwarf_setalt(e->dwarf, alt->dwarf);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * image.c - the files behind mappings: found, opened, identified, shared (see module.h).
 *
 * Runs in:  collector.
 * Memory:   every image belongs to the list that it is in and lives while refs > 0.
 * When descriptors run short: an image beyond SN_IMAGE_FDS_MAX is closed again and reopened, and its
 *           identity checked again, for each read.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "collect/module.h"
#include "collect/tables.h"

#define SELF_MAPS_MAX	(16u << 20)

/*
 * Is the file at fd the one that the maps line named?  The inode must be equal.  The device need not where
 * the kernel itself says two things: maps shows the device of the super block, stat that of the btrfs subvolume
 * or of the overlay; there a path alone would not do, but the same path and the same inode on such a file
 * system are the file.  What /proc/PID/map_files opens is the mapped file whatever its device is called.
 */
static bool
same_file(int fd, uint64_t dev, uint64_t ino, bool by_mapping)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != ino)
		return false;
	if (st.st_dev == dev || by_mapping)
		return true;
	return fstatfs(fd, &fs) == 0 &&
		((uint32_t)fs.f_type == OVERLAYFS_SUPER_MAGIC || (uint32_t)fs.f_type == BTRFS_SUPER_MAGIC);
}

/*
 * O_PATH first: merely opening a device or a FIFO that someone put there can have effects.  (Inside,
 * /proc/self/fd has the program's descriptors.)  fd or -errno.
 */
static int
open_checked(const char *path, uint64_t dev, uint64_t ino, bool by_mapping)
{
	int at = open(path, O_PATH | O_CLOEXEC);
	char self[40];
	int fd;

	if (at < 0)
		return -errno;
	if (!same_file(at, dev, ino, by_mapping)) {
		(void)close(at);
		return -ESTALE;
	}
	(void)snprintf(self, sizeof(self), "/proc/thread-self/fd/%d", at);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		fd = -errno;
	(void)close(at);
	return fd;
}

static bool
is_by_mapping(const char *path)
{
	const char *end = strrchr(path, '/');
	static const char dir[] = "/map_files";

	return strncmp(path, "/proc/", 6) == 0 && end != NULL && (size_t)(end - path) > sizeof(dir) &&
		memcmp(end - (sizeof(dir) - 1), dir, sizeof(dir) - 1) == 0;
}

int
sn_image_open(const struct sn_image *image)
{
	int fd = -ENOENT;

	if (image->fd >= 0) {
		fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	if (image->opened == NULL)
		return -ENOENT;
	fd = open_checked(image->opened, image->dev, image->ino, is_by_mapping(image->opened));
	if (fd < 0)	/* the process under whose /proc it was is gone */
		fd = open_checked(image->path, image->dev, image->ino, false);
	return fd;
}

static int
pread_all(int fd, uint64_t offset, uint8_t *out, size_t len)
{
	while (len > 0) {
		ssize_t n = pread(fd, out, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		out += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int
sn_image_read(const struct sn_image *image, uint64_t offset, void *out, size_t len)
{
	int fd = image->fd, err;

	if (offset > image->file_bytes || len > image->file_bytes - offset)
		return -EIO;
	if (len == 0)
		return 0;
	if (image->memory != NULL) {
		memcpy(out, image->memory + offset, len);
		return 0;
	}
	if (fd >= 0)
		return pread_all(fd, offset, out, len);
	fd = sn_image_open(image);
	if (fd < 0)
		return fd;
	err = pread_all(fd, offset, out, len);
	(void)close(fd);
	return err;
}

/* Try the names of the file, best first.  Sets fd and opened, or err. */
static int
open_image(struct sn_image *image, pid_t pid, uint64_t map_start, uint64_t map_limit)
{
	char *name[3] = { NULL, NULL, NULL };
	int err = 0;

	if (asprintf(&name[0], "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, map_start, map_limit) < 0)
		name[0] = NULL;
	if (asprintf(&name[1], "/proc/%d/root%s", (int)pid, image->path) < 0)
		name[1] = NULL;
	name[2] = strdup(image->path);
	for (unsigned i = 0; i < 3 && image->opened == NULL; i++) {
		int fd = name[i] == NULL ? -ENOMEM : open_checked(name[i], image->dev, image->ino, i == 0);

		if (fd < 0) {
			/* "another file is there now" says more than "no right to look" */
			if (err == 0 || fd == -ESTALE)
				err = fd;
			continue;
		}
		image->fd = fd;
		image->opened = name[i];
		name[i] = NULL;
	}
	for (unsigned i = 0; i < 3; i++)
		free(name[i]);
	return image->opened != NULL ? 0 : err;
}

/* Open and parse; afterwards the descriptor stays open as long as there are not too many. */
static void
fill_image(struct sn_images *all, struct sn_image *image, pid_t pid, uint64_t map_start, uint64_t map_limit)
{
	int err = open_image(image, pid, map_start, map_limit);

	image->err = err;
	image->cfi_state = 0;
	if (err < 0)
		return;
	(void)sn_image_parse(image);
	if (image->err < 0 || all->open_fds >= SN_IMAGE_FDS_MAX) {
		(void)close(image->fd);
		image->fd = -1;
	} else {
		all->open_fds++;
	}
}

static struct sn_image *
new_image(struct sn_images *all, const char *path)
{
	struct sn_image *image = calloc(1, sizeof(*image));

	if (image == NULL)
		return NULL;
	image->path = strdup(path);
	if (image->path == NULL) {
		free(image);
		return NULL;
	}
	image->refs = 1;
	image->fd = -1;
	image->next = all->first;
	all->first = image;
	return image;
}

struct sn_image *
sn_image_get(struct sn_images *all, pid_t pid, const char *path, uint64_t dev, uint64_t ino,
	uint64_t map_start, uint64_t map_limit)
{
	struct sn_image *image;

	for (image = all->first; image != NULL; image = image->next) {
		if (image->memory != NULL || image->dev != dev || image->ino != ino)
			continue;
		/* Without a descriptor nothing kept the inode from being given to another file. */
		if (image->fd < 0 && strcmp(image->path, path) != 0)
			continue;
		image->refs++;
		if (image->err < 0 && image->opened == NULL)	/* another process may show it to us */
			fill_image(all, image, pid, map_start, map_limit);
		return image;
	}
	image = new_image(all, path);
	if (image == NULL)
		return NULL;
	image->dev = dev;
	image->ino = ino;
	fill_image(all, image, pid, map_start, map_limit);
	return image;
}

/* Where our own vdso ends: maps knows, the ELF headers would have to be trusted. */
static uint64_t
own_vdso_limit(uint64_t start)
{
	struct sn_buf text = { 0 };
	uint64_t limit = 0, a, b;
	char *save = NULL;

	if (sn_buf_read_path(&text, "/proc/self/maps", SELF_MAPS_MAX) == 0) {
		sn_buf_put(&text, "", 1);
		for (char *line = text.err < 0 ? NULL : strtok_r((char *)text.data, "\n", &save); line != NULL;
		     line = strtok_r(NULL, "\n", &save)) {
			if (sscanf(line, "%" SCNx64 "-%" SCNx64, &a, &b) == 2 && a == start && b > a)
				limit = b;
		}
	}
	sn_buf_free(&text);
	return limit;
}

struct sn_image *
sn_image_vdso(struct sn_images *all)
{
	uint64_t start = getauxval(AT_SYSINFO_EHDR), limit;
	struct sn_image *image;

	for (image = all->first; image != NULL; image = image->next) {
		if (image->dev == 0 && image->ino == 0 && strcmp(image->path, "[vdso]") == 0) {
			image->refs++;
			return image;
		}
	}
	image = new_image(all, "[vdso]");
	if (image == NULL)
		return NULL;
	limit = start == 0 ? 0 : own_vdso_limit(start);
	if (limit == 0) {
		image->err = -ENOENT;
		return image;
	}
	image->memory = (const uint8_t *)(uintptr_t)start;
	image->file_bytes = limit - start;
	(void)sn_image_parse(image);
	return image;
}

void
sn_image_put(struct sn_images *all, struct sn_image *image)
{
	struct sn_image **at = &all->first;

	if (image == NULL || --image->refs > 0)
		return;
	sn_tables_drop(all, image);
	while (*at != NULL && *at != image)
		at = &(*at)->next;
	if (*at == image)
		*at = image->next;
	if (image->fd >= 0) {
		(void)close(image->fd);
		all->open_fds--;
	}
	all->held_bytes -= image->hdr != NULL ? (size_t)image->hdr_bytes : 0;
	all->held_bytes -= image->frame != NULL ? (size_t)image->frame_bytes : 0;
	free(image->hdr);
	free(image->frame);
	free(image->phdr);
	free(image->opened);
	free(image->path);
	free(image);
}

char *
sn_image_build_id_hex(const struct sn_image *image, char out[2 * SN_BUILD_ID_MAX + 1])
{
	static const char digit[] = "0123456789abcdef";
	size_t n = 0;

	for (unsigned i = 0; i < image->build_id_len && i < SN_BUILD_ID_MAX; i++) {
		out[n++] = digit[image->build_id[i] >> 4];
		out[n++] = digit[image->build_id[i] & 15];
	}
	out[n] = '\0';
	return out;
}

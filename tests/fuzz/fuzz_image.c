/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_image.c - a hostile ELF file: parse it, load its CFI, look addresses up in it.
 *
 * The same bytes are parsed from a file in memory and from memory itself, which must agree.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collect/module.h"
#include "collect/unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sn_image *
image_of(struct sn_images *all, int fd, const uint8_t *memory, size_t size)
{
	struct sn_image *image = calloc(1, sizeof(*image));

	if (image == NULL)
		abort();
	image->refs = 1;
	image->fd = fd;
	image->memory = memory;
	image->file_bytes = memory == NULL ? 0 : size;
	image->next = all->first;
	all->first = image;
	if (fd >= 0)
		all->open_fds++;
	(void)sn_image_parse(image);
	return image;
}

static void
look_around(const struct sn_image *image)
{
	struct sn_module m = { .image = (struct sn_image *)image, .limit = UINT64_MAX };
	struct sn_cfi cfi;

	for (uint64_t i = 0; i < 64; i++)
		(void)sn_cfi_find(&m, image->hdr_vaddr + i * 16 - 512, &cfi);
	for (uint64_t i = 12; i + 4 <= image->hdr_bytes && i < 512; i += 8) {
		int32_t start;

		memcpy(&start, image->hdr + i, sizeof(start));
		(void)sn_cfi_find(&m, image->hdr_vaddr + (uint64_t)(int64_t)start, &cfi);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nothing[1];
	struct sn_images all = { 0 };
	struct sn_image *by_fd, *by_memory;
	char hex[2 * SN_BUILD_ID_MAX + 1];
	int fd = memfd_create("fuzz", MFD_CLOEXEC), a, b;

	if (fd < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size))
		abort();
	by_fd = image_of(&all, fd, NULL, size);
	by_memory = image_of(&all, -1, size > 0 ? data : nothing, size);
	if (by_fd->err != by_memory->err || by_fd->phnum != by_memory->phnum ||
	    by_fd->build_id_len != by_memory->build_id_len)
		abort();
	(void)sn_image_build_id_hex(by_fd, hex);
	a = sn_image_load_cfi(&all, by_fd);
	b = sn_image_load_cfi(&all, by_memory);
	if (a != b)
		abort();
	if (a == 0)
		look_around(by_fd);
	sn_image_put(&all, by_fd);
	sn_image_put(&all, by_memory);
	if (all.first != NULL || all.open_fds != 0 || all.held_bytes != 0)
		abort();
	return 0;
}

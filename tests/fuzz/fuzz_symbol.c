/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_symbol.c - any bytes as an ELF file with DWARF: every address gets a name, in bounded
 * time and memory.  libdw is the system's and not instrumented.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/symbol.h"

#define ADDRESSES 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Addresses in the executable segments, a little of everything around them. */
static void
choose_addresses(const struct sn_image *image, uint64_t addr[ADDRESSES])
{
	uint64_t start = 0x1000, span = 0x400;

	for (unsigned i = 0; i < image->phnum; i++) {
		if (image->phdr[i].p_type == PT_LOAD && (image->phdr[i].p_flags & PF_X)) {
			start = image->phdr[i].p_vaddr;
			span = image->phdr[i].p_memsz;
			break;
		}
	}
	for (unsigned i = 0; i < ADDRESSES; i++)
		addr[i] = start + span / ADDRESSES * i + (span < 4096 ? i % 3 : 0);
}

static void
symbolize(struct sn_image *image, enum sn_symbolize how)
{
	char path[] = "/nonexistent/fuzz.so";
	struct sn_module m = { .kind = SN_MODULE_FILE, .path = path, .image = image };
	struct sn_symbolizer *s = sn_symbolizer_new(how, "/nonexistent");
	struct sn_symbol sym[ADDRESSES];
	uint64_t addr[ADDRESSES];

	choose_addresses(image, addr);
	if (s != NULL && sn_symbolize_batch(s, &m, addr, ADDRESSES, sym) == 0) {
		for (unsigned i = 0; i < ADDRESSES; i++) {
			for (uint32_t j = 0; j < sym[i].count; j++) {
				const struct sn_symbol_line *l = &sym[i].line[j];

				if (strlen(l->name) == 0 || strlen(l->system_name) == 0 || l->file == NULL)
					abort();
			}
			if (sym[i].count == 0 || sym[i].line[0].line < 0)
				abort();
		}
	}
	sn_symbolizer_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[] = "/nonexistent/fuzz.so";
	struct sn_image image = { .fd = memfd_create("fuzz", MFD_CLOEXEC), .path = path, .file_bytes = size };

	if (image.fd < 0 || write(image.fd, data, size) != (ssize_t)size)
		abort();
	image.err = sn_image_parse(&image);
	/* Foreign objects have no segments, but names and lines all the same. */
	if (image.err == -ENOEXEC && size > 64)
		image.err = 0;
	symbolize(&image, SN_SYMBOLIZE_LINES);
	symbolize(&image, SN_SYMBOLIZE_FUNCTIONS);
	free(image.phdr);
	(void)close(image.fd);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_table.c - hostile call frame information: the compiler ends, and what it made answers for every address.
 *
 * First byte: bit 0 aarch64 instead of x86-64, bit 1 .debug_frame.  Second byte 0xff: the rest is an ELF file.  Else
 * the rest is a block at 0x1000 whose code lies in [0x10000, 0x10000 + 4096 << (second byte % 17)).
 */
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collect/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that the handler will rely on. */
static void
check(const struct sn_table *t)
{
	const uint32_t *index = (const uint32_t *)(const void *)(t->data + t->index);
	const struct sn_table_row *row = (const struct sn_table_row *)(const void *)(t->data + t->rows);
	uint64_t step = (t->limit - t->vaddr) / 4096 + 1;

	if (t->shift < SN_TABLE_SHIFT_MIN || t->shift > SN_TABLE_SHIFT_MAX || t->bytes % SN_TABLE_ALIGN != 0 ||
	    (uint64_t)t->index + ((uint64_t)t->nbuckets + 1) * 4 > t->bytes ||
	    (uint64_t)t->rows + (uint64_t)t->nrows * 4 > t->bytes ||
	    (uint64_t)t->rules + (uint64_t)t->nrules * 16 > t->bytes ||
	    (t->limit - t->vaddr - 1) >> t->shift != t->nbuckets - 1)
		abort();
	if (t->nrows == 0 || row[0].at != 0 || index[0] != 0 || index[t->nbuckets] != t->nrows)
		abort();
	for (uint32_t b = 0; b < t->nbuckets; b++) {
		if (index[b] > index[b + 1])
			abort();
		for (uint32_t i = index[b]; i < index[b + 1]; i++) {
			if (row[i].at >> t->shift != 0 || row[i].rule >= t->nrules ||
			    (i > index[b] && row[i].at <= row[i - 1].at))
				abort();
		}
	}
	for (uint64_t at = t->vaddr; at < t->limit; at += step) {
		const struct sn_rule *r = sn_table_find(t, at);

		if (r == NULL || r->cfa > SN_CFA_BAD || r->fp > SN_SAVED_LOST || r->bx > SN_SAVED_LOST ||
		    r->ra > SN_SAVED_REG)
			abort();
	}
	if (t->text_bad > t->text_bytes || t->text_bytes > t->limit - t->vaddr)
		abort();
}

static void
compile_file(const uint8_t *file, size_t size, uint16_t machine)
{
	struct sn_image image = { .refs = 1, .fd = -1, .memory = file, .file_bytes = size, .machine = machine };
	struct sn_images all = { 0 };
	struct sn_table t;

	if (sn_image_parse(&image) == 0 && sn_table_of_image(&all, &image, &t) == 0) {
		check(&t);
		sn_table_free(&t);
	}
	free(image.phdr);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_cfi_block block = { .vaddr = 0x1000, .text_lo = 0x10000 };
	struct sn_table t;
	uint8_t *copy;

	if (size < 2)
		return 0;
	/* exactly as large as it is, so that a byte too far is seen */
	copy = malloc(size > 2 ? size - 2 : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, data + 2, size - 2);
	block.data = copy;
	block.bytes = size - 2;
	block.machine = data[0] & 1 ? EM_AARCH64 : EM_X86_64;
	block.is_debug_frame = data[0] & 2;
	block.text_hi = block.text_lo + (UINT64_C(4096) << data[1] % 17);
	if (data[1] == 0xff) {
		compile_file(copy, size - 2, block.machine);
	} else if (sn_table_compile(&block, &t) == 0) {
		check(&t);
		sn_table_free(&t);
	}
	free(copy);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * table.h - compile .eh_frame (or .debug_frame) to a compact unwind table (segment/table.h).
 *
 * Runs in:  collector.  Everything in the file is hostile: bounds first, work bounded by its size.
 * Memory:   the table (struct sn_table, in module.h) belongs to the caller.
 */
#ifndef SN_COLLECT_TABLE_H
#define SN_COLLECT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/module.h"
#include "segment/table.h"

/*
 * A block of call frame information in memory: .eh_frame or .debug_frame, as a file has it or as a JIT compiler
 * registered it.  vaddr: its address, to which relative pointers refer.  machine: EM_X86_64 or EM_AARCH64.
 * [text_lo, text_hi): code outside of it is refused.
 */
struct sn_cfi_block {
	const uint8_t *data;
	uint64_t bytes, vaddr;
	uint64_t text_lo, text_hi;
	uint16_t machine;
	bool is_debug_frame;
};

/* 0 and a table to free; -ENODATA: no FDE could be used; -E2BIG; -ENOMEM. */
int sn_table_compile(const struct sn_cfi_block *block, struct sn_table *out);

/*
 * The table of an image: .eh_frame, with or without a search table; .debug_frame where that is all there is; the vdso.
 * Code that the linker adds without CFI (.init, .fini) gets rows where its bytes are the usual ones.  0; -ENODATA: the
 * file has no CFI; or why it cannot be read.
 */
int sn_table_of_image(struct sn_images *all, struct sn_image *image, struct sn_table *out);

void sn_table_free(struct sn_table *t);

/* The rule in force at a virtual address; NULL beyond the table.  For tests and tools. */
const struct sn_rule *sn_table_find(const struct sn_table *t, uint64_t vaddr);

#endif

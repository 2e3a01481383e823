/* SPDX-License-Identifier: Apache-2.0
 *
 * table_known.h - code that linkers add without CFI, known by its bytes.
 *
 * Runs in:  collector.
 * Memory:   none kept.
 */
#ifndef SN_COLLECT_TABLE_KNOWN_H
#define SN_COLLECT_TABLE_KNOWN_H

#include <elf.h>

#include "collect/cfi.h"
#include "collect/module.h"

#define SN_KNOWN_MAX	8u	/* .init, .fini, two PLTs, twice two of the compiler's */

/*
 * .init and .fini, the compiler's start and end code, and the PLT (its sections, NULL if not there), where their
 * bytes are the usual ones.  Returns how many were filled in.
 */
unsigned sn_known_code(const struct sn_image *image, const Elf64_Shdr *plt, const Elf64_Shdr *plt_sec,
	struct sn_known_code known[SN_KNOWN_MAX]);

/* At most len bytes of a segment that has these flags (PF_X …): how many, 0 when there are none at vaddr. */
size_t sn_read_code(const struct sn_image *image, uint64_t vaddr, uint32_t flags, void *out, size_t len);

/* Part of sn_known_code: what the first function of .init_array or .fini_array may be. */
unsigned sn_known_crt(const struct sn_image *image, uint64_t first, struct sn_known_code *known);

#endif

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

#define SN_KNOWN_MAX	8u

/*
 * .init and .fini, and the PLT (its sections, NULL if not there), where their bytes are the usual ones.
 * Returns how many were filled in.
 */
unsigned sn_known_code(const struct sn_image *image, const Elf64_Shdr *plt, const Elf64_Shdr *plt_sec,
	struct sn_known_code known[SN_KNOWN_MAX]);

#endif

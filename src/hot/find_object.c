/* SPDX-License-Identifier: Apache-2.0
 *
 * find_object.c - which module lies at an address (see find_object.h).
 *
 * Runs in:  the handler.
 */
#include <stddef.h>

#include "base/atomic.h"
#include "hot/find_object.h"

sn_find_object_fn *sn_find_object;

bool
sn_find_object_agrees(uint64_t addr, uint64_t hdr)
{
	sn_find_object_fn *find = SN_LOAD_RELAXED(&sn_find_object);
	struct sn_dl_found found;

	if (find == NULL || hdr == 0)
		return true;
	return find((void *)(uintptr_t)addr, &found) == 0 && (uint64_t)(uintptr_t)found.eh_frame == hdr;
}

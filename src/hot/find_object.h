/* SPDX-License-Identifier: Apache-2.0
 *
 * find_object.h - ask the loader which module lies at an address: glibc's _dl_find_object (2.35).
 *
 * Runs in:  the handler: it takes no lock, and was made for unwinders in signal handlers (3 ns).
 * Without it (older glibc) modules are known by the map alone, which a dlclose makes doubtful.
 */
#ifndef SN_HOT_FIND_OBJECT_H
#define SN_HOT_FIND_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

/* Of glibc's ABI (dlfcn.h since 2.35); x86-64 and aarch64 alike. */
struct sn_dl_found {
	unsigned long long flags;
	void *map_start, *map_end;
	void *link_map;
	void *eh_frame;				/* of PT_GNU_EH_FRAME */
	unsigned long long reserved[7];
};
typedef int sn_find_object_fn(void *pc, struct sn_dl_found *found);

/* Set once, before anything is sampled; NULL: not to be had. */
extern sn_find_object_fn *sn_find_object;

/* Has the module at this address its .eh_frame_hdr there?  True where nobody can say. */
bool sn_find_object_agrees(uint64_t addr, uint64_t hdr);

#endif

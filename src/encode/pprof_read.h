/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_read.h - a profile that somebody else wrote: unpacked within bounds, every reference checked.
 *
 * Runs in:  tools, and the child that symbolizes.  What is read is hostile.
 * Memory:   all of it in the arena of the caller.
 */
#ifndef SN_ENCODE_PPROF_READ_H
#define SN_ENCODE_PPROF_READ_H

#include "encode/pprof_parts.h"

#define SN_PPROF_BYTES_MAX	(256u << 20)	/* of a profile, unzipped */
#define SN_PPROF_MEMORY_MAX	(512u << 20)	/* of its message, unpacked */

/* Where the thing of an id stands in its list. */
struct sn_ids {
	struct sn_id {
		uint64_t id;
		uint32_t number;
	} *all;				/* sorted by id */
	size_t count;
};

struct sn_pprof {
	sn_profile_msg *msg;
	struct sn_ids mappings, locations, functions;
	char why[160];			/* what is wrong, and where */
};

/*
 * Read a profile, gzip'd or not.  Then all ids are unique and not 0, every id that is referred to is there (0 is
 * none, where a location or line may do without), and every text is in string_table, of which the first is "".
 * 0; -EBADMSG with why; -EFBIG it is larger than the bounds; -ENOMEM.
 */
int sn_pprof_read(const void *in, size_t len, struct sn_arena *arena, struct sn_pprof *out);

/* The number of an id, UINT32_MAX when it is not there. */
uint32_t sn_ids_find(const struct sn_ids *ids, uint64_t id);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * table_self.h - the tables and the map of the calling process, as the collector makes them for others.
 *
 * Runs in:  tests, benches and `sonde selftest`, outside of any handler.
 * Memory:   all of it belongs to the struct; free it with sn_text_map_free.
 */
#ifndef SN_COLLECT_TABLE_SELF_H
#define SN_COLLECT_TABLE_SELF_H

#include <stdint.h>

#include "segment/table.h"

struct sn_self_tables {
	struct sn_text_map *map;
	uint8_t *tables;		/* the store */
	uint32_t tables_bytes;
	uint32_t modules, refused;	/* executable mappings; … of which no table could be made */
};

/* Of what /proc/self/maps says now.  0; -ENOMEM; -EFBIG the tables do not fit; or why the maps cannot be read. */
int sn_text_map_of_self(struct sn_self_tables *out);
void sn_text_map_free(struct sn_self_tables *t);

#endif

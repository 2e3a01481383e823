/* SPDX-License-Identifier: Apache-2.0
 *
 * perfmap.h - names that a JIT compiler writes down for its code: /tmp/perf-PID.map.
 *
 * Runs in:  collector.  Private to src/symbol/.
 * Memory:   the text of the file, and a table of its lines; until sn_perfmap_free.
 */
#ifndef SN_SYMBOL_PERFMAP_H
#define SN_SYMBOL_PERFMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SN_PERFMAP_BYTES_MAX	(256u << 20)
#define SN_PERFMAP_NAME_MAX	1024u		/* what is longer is cut */

struct sn_perfmap_line {
	uint64_t start, limit;
	uint32_t name, name_len;	/* in the text */
	uint32_t order;			/* in the file: code that came later has replaced what was there */
};

struct sn_perfmap {
	char *text;
	size_t bytes;
	struct sn_perfmap_line *line;	/* by start, then by order */
	size_t count;
};

/*
 * Read the map of a process.  start_time: field 22 of its stat, so that a file which another process of that number has
 * left is not taken for its own; 0: unknown.  most: bytes of a file that is read, 0 any.  0; -ENOENT; -EPERM: somebody
 * else's file, or an older one; -EFBIG; -ENOMEM; or why it cannot be read.
 */
int sn_perfmap_read(struct sn_perfmap *m, pid_t pid, uint64_t start_time, uint64_t most);
/* The same from a text, which becomes the map's, also when that fails.  0, -EFBIG or -ENOMEM. */
int sn_perfmap_parse(struct sn_perfmap *m, char *text, size_t bytes);
void sn_perfmap_free(struct sn_perfmap *m);

/* The newest line with that address, NULL when there is none. */
const struct sn_perfmap_line *sn_perfmap_find(const struct sn_perfmap *m, uint64_t addr);

#endif

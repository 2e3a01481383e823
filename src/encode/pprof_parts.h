/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_parts.h - one encoding at work, for pprof.c and its parts alone.
 *
 * Runs in:  collector, in the child that writes the file.
 * Memory:   structs of the message in the arena, plain arrays beside it; pprof.c frees both.
 * When out of memory: arena.err is set, the parts go on or return early, pprof.c checks at the end.
 */
#ifndef SN_ENCODE_PPROF_PARTS_H
#define SN_ENCODE_PPROF_PARTS_H

#include "encode/pprof.h"
#include "encode/table.h"
#include "proto/profile.pb-c.h"

typedef Perftools__Profiles__Profile sn_profile_msg;
typedef Perftools__Profiles__ValueType sn_value_type_msg;
typedef Perftools__Profiles__Sample sn_sample_msg;
typedef Perftools__Profiles__Label sn_label_msg;
typedef Perftools__Profiles__Mapping sn_mapping_msg;
typedef Perftools__Profiles__Location sn_location_msg;
typedef Perftools__Profiles__Line sn_line_msg;
typedef Perftools__Profiles__Function sn_function_msg;

/* What makes two functions the same; the first three are numbers of texts. */
struct sn_function_key {
	uint32_t name, system_name, file;
	int32_t start_line;
};

/* Rows that differ by their group only. */
struct sn_merged_row {
	const struct sn_row *row;	/* one of them */
	uint64_t count;			/* of all */
};

struct sn_pprof_encoder {
	const struct sn_profile *p;
	struct sn_symbolizer *symbolizer;
	enum sn_symbolize how;

	sn_profile_msg msg;
	struct sn_arena arena;		/* its err is the encoder's */
	struct sn_strings strings;
	struct sn_index function_index;
	struct sn_function_key *function_keys;
	uint32_t function_cap;
	uint32_t *location_of;		/* by frame: its location's id */
	bool *used;			/* by frame */
	uint64_t *location_ids;		/* as frame_ids of the profile */
	struct sn_merged_row *merged;	/* all rows with a count, the largest first */
	size_t merged_count;
	sn_label_msg **thread_label;	/* by label of the profile */
};

static inline int
sn_compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* A value of the message: count * factor, at most INT64_MAX. */
static inline int64_t
sn_saturated(uint64_t count, uint64_t factor)
{
	unsigned __int128 value = (unsigned __int128)count * factor;

	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* In this order: merged, then mappings, locations and functions of what is used, then samples. */
void sn_pprof_merge_rows(struct sn_pprof_encoder *e);
void sn_pprof_add_places(struct sn_pprof_encoder *e);
void sn_pprof_add_samples(struct sn_pprof_encoder *e);

/* Name n locations, all of one module, by one batch: files are opened once.  Sets the flags of the mapping. */
void sn_pprof_name_locations(struct sn_pprof_encoder *e, sn_mapping_msg *mapping, const struct sn_module *m,
	sn_location_msg **location, size_t n);
/* Name one MODULE+0xOFFSET. */
void sn_pprof_unknown_line(struct sn_pprof_encoder *e, sn_location_msg *location, const char *module, uint64_t offset);
/* A function that msg.function has already, in the order of that list; its id.  0 when out of memory. */
uint32_t sn_pprof_known_function(struct sn_pprof_encoder *e, const struct sn_function_key *key);
/* Put all functions that lines refer to behind those that msg.function has. */
void sn_pprof_add_functions(struct sn_pprof_encoder *e);

/* Unless err: pack, gzip and append to out.  Frees the encoder's.  err, 0 or -ENOMEM. */
int sn_pprof_finish(struct sn_pprof_encoder *e, int err, struct sn_buf *out);
void sn_pprof_dispose(struct sn_pprof_encoder *e);

#endif

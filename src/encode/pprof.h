/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof.h - a profile as profile.proto, gzip'd.
 *
 * Runs in:  collector, in the child that writes the file.
 * Rules:    reference pprof.md §1: mapping 1 is the main binary, ids are dense from 1, every
 *           location has a line unless symbols were not wanted, time_nanos occurs once.
 */
#ifndef SN_ENCODE_PPROF_H
#define SN_ENCODE_PPROF_H

#include "base/buf.h"
#include "base/options.h"
#include "collect/profile.h"
#include "symbol/symbol.h"

/*
 * Append the profile to out, gzip'd.  symbolize none (or no symbolizer) gives locations without lines,
 * but pseudo frames keep their names.  0 or -ENOMEM.  Comments that start with '#' are shown by `pprof -comments` only.
 */
int sn_pprof_encode(const struct sn_profile *p, struct sn_symbolizer *s, enum sn_symbolize how, struct sn_buf *out);

/* gzip, level 1 as Go does.  0 or -ENOMEM. */
int sn_gzip(const void *data, size_t len, struct sn_buf *out);

/*
 * Append what was gzip'd (all members), at most max bytes.  0; -EBADMSG it is damaged or cut; -EFBIG; -ENOMEM.
 * After an error the buffer is as it was.
 */
int sn_gunzip(const void *data, size_t len, size_t max, struct sn_buf *out);

#endif

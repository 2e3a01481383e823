/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_symbolize.h - fill functions, lines and inlined calls into a profile that was written without.
 *
 * Runs in:  `sonde symbolize`; a process of its own, since the debug information may be damaged.
 */
#ifndef SN_ENCODE_PPROF_SYMBOLIZE_H
#define SN_ENCODE_PPROF_SYMBOLIZE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/options.h"

struct sn_pprof_filled {
	uint64_t looked_up, named;	/* locations; those that got other lines than they had */
#define SN_SYMBOL_COUNTER(field, name, what) uint64_t field;
#define SN_FILL_COUNTER(field, name, what) uint64_t field;
#include "base/counters.def"
	char why[160];			/* -EBADMSG: what is wrong with the profile, and where */
};

/*
 * Append the profile `in`, gzip'd or not, to out, gzip'd, with names for the locations that have none, or, when how is
 * SN_SYMBOLIZE_LINES, a function alone.  pid: of the process whose files are meant, while it lives; 0: those of that
 * name here.  A mapping whose file is gone or has another build id stays as it was.  Counters are put behind
 * the comments; all else stays.  0; -EBADMSG with filled->why; -EFBIG beyond 256 MiB; -ENOMEM.
 */
int sn_pprof_symbolize(const void *in, size_t len, pid_t pid, enum sn_symbolize how, struct sn_buf *out,
	struct sn_pprof_filled *filled);

#endif

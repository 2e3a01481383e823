/* SPDX-License-Identifier: Apache-2.0
 *
 * symbol.h - address → function, file, line and inlined calls.
 *
 * Runs in:  collector, in a child of its own when the files may be damaged.
 * Memory:   every string lives until sn_symbolizer_free; symbols of a batch too.
 * Sources:  DWARF by libdw (dwarf_begin_elf on files that we found: the image itself, or a
 *           separate debug file by build id, then debuglink), else .symtab, else .dynsym.
 *           Code in memory: /tmp/perf-PID.map.
 *           Nothing goes to the network, DEBUGINFOD_URLS or not.
 */
#ifndef SN_SYMBOL_SYMBOL_H
#define SN_SYMBOL_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/options.h"
#include "collect/module.h"


struct sn_symbolizer;

/* One function of a chain of inlined calls. */
struct sn_symbol_line {
	const char *name;		/* for people: demangled, as pprof shows it; never NULL */
	const char *system_name;	/* as in the symbol table: mangled; never NULL */
	const char *file;		/* "" when unknown */
	int32_t line, column;		/* 0 when unknown */
	int32_t start_line;		/* where the function begins, 0 when unknown */
};

struct sn_symbol {
	struct sn_symbol_line *line;	/* innermost inlined first, the physical function last */
	uint32_t count;			/* >= 1 */
	bool is_fallback;		/* named module+0xoffset only */
};

struct sn_symbol_counters {
#define SN_SYMBOL_COUNTER(field, name, what) uint64_t field;
#include "base/counters.def"
};

/* debug_root: "" in use; tests put a folder in front of /usr/lib/debug.  NULL when out of memory. */
struct sn_symbolizer *sn_symbolizer_new(enum sn_symbolize how, const char *debug_root);
void sn_symbolizer_free(struct sn_symbolizer *s);
/* Pass over symbol tables of more bytes than this, as if they were not there. */
void sn_symbolizer_limit(struct sn_symbolizer *s, uint64_t tables_max);

/*
 * Whose code in memory is asked about from here on: names for it are in /tmp/perf-PID.map, which is read anew then.
 * start_time: field 22 of its stat, 0 unknown.  pid 0: nobody's.
 */
void sn_symbolizer_set_process(struct sn_symbolizer *s, pid_t pid, uint64_t start_time);

/*
 * Look up n addresses (run-time addresses, callers already minus one) of one module; out[i]
 * belongs to addr[i].  Damaged files give fallback names and are counted.  0 or -ENOMEM.
 * libdw handles are closed again when it returns.
 */
int sn_symbolize_batch(struct sn_symbolizer *s, const struct sn_module *m, const uint64_t *addr, size_t n,
	struct sn_symbol *out);

const struct sn_symbol_counters *sn_symbolizer_counters(const struct sn_symbolizer *s);

/*
 * Demangle for people.  C++: without parameters and template arguments (foo::bar), as pprof shows
 * it; Rust (legacy and v0): whole path without the hash.  full: everything.  NULL when it is not
 * mangled; else malloc'd.
 */
char *sn_demangle(const char *mangled, bool full);

#endif

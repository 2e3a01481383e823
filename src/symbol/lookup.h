/* SPDX-License-Identifier: Apache-2.0
 *
 * lookup.h - what the parts of the symbolizer share: an open ELF file and the addresses of a batch.
 *
 * Runs in:  collector.  Private to src/symbol/.
 * Memory:   names and lines of a lookup live in the store; an open file is closed by whoever opened it.
 * Hostile files: every part sets `bad` of the file when what it read made no sense or was
 *           beyond a limit below, and goes on with what it has.
 */
#ifndef SN_SYMBOL_LOOKUP_H
#define SN_SYMBOL_LOOKUP_H

#include <elfutils/libdw.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "collect/module.h"
#include "symbol/store.h"
#include "symbol/symbol.h"

#define SN_NAME_MAX		(64u * 1024)		/* bytes of one name or path */
#define SN_SYMBOLS_MAX		(16u * 1024 * 1024)	/* in one symbol table */
#define SN_SECTIONS_MAX		(1u << 20)
#define SN_UNITS_MAX		(1u << 20)		/* compilation units of one file */
#define SN_RANGES_MAX		(16u * 1024 * 1024)	/* address ranges read in one batch */
#define SN_DIES_MAX		(50u * 1000 * 1000)	/* debug entries visited in one batch */
#define SN_SCOPE_DIES_MAX	(10u * 1000 * 1000)	/* … for what names stand in */
#define SN_INLINES_MAX		64			/* inlined calls at one address */
#define SN_COVERS_MAX		(64u * 1024 * 1024)	/* symbol × address pairs in one batch */
#define SN_LINE_TABLE_MAX	(32u << 20)		/* bytes of one unit's line program */
#define SN_LINE_TABLES_MAX	(128u << 20)		/* … of all that one batch reads */
#define SN_DEBUG_BYTES_MAX	(UINT64_C(4) << 30)	/* debug sections of one file, decompressed */
#define SN_VDSO_MAX		(1u << 20)

/* One address of a batch: a virtual address in the file, and what was found out about it. */
struct sn_lookup {
	uint64_t vaddr;
	const char *symbol;		/* by a symbol table, mangled; NULL: none */
	const char *file;		/* by the line table; NULL: unknown */
	int32_t lineno, column;
	struct sn_symbol_line *line;	/* by DWARF, innermost first; a name may be NULL */
	uint32_t count;			/* 0: DWARF knows no function */
};

/* One section, as far as names are concerned. */
struct sn_section {
	uint64_t addr, limit;
	bool exec;
};

/* An ELF file opened for the length of a batch, read by pread, never mapped. */
struct sn_elf {
	int fd;				/* our own, -1 for memory */
	uint8_t *copy;			/* our own, NULL for a file */
	Elf *elf;
	Dwarf *dwarf;			/* NULL until sn_elf_dwarf */
	uint64_t bytes;
	uint16_t machine;
	struct sn_section *section;	/* by index */
	size_t section_count;
	Elf_Scn *symtab, *dynsym, *debug_line, *debug_str, *debug_line_str;
	bool has_dwarf;			/* .debug_info is there, and within our limits */
	bool bad;
};

/* elf.c: 0, -errno, or -ENOEXEC with e->bad set.  After an error there is nothing to close. */
int sn_elf_open_fd(struct sn_elf *e, int fd);
int sn_elf_open_memory(struct sn_elf *e, const uint8_t *memory, uint64_t size);
void sn_elf_close(struct sn_elf *e);
/* Begin reading DWARF.  false: there is none, or it is damaged (e->bad). */
bool sn_elf_dwarf(struct sn_elf *e);

/* debugfile.c: where the separate debug file of an image was found, so that it is searched once. */
struct sn_debug_place {
	bool tried;
	char *path;			/* malloc'd; NULL: none */
	struct stat st;			/* when it was found right */
};

/* Open the separate debug file of main.  0, -ENOENT when there is none, -ENOMEM. */
int sn_debug_open(struct sn_elf *out, struct sn_debug_place *place, const struct sn_elf *main,
	const struct sn_image *image, const char *root);
/*
 * Open the file that dwz moved shared debug entries to and give it to e->dwarf; path is where
 * e is.  0 also when none is asked for; -ENOENT when it is missing; -ENOMEM.
 */
int sn_debug_open_alt(struct sn_elf *alt, struct sn_elf *e, const char *path, const char *root);

/*
 * elfsym.c, plt.c: name the lookups that have no symbol yet; l is sorted by address.
 * Damage sets e->bad.  0 or -ENOMEM.
 */
int sn_elf_symbols(struct sn_elf *e, Elf_Scn *table, struct sn_lookup *l, size_t n, struct sn_store *store);
int sn_elf_plt(struct sn_elf *e, struct sn_lookup *l, size_t n, struct sn_store *store);

/* dwarf.c: lines and inlined calls of the lookups, sorted by address.  0 or -ENOMEM. */
int sn_dwarf_lines(struct sn_elf *e, struct sn_lookup *l, size_t n, struct sn_store *store);

/* The first lookup at or above this address; n when there is none. */
size_t sn_lookup_from(const struct sn_lookup *l, size_t n, uint64_t vaddr);

/*
 * demangle.c: drop template arguments and parameters in place, and words in front of the name
 * (a return type) unless keep_words.  false: left as it was.
 */
bool sn_demangle_simplify(char *text, bool keep_words);

#endif

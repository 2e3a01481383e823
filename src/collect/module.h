/* SPDX-License-Identifier: Apache-2.0
 *
 * module.h - what is mapped executable in a process, and the files behind it.
 *
 * Runs in:  collector.  Everything read from files is hostile: bounds first.
 * Memory:   images are shared by all processes (same device and inode) and counted;
 *           modules belong to the struct sn_modules of their process and live as long
 *           as it does, so that a sample of an unloaded module keeps its name.
 * Files are read by pread, never mapped: a file cut short by an upgrade is an error here,
 * not a SIGBUS.
 */
#ifndef SN_COLLECT_MODULE_H
#define SN_COLLECT_MODULE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "segment/table.h"

#define SN_BUILD_ID_MAX	64
#define SN_IMAGE_FDS_MAX	512u		/* descriptors kept open; further images are reopened for each read */
#define SN_MODULES_MAX		16384u		/* of one process, ever; mappings beyond are passed over and counted */

enum sn_module_kind {
	SN_MODULE_FILE,		/* an ELF file */
	SN_MODULE_VDSO,		/* [vdso]; its image is the collector's own vdso, the same kernel's */
	SN_MODULE_ANON,		/* JIT code, memfd and other memory without an ELF file behind it */
};

/* A compact unwind table (collect/table.h). */
struct sn_table {
	uint8_t *data;			/* bytes of it, a multiple of SN_TABLE_ALIGN */
	uint32_t bytes;
	uint32_t index, rows, rules;	/* where they begin in data */
	uint32_t nbuckets, nrows, nrules;
	uint32_t shift;
	uint64_t vaddr, limit;		/* virtual addresses of bucket 0 and behind the last code covered */

	/* What was met. */
	uint64_t cfi_bytes;		/* of the section it was made of */
	uint64_t fdes, bad_fdes;	/* … that were read, that were refused */
	uint64_t rows_total, rows_bad;	/* before they were merged; … that no rule can express */
	uint64_t text_bytes, text_bad;	/* code that rows cover, and that of the bad ones */
};

/* One file, whatever processes it is mapped in. */
struct sn_image {
	uint32_t refs;
	uint64_t dev, ino;
	char *path;			/* as first seen, without " (deleted)" */
	char *opened;			/* the name that could be opened, to do so again; NULL if none */
	int fd;				/* open for reading; -1: not to be had, the vdso, or over SN_IMAGE_FDS_MAX */
	int err;			/* 0, or why headers could not be read (-errno, -ENOEXEC not ELF64) */
	uint16_t machine;		/* 0: that of this program; tests may set another before it is parsed */
	uint16_t type;			/* ET_EXEC, ET_DYN */
	uint64_t file_bytes;
	Elf64_Phdr *phdr;		/* phnum of them, checked against file_bytes */
	uint16_t phnum;
	uint8_t build_id[SN_BUILD_ID_MAX];
	uint8_t build_id_len;		/* 0: none */
	const uint8_t *memory;		/* the vdso: the image itself, file_bytes long; else NULL */

	/* .eh_frame_hdr and .eh_frame by virtual address; loaded by sn_image_load_cfi. */
	int cfi_state;			/* 0 not tried, 1 loaded, negative errno */
	uint64_t hdr_vaddr, hdr_bytes;
	uint8_t *hdr;
	uint64_t frame_vaddr, frame_bytes;
	uint8_t *frame;

	/* Its unwind table in the store (collect/tables.c). */
	int table_state;		/* 0 not tried, 1 there, negative errno; -ENODATA: the file has no CFI */
	uint32_t table_at;
	struct sn_table table;		/* data is NULL once it is there */
	struct sn_image *next;		/* in the list of all images */
};

/* All images, with the bytes that they hold. */
struct sn_images {
	struct sn_image *first;
	size_t held_bytes;
	uint32_t open_fds;
	struct sn_tables *tables;	/* the store of unwind tables; NULL: none */
	uint64_t tables_made;		/* so many were, one after the other */
	uint64_t cfi_bytes_most;	/* of a file, to make a table of it; 0: no bound but 256 MiB */
};

/* One executable mapping of one image, as long as it was there. */
struct sn_module {
	uint64_t start, limit, offset;	/* of the r-xp line of /proc/PID/maps */
	uint64_t dev, ino;		/* of the same line */
	uint64_t bias;			/* run-time address minus virtual address in the file */
	enum sn_module_kind kind;
	bool is_main;			/* the executable of the process */
	bool stays;			/* it can never be unloaded */
	bool readable;			/* its instructions may be looked at */
	char *path;			/* without " (deleted)"; "[vdso]", "[anon]" … for the others */
	struct sn_image *image;		/* NULL for SN_MODULE_ANON */
	uint32_t index;			/* in its struct sn_modules */
	bool gone;			/* not in the newest maps */
};

struct sn_modules {
	struct sn_module **all;		/* all that ever were, in order of appearance */
	uint32_t count, cap;
	struct sn_module **now;		/* those in the newest maps, by start */
	uint32_t now_count, now_cap;
	struct sn_images *images;
	pid_t pid;
};

void sn_modules_init(struct sn_modules *m, struct sn_images *images, pid_t pid);
void sn_modules_free(struct sn_modules *m);

/*
 * Take over a text of /proc/PID/maps (len bytes, need not end in a NUL).  Mappings that were
 * known (same range, offset and file) keep their module.  exe is the path of the main
 * executable, or NULL.  Lines that do not parse (also a last line without its newline: it was cut)
 * are passed over and counted in *bad_lines (may be NULL).  0, or -ENOMEM with the old set left.
 */
int sn_modules_update(struct sn_modules *m, const char *text, size_t len, const char *exe, uint32_t *bad_lines);

/* The modules of a forked child are at first those of its parent; m is as sn_modules_init left it. */
int sn_modules_copy(struct sn_modules *m, const struct sn_modules *from);

/* The module now at this address, NULL when there is none. */
struct sn_module *sn_modules_find(const struct sn_modules *m, uint64_t addr);

/* The main executable's module, NULL when none was seen. */
struct sn_module *sn_modules_main(const struct sn_modules *m);

/*
 * The image of a path.  Opened through /proc/PID/root, /proc/PID/map_files and the path itself,
 * taken only if device and inode are those that the maps line said.  Never NULL but out of
 * memory: an image that cannot be read has err set.
 */
struct sn_image *sn_image_get(struct sn_images *all, pid_t pid, const char *path, uint64_t dev, uint64_t ino,
	uint64_t map_start, uint64_t map_limit);
struct sn_image *sn_image_vdso(struct sn_images *all);
void sn_image_put(struct sn_images *all, struct sn_image *image);

/* For tests and fuzzing: parse what is open at fd (or the size bytes of memory).  0 or image->err. */
int sn_image_parse(struct sn_image *image);

/* A descriptor for reading the file, the caller's to close; -ENOENT for the vdso, or -errno. */
int sn_image_open(const struct sn_image *image);

/* Read len bytes at offset of the file.  0, or -EIO when the file is shorter, or -errno. */
int sn_image_read(const struct sn_image *image, uint64_t offset, void *out, size_t len);

/* The section headers, malloc'd, *n of them.  NULL when there are none that can be used. */
Elf64_Shdr *sn_image_sections(const struct sn_image *image, uint32_t *n);

/* Load .eh_frame_hdr and .eh_frame (at most 256 MiB each).  0 or -errno; remembered. */
int sn_image_load_cfi(struct sn_images *all, struct sn_image *image);

/* Lower-case hex of the build id; "" when there is none.  Returns out. */
char *sn_image_build_id_hex(const struct sn_image *image, char out[2 * SN_BUILD_ID_MAX + 1]);

#endif

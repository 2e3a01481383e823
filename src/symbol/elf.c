/* SPDX-License-Identifier: Apache-2.0
 *
 * elf.c - open an ELF file for a batch and find the sections that name addresses.
 *
 * Runs in:  collector.
 * Memory:   libelf reads sections by pread (ELF_C_READ) into its own memory, freed with the
 *           handle; nothing is mapped, so that a file cut short is an error and no SIGBUS.
 * Hostile files: sections are checked against the file's size, and the sizes that compressed
 *           debug sections claim against our limits, before libdw unpacks them all at once.
 */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "symbol/lookup.h"

/* Deflate makes at most 1032 bytes of one. */
#define RATIO_MAX 1040

static bool
starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Bytes of a debug section when unpacked; UINT64_MAX when it lies. */
static uint64_t
unpacked_bytes(Elf_Scn *scn, const GElf_Shdr *sh, const char *name)
{
	uint64_t size = sh->sh_size;

	if (sh->sh_flags & SHF_COMPRESSED) {
		GElf_Chdr ch;

		if (gelf_getchdr(scn, &ch) == NULL)
			return UINT64_MAX;
		size = ch.ch_size;
	} else if (starts_with(name, ".zdebug")) {
		ssize_t n = dwelf_scn_gnu_compressed_size(scn);

		if (n < 0)
			return UINT64_MAX;
		size = (uint64_t)n;
	}
	return size / RATIO_MAX > sh->sh_size ? UINT64_MAX : size;
}

/* false: there is one of that name; libdw may take the other, and we would have checked the wrong one. */
static bool
note_debug(struct sn_elf *e, Elf_Scn *scn, const char *name)
{
	Elf_Scn **place = NULL;

	e->has_dwarf |= strcmp(name, "_info") == 0;
	if (strcmp(name, "_line") == 0)
		place = &e->debug_line;
	else if (strcmp(name, "_str") == 0)
		place = &e->debug_str;
	else if (strcmp(name, "_line_str") == 0)
		place = &e->debug_line_str;
	if (place == NULL)
		return true;
	if (*place != NULL)
		return false;
	*place = scn;
	return true;
}

/* Take note of one section.  false: its header lies about the file. */
static bool
scan_section(struct sn_elf *e, Elf_Scn *scn, const GElf_Shdr *sh, const char *name, uint64_t *debug_bytes)
{
	struct sn_section *s = &e->section[elf_ndxscn(scn)];

	if ((sh->sh_flags & SHF_ALLOC) && sh->sh_addr + sh->sh_size >= sh->sh_addr)
		*s = (struct sn_section){ sh->sh_addr, sh->sh_addr + sh->sh_size, (sh->sh_flags & SHF_EXECINSTR) != 0 };
	if (sh->sh_type == SHT_NOBITS)
		return true;
	if (sh->sh_offset > e->bytes || sh->sh_size > e->bytes - sh->sh_offset)
		return false;
	if (sh->sh_type == SHT_SYMTAB && e->symtab == NULL)
		e->symtab = scn;
	if (sh->sh_type == SHT_DYNSYM && e->dynsym == NULL)
		e->dynsym = scn;
	if (starts_with(name, ".debug_") || starts_with(name, ".zdebug_")) {
		uint64_t n = unpacked_bytes(scn, sh, name);

		if (n > SN_DEBUG_BYTES_MAX - *debug_bytes)
			return false;
		*debug_bytes += n;
		return note_debug(e, scn, strchr(name, '_'));
	}
	return true;
}

static int
scan_sections(struct sn_elf *e)
{
	uint64_t debug_bytes = 0;
	size_t strings;
	Elf_Scn *scn = NULL;
	bool lies = false;

	if (elf_getshdrnum(e->elf, &e->section_count) < 0 || e->section_count > SN_SECTIONS_MAX)
		return -ENOEXEC;
	if (e->section_count == 0)
		return 0;
	if (elf_getshdrstrndx(e->elf, &strings) < 0)
		return -ENOEXEC;
	e->section = calloc(e->section_count, sizeof(*e->section));
	if (e->section == NULL)
		return -ENOMEM;
	while ((scn = elf_nextscn(e->elf, scn)) != NULL) {
		GElf_Shdr sh;
		const char *name;

		if (elf_ndxscn(scn) >= e->section_count || gelf_getshdr(scn, &sh) == NULL)
			return -ENOEXEC;
		name = elf_strptr(e->elf, strings, sh.sh_name);
		lies |= !scan_section(e, scn, &sh, name ? name : "", &debug_bytes);
	}
	if (lies) {
		e->bad = true;
		e->has_dwarf = false;	/* libdw would read these sections without asking */
	}
	return 0;
}

static int
open_handle(struct sn_elf *e)
{
	GElf_Ehdr eh;
	int err;

	if (e->elf == NULL || elf_kind(e->elf) != ELF_K_ELF || gelf_getclass(e->elf) != ELFCLASS64 ||
	    gelf_getehdr(e->elf, &eh) == NULL) {
		err = -ENOEXEC;
	} else {
		e->machine = eh.e_machine;
		/* A table of sections behind the end: libelf shows none, and the file is cut short. */
		e->bad = eh.e_shoff > e->bytes || (uint64_t)eh.e_shnum * eh.e_shentsize > e->bytes - eh.e_shoff;
		err = scan_sections(e);
	}
	if (err < 0) {
		sn_elf_close(e);
		e->bad = err == -ENOEXEC;
	}
	return err;
}

int
sn_elf_open_fd(struct sn_elf *e, int fd)
{
	struct stat st;

	*e = (struct sn_elf){ .fd = -1 };
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr)) {
		e->bad = true;
		return -ENOEXEC;
	}
	e->bytes = (uint64_t)st.st_size;
	e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (e->fd < 0)
		return -errno;
	e->elf = elf_begin(e->fd, ELF_C_READ, NULL);
	return open_handle(e);
}

int
sn_elf_open_memory(struct sn_elf *e, const uint8_t *memory, uint64_t size)
{
	*e = (struct sn_elf){ .fd = -1 };
	if (size < sizeof(Elf64_Ehdr) || size > SN_VDSO_MAX) {
		e->bad = true;
		return -ENOEXEC;
	}
	e->bytes = size;
	e->copy = malloc(size);		/* libelf may write into what it is given */
	if (e->copy == NULL)
		return -ENOMEM;
	memcpy(e->copy, memory, size);
	e->elf = elf_memory((char *)e->copy, size);
	return open_handle(e);
}

void
sn_elf_close(struct sn_elf *e)
{
	if (e->dwarf != NULL)
		(void)dwarf_end(e->dwarf);
	if (e->elf != NULL)
		(void)elf_end(e->elf);
	if (e->fd >= 0)
		(void)close(e->fd);
	free(e->copy);
	free(e->section);
	*e = (struct sn_elf){ .fd = -1 };
}

/* libdw reads strings to their end without asking where the section ends. */
static bool
strings_end(Elf_Scn *scn)
{
	Elf_Data *data = scn == NULL ? NULL : elf_getdata(scn, NULL);

	if (data == NULL || data->d_buf == NULL || data->d_size == 0)
		return true;
	return ((const char *)data->d_buf)[data->d_size - 1] == '\0';
}

/* libdw would end us by exit(), with what the parent left in its buffers and in its exit handlers. */
__attribute__((noreturn)) static void
out_of_memory(void)
{
	sn_log(SN_LOG_STDERR, "out of memory while debug information was read");
	_exit(125);
}

bool
sn_elf_dwarf(struct sn_elf *e)
{
	if (e->dwarf != NULL || !e->has_dwarf)
		return e->dwarf != NULL;
	e->dwarf = dwarf_begin_elf(e->elf, DWARF_C_READ, NULL);	/* unpacks the sections, too */
	if (e->dwarf != NULL && (!strings_end(e->debug_str) || !strings_end(e->debug_line_str))) {
		(void)dwarf_end(e->dwarf);
		e->dwarf = NULL;
	}
	if (e->dwarf == NULL) {
		e->bad = true;
		e->has_dwarf = false;
		return false;
	}
	(void)dwarf_new_oom_handler(e->dwarf, out_of_memory);
	return true;
}

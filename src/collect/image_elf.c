/* SPDX-License-Identifier: Apache-2.0
 *
 * image_elf.c - what is read from an ELF file: program headers, build id, .eh_frame (see module.h).
 *
 * Runs in:  collector.  Nothing in the file is trusted: each offset and size is checked against the size
 *           that fstat gave, each count is bounded, and reads go through sn_image_read.
 * Memory:   phdr, hdr and frame belong to the image; hdr and frame are counted in sn_images.held_bytes.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collect/module.h"

#define NOTE_BYTES_MAX	(64u << 10)	/* read of one note segment; the build id comes in the first 100 bytes */
#define NOTES_MAX	32u		/* note segments or sections that are looked at */
#define SECTIONS_MAX	65536u
#define CFI_BYTES_MAX	(256u << 20)

#if defined(__x86_64__)
#define OUR_MACHINE	EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE	EM_AARCH64
#endif

/* Pointer encodings of .eh_frame_hdr (Linux Standard Base, exception frames). */
#define ENC_OMIT	0xffu
#define ENC_UDATA4	0x03u
#define ENC_UDATA8	0x04u
#define ENC_SDATA4	0x0bu
#define ENC_SDATA8	0x0cu
#define ENC_PCREL	0x10u
#define ENC_DATAREL	0x30u

#define HDR_FIXED	4u		/* version and three encodings */

static bool
wraps(uint64_t at, uint64_t len)
{
	return at + len < at;
}

static bool
is_our_elf(const Elf64_Ehdr *h, uint16_t machine)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
		h->e_ident[EI_DATA] == (BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB) &&
		h->e_machine == machine && (h->e_type == ET_EXEC || h->e_type == ET_DYN);
}

static int
read_phdrs(struct sn_image *image, const Elf64_Ehdr *h)
{
	uint64_t bytes = (uint64_t)h->e_phnum * sizeof(Elf64_Phdr);
	Elf64_Phdr *phdr;
	int err;

	/* PN_XNUM: more than 65534 segments is not a file that anybody maps. */
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum == PN_XNUM ||
	    h->e_phoff > image->file_bytes || bytes > image->file_bytes - h->e_phoff)
		return -ENOEXEC;
	phdr = malloc(bytes);
	if (phdr == NULL)
		return -ENOMEM;
	err = sn_image_read(image, h->e_phoff, phdr, bytes);
	for (unsigned i = 0; i < h->e_phnum && err == 0; i++) {
		if (wraps(phdr[i].p_offset, phdr[i].p_filesz) || wraps(phdr[i].p_vaddr, phdr[i].p_memsz))
			err = -ENOEXEC;
	}
	if (err < 0) {
		free(phdr);
		return err;
	}
	image->phdr = phdr;
	image->phnum = h->e_phnum;
	return 0;
}

/* The build id among len bytes of notes; align is 4 or 8. */
static void
scan_notes(struct sn_image *image, const uint8_t *note, size_t len, size_t align)
{
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		uint64_t name, desc, next;
		Elf64_Nhdr h;

		memcpy(&h, note + at, sizeof(h));
		name = at + sizeof(h);
		desc = (name + h.n_namesz + align - 1) & ~(uint64_t)(align - 1);
		next = (desc + h.n_descsz + align - 1) & ~(uint64_t)(align - 1);
		if (desc > len || h.n_descsz > len - desc)
			return;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && memcmp(note + name, "GNU", 4) == 0 &&
		    h.n_descsz > 0 && h.n_descsz <= SN_BUILD_ID_MAX) {
			memcpy(image->build_id, note + desc, h.n_descsz);
			image->build_id_len = (uint8_t)h.n_descsz;
			return;
		}
		if (next >= len)
			return;
		at = (size_t)next;
	}
}

static void
read_notes(struct sn_image *image, uint64_t offset, uint64_t bytes, uint64_t align)
{
	size_t len = bytes < NOTE_BYTES_MAX ? (size_t)bytes : NOTE_BYTES_MAX;
	uint8_t *note;

	if (offset > image->file_bytes)
		return;
	if (len > image->file_bytes - offset)
		len = (size_t)(image->file_bytes - offset);
	note = malloc(len + 1);
	if (note == NULL)
		return;
	if (sn_image_read(image, offset, note, len) == 0)
		scan_notes(image, note, len, align == 8 ? 8 : 4);
	free(note);
}

/* Sections are a help that a file need not have, so that their want is no error of the image. */
Elf64_Shdr *
sn_image_sections(const struct sn_image *image, uint32_t *n)
{
	Elf64_Shdr first, *shdr;
	Elf64_Ehdr h;
	uint64_t num;

	*n = 0;
	if (sn_image_read(image, 0, &h, sizeof(h)) < 0 || h.e_shoff == 0 || h.e_shentsize != sizeof(Elf64_Shdr) ||
	    sn_image_read(image, h.e_shoff, &first, sizeof(first)) < 0)
		return NULL;
	num = h.e_shnum != 0 ? h.e_shnum : first.sh_size;
	if (num == 0 || num > SECTIONS_MAX)
		return NULL;
	shdr = malloc((size_t)num * sizeof(*shdr));
	if (shdr != NULL && sn_image_read(image, h.e_shoff, shdr, (size_t)num * sizeof(*shdr)) < 0) {
		free(shdr);
		shdr = NULL;
	}
	*n = shdr == NULL ? 0 : (uint32_t)num;
	return shdr;
}

static void
find_build_id(struct sn_image *image)
{
	unsigned looked = 0;
	Elf64_Shdr *shdr;
	uint32_t n;

	for (unsigned i = 0; i < image->phnum && image->build_id_len == 0 && looked < NOTES_MAX; i++) {
		if (image->phdr[i].p_type != PT_NOTE)
			continue;
		looked++;
		read_notes(image, image->phdr[i].p_offset, image->phdr[i].p_filesz, image->phdr[i].p_align);
	}
	if (image->build_id_len > 0)
		return;
	/* Some linker scripts leave the note out of the program headers. */
	shdr = sn_image_sections(image, &n);
	looked = 0;
	for (uint32_t i = 0; i < n && image->build_id_len == 0 && looked < NOTES_MAX; i++) {
		if (shdr[i].sh_type != SHT_NOTE)
			continue;
		looked++;
		read_notes(image, shdr[i].sh_offset, shdr[i].sh_size, shdr[i].sh_addralign);
	}
	free(shdr);
}

int
sn_image_parse(struct sn_image *image)
{
	Elf64_Ehdr h;
	struct stat st;
	int err = 0;

	if (image->machine == 0)
		image->machine = OUR_MACHINE;
	if (image->memory == NULL) {
		if (image->fd < 0 || fstat(image->fd, &st) < 0)
			err = image->fd < 0 ? -EBADF : -errno;
		else
			image->file_bytes = st.st_size < 0 ? 0 : (uint64_t)st.st_size;
	}
	if (err == 0)
		err = sn_image_read(image, 0, &h, sizeof(h)) < 0 || !is_our_elf(&h, image->machine) ? -ENOEXEC : 0;
	if (err == 0)
		err = read_phdrs(image, &h);
	image->err = err;
	if (err < 0)
		return err;
	image->type = h.e_type;
	find_build_id(image);
	return 0;
}

/* One encoded pointer at `at` of hdr; *at moves behind it.  0, -EBADMSG cut short, -ENOTSUP. */
static int
decode_pointer(const struct sn_image *image, uint8_t enc, uint64_t *at, uint64_t *out)
{
	uint64_t here = image->hdr_vaddr + *at, base = 0, left = image->hdr_bytes - *at;
	unsigned size = (enc & 0x07) == ENC_UDATA4 ? 4 : 8;
	uint64_t value = 0;
	int32_t s4;

	if ((enc & 0x0f) != ENC_UDATA4 && (enc & 0x0f) != ENC_SDATA4 && (enc & 0x0f) != ENC_UDATA8 &&
	    (enc & 0x0f) != ENC_SDATA8 && (enc & 0x0f) != 0)
		return -ENOTSUP;
	if ((enc & 0xf0) == ENC_PCREL)
		base = here;
	else if ((enc & 0xf0) == ENC_DATAREL)
		base = image->hdr_vaddr;
	else if ((enc & 0xf0) != 0)
		return -ENOTSUP;
	if (left < size)
		return -EBADMSG;
	memcpy(&value, image->hdr + *at, size);
	if ((enc & 0x0f) == ENC_SDATA4) {
		memcpy(&s4, image->hdr + *at, sizeof(s4));
		value = (uint64_t)(int64_t)s4;
	}
	*at += size;
	*out = base + value;
	return 0;
}

/* Check .eh_frame_hdr and find out where .eh_frame begins. */
static int
check_hdr(const struct sn_image *image, uint64_t *frame_vaddr)
{
	uint64_t at = HDR_FIXED, count;
	int err;

	if (image->hdr_bytes < HDR_FIXED || image->hdr[0] != 1)
		return -EBADMSG;
	/* Only the sorted table of pairs that every linker writes; without one there is nothing to search. */
	if (image->hdr[1] == ENC_OMIT || image->hdr[2] != ENC_UDATA4 || image->hdr[3] != (ENC_DATAREL | ENC_SDATA4))
		return -ENOTSUP;
	err = decode_pointer(image, image->hdr[1], &at, frame_vaddr);
	if (err == 0)
		err = decode_pointer(image, image->hdr[2], &at, &count);
	if (err == 0 && count > (image->hdr_bytes - at) / 8)
		err = -EBADMSG;
	return err;
}

/* Where .eh_frame is in the file: its section says so, else it ends with its segment. */
static int
locate_frame(const struct sn_image *image, uint64_t vaddr, uint64_t *offset, uint64_t *bytes)
{
	uint32_t n;
	Elf64_Shdr *shdr = sn_image_sections(image, &n);
	bool found = false;

	for (uint32_t i = 0; i < n && !found; i++) {
		const Elf64_Shdr *s = &shdr[i];

		if (!(s->sh_flags & SHF_ALLOC) || s->sh_type == SHT_NOBITS || vaddr < s->sh_addr ||
		    vaddr - s->sh_addr >= s->sh_size || wraps(s->sh_offset, s->sh_size))
			continue;
		*offset = s->sh_offset + (vaddr - s->sh_addr);
		*bytes = s->sh_size - (vaddr - s->sh_addr);
		found = true;
	}
	free(shdr);
	for (unsigned i = 0; i < image->phnum && !found; i++) {
		const Elf64_Phdr *p = &image->phdr[i];

		if (p->p_type != PT_LOAD || vaddr < p->p_vaddr || vaddr - p->p_vaddr >= p->p_filesz)
			continue;
		*offset = p->p_offset + (vaddr - p->p_vaddr);
		*bytes = p->p_filesz - (vaddr - p->p_vaddr);
		found = true;
	}
	return found ? 0 : -EBADMSG;
}

/* Read len bytes into fresh memory that is counted. */
static int
read_held(struct sn_images *all, const struct sn_image *image, uint64_t offset, uint64_t len, uint8_t **out)
{
	uint8_t *data;
	int err;

	if (len > CFI_BYTES_MAX)
		return -EFBIG;
	if (offset > image->file_bytes || len > image->file_bytes - offset)
		return -EIO;
	data = malloc(len > 0 ? (size_t)len : 1);
	if (data == NULL)
		return -ENOMEM;
	err = sn_image_read(image, offset, data, (size_t)len);
	if (err < 0) {
		free(data);
		return err;
	}
	*out = data;
	all->held_bytes += (size_t)len;
	return 0;
}

static int
load_cfi(struct sn_images *all, struct sn_image *image)
{
	const Elf64_Phdr *p = NULL;
	uint64_t offset = 0, vaddr = 0, bytes = 0;
	int err;

	if (image->err < 0)
		return image->err;
	for (unsigned i = 0; i < image->phnum && p == NULL; i++) {
		if (image->phdr[i].p_type == PT_GNU_EH_FRAME)
			p = &image->phdr[i];
	}
	if (p == NULL)
		return -ENOTSUP;
	err = read_held(all, image, p->p_offset, p->p_filesz, &image->hdr);
	if (err < 0)
		return err;
	image->hdr_vaddr = p->p_vaddr;
	image->hdr_bytes = p->p_filesz;
	err = check_hdr(image, &vaddr);
	if (err == 0)
		err = locate_frame(image, vaddr, &offset, &bytes);
	if (err == 0 && wraps(vaddr, bytes))
		err = -EBADMSG;
	if (err == 0)
		err = read_held(all, image, offset, bytes, &image->frame);
	if (err < 0)
		return err;
	image->frame_vaddr = vaddr;
	image->frame_bytes = bytes;
	return 0;
}

int
sn_image_load_cfi(struct sn_images *all, struct sn_image *image)
{
	int err;

	if (image->cfi_state != 0)
		return image->cfi_state < 0 ? image->cfi_state : 0;
	err = load_cfi(all, image);
	if (err < 0 && image->hdr != NULL) {
		free(image->hdr);
		image->hdr = NULL;
		all->held_bytes -= (size_t)image->hdr_bytes;
	}
	image->cfi_state = err < 0 ? err : 1;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * table_image.c - the table of a file or of the vdso: where its call frame information and its code are (see table.h).
 *
 * Runs in:  collector.  Offsets and sizes are checked against the file's size, which also bounds what is read.
 * Memory:   the sections are read into memory of their own, which is freed once the table is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "collect/cfi.h"
#include "collect/table_known.h"

#define CFI_BYTES_MAX	(256u << 20)
#define TEXT_SPAN	(256u << 20)	/* code may lie as far apart as this, or as 16 times the file's size */
#define DEFLATE_MAX	1032u		/* zlib cannot make more of one byte */
#define ENC_OMIT	0xffu

/* A section's bytes. */
struct bytes {
	uint8_t *data;
	uint64_t len, vaddr;
};

static int
read_bytes(const struct sn_image *image, uint64_t offset, uint64_t len, uint64_t most, struct bytes *out)
{
	int err;

	if (len > most)
		return -EFBIG;
	if (offset > image->file_bytes || len > image->file_bytes - offset)
		return -EIO;
	out->data = malloc(len > 0 ? (size_t)len : 1);
	if (out->data == NULL)
		return -ENOMEM;
	out->len = len;
	err = sn_image_read(image, offset, out->data, (size_t)len);
	if (err < 0) {
		free(out->data);
		out->data = NULL;
	}
	return err;
}

/* What a section of SHF_COMPRESSED was. */
static int
inflate_bytes(struct bytes *b, uint64_t most)
{
	struct bytes plain = { .vaddr = b->vaddr };
	Elf64_Chdr h;
	uLongf len;

	if (b->len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, b->data, sizeof(h));
	if (h.ch_type != ELFCOMPRESS_ZLIB)
		return -ENOTSUP;
	if (h.ch_size > most || h.ch_size / DEFLATE_MAX > b->len)
		return -EFBIG;
	plain.data = malloc(h.ch_size > 0 ? (size_t)h.ch_size : 1);
	if (plain.data == NULL)
		return -ENOMEM;
	len = (uLongf)h.ch_size;
	if (uncompress(plain.data, &len, b->data + sizeof(h), (uLong)(b->len - sizeof(h))) != Z_OK) {
		free(plain.data);
		return -EBADMSG;
	}
	plain.len = len;
	free(b->data);
	*b = plain;
	return 0;
}

static int
read_section(const struct sn_image *image, const Elf64_Shdr *s, uint64_t most, struct bytes *out)
{
	int err = read_bytes(image, s->sh_offset, s->sh_size, most, out);

	out->vaddr = s->sh_addr;
	if (err == 0 && (s->sh_flags & SHF_COMPRESSED)) {
		err = inflate_bytes(out, most);
		if (err < 0) {
			free(out->data);
			out->data = NULL;
		}
	}
	return err;
}

/* Where .eh_frame begins, by .eh_frame_hdr. */
static bool
frame_by_hdr(const struct sn_image *image, uint64_t *vaddr)
{
	const Elf64_Phdr *p = NULL;
	struct sn_span s;
	uint8_t head[16];

	for (unsigned i = 0; i < image->phnum && p == NULL; i++) {
		if (image->phdr[i].p_type == PT_GNU_EH_FRAME)
			p = &image->phdr[i];
	}
	if (p == NULL || sn_image_read(image, p->p_offset, head, sizeof(head)) < 0)
		return false;
	s = (struct sn_span){ .p = head + 4, .left = sizeof(head) - 4, .vaddr = p->p_vaddr + 4 };
	*vaddr = sn_take_pointer(&s, head[1], true);
	return head[0] == 1 && head[1] != ENC_OMIT && !s.bad;
}

/* Without sections: to the end of its segment, but zeros end it. */
static int
read_frame_by_hdr(const struct sn_image *image, uint64_t most, struct bytes *out)
{
	struct sn_cfi_block b = { 0 };
	uint64_t vaddr;
	int err;

	if (!frame_by_hdr(image, &vaddr))
		return -ENODATA;
	for (unsigned i = 0; i < image->phnum; i++) {
		const Elf64_Phdr *p = &image->phdr[i];
		uint64_t at = vaddr - p->p_vaddr;

		if (p->p_type != PT_LOAD || vaddr < p->p_vaddr || at >= p->p_filesz)
			continue;
		err = read_bytes(image, p->p_offset + at, p->p_filesz - at, most, out);
		if (err < 0)
			return err;
		out->vaddr = vaddr;
		b.data = out->data;
		b.bytes = out->len;
		out->len = sn_cfi_end(&b);
		return 0;
	}
	return -ENODATA;
}

/* The sections of one file, with their names. */
struct sections {
	Elf64_Shdr *all;
	uint32_t n;
	struct bytes names;
};

static void
open_sections(const struct sn_image *image, struct sections *s)
{
	Elf64_Ehdr h;
	uint32_t names;

	*s = (struct sections){ 0 };
	s->all = sn_image_sections(image, &s->n);
	if (s->all == NULL || sn_image_read(image, 0, &h, sizeof(h)) < 0)
		return;
	names = h.e_shstrndx == SHN_XINDEX ? s->all[0].sh_link : h.e_shstrndx;
	if (names < s->n)
		(void)read_bytes(image, s->all[names].sh_offset, s->all[names].sh_size, CFI_BYTES_MAX, &s->names);
}

static void
close_sections(struct sections *s)
{
	free(s->all);
	free(s->names.data);
}

static const Elf64_Shdr *
find_section(const struct sections *s, const char *name)
{
	size_t len = strlen(name) + 1;

	for (uint32_t i = 0; i < s->n && s->names.data != NULL; i++) {
		uint64_t at = s->all[i].sh_name;

		if (s->all[i].sh_type != SHT_NOBITS && s->names.len >= len && at <= s->names.len - len &&
		    memcmp(s->names.data + at, name, len) == 0)
			return &s->all[i];
	}
	return NULL;
}

/* Where code is, as far as the file has bytes of it. */
static int
find_text(const struct sn_image *image, struct sn_cfi_block *b)
{
	uint64_t lo = UINT64_MAX, hi = 0, span;

	for (unsigned i = 0; i < image->phnum; i++) {
		const Elf64_Phdr *p = &image->phdr[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || p->p_filesz == 0)
			continue;
		if (p->p_offset > image->file_bytes || p->p_filesz > image->file_bytes - p->p_offset ||
		    p->p_vaddr + p->p_filesz < p->p_vaddr)
			return -EBADMSG;
		lo = p->p_vaddr < lo ? p->p_vaddr : lo;
		hi = p->p_vaddr + p->p_filesz > hi ? p->p_vaddr + p->p_filesz : hi;
	}
	if (hi == 0)
		return -ENODATA;
	span = hi - lo;
	b->text_lo = lo;
	b->text_hi = hi;
	return span > TEXT_SPAN && span / 16 > image->file_bytes ? -E2BIG : 0;
}

/* .eh_frame and .debug_frame, what there is of them: objects of C without the one may have the other. */
static int
build(const struct sn_image *image, const struct sections *s, uint64_t most, struct sn_cfi_block *text,
	struct sn_table *out)
{
	const Elf64_Shdr *eh = find_section(s, ".eh_frame"), *debug = find_section(s, ".debug_frame");
	struct bytes bytes[2] = { { 0 }, { 0 } };
	struct sn_known_code known[SN_KNOWN_MAX];
	struct sn_cfi_block block[2];
	unsigned n = 0, nknown;
	int err = eh != NULL ? read_section(image, eh, most, &bytes[0]) : read_frame_by_hdr(image, most, &bytes[0]);

	if (debug != NULL && (err == 0 || err == -ENODATA)) {
		int other = read_section(image, debug, most, &bytes[1]);

		err = err < 0 || other == -ENOMEM ? other : err;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (bytes[i].data == NULL)
			continue;
		block[n] = *text;
		block[n].data = bytes[i].data;
		block[n].bytes = bytes[i].len;
		block[n].vaddr = bytes[i].vaddr;
		block[n].is_debug_frame = i == 1;
		n++;
	}
	if (err == 0) {
		nknown = sn_known_code(image, find_section(s, ".plt"), find_section(s, ".plt.sec"), known);
		err = sn_table_build(block, n, known, nknown, out);
	}
	free(bytes[0].data);
	free(bytes[1].data);
	return err;
}

int
sn_table_of_image(struct sn_images *all, struct sn_image *image, struct sn_table *out)
{
	struct sn_cfi_block text = { .machine = image->machine };
	struct sections s;
	int err;

	*out = (struct sn_table){ 0 };
	if (image->err < 0)
		return image->err;
	err = find_text(image, &text);
	if (err < 0)
		return err;
	open_sections(image, &s);
	err = build(image, &s, all->cfi_bytes_most != 0 ? all->cfi_bytes_most : CFI_BYTES_MAX, &text, out);
	close_sections(&s);
	return err;
}

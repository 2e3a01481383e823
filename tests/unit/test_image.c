/* SPDX-License-Identifier: Apache-2.0
 *
 * test_image.c - ELF files behind mappings, sound and hostile.  Runs in `make check`; reads its own executable.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "collect/module.h"

#define EXE "/proc/self/exe"

static struct sn_images images;
static struct sn_buf exe;		/* our own executable */
static char exe_path[4096];

static void
setup(void)
{
	images = (struct sn_images){ 0 };
	exe = (struct sn_buf){ 0 };
	ck_assert_int_eq(sn_buf_read_path(&exe, EXE, 256u << 20), 0);
	memset(exe_path, 0, sizeof(exe_path));
	ck_assert_int_gt(readlink(EXE, exe_path, sizeof(exe_path) - 1), 0);
}

static void
teardown(void)
{
	sn_buf_free(&exe);
	ck_assert_ptr_null(images.first);
	ck_assert_uint_eq(images.open_fds, 0);
	ck_assert_uint_eq(images.held_bytes, 0);
}

/* The image of some bytes, parsed from a file in memory; put it with drop(). */
static struct sn_image *
image_of(const void *bytes, size_t len)
{
	struct sn_image *image = calloc(1, sizeof(*image));
	int fd = memfd_create("image", MFD_CLOEXEC);

	ck_assert_ptr_nonnull(image);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	image->refs = 1;
	image->fd = fd;
	image->path = strdup("bytes");
	image->next = images.first;
	images.first = image;
	images.open_fds++;
	ck_assert_int_eq(sn_image_parse(image), image->err);
	return image;
}

static int
err_of(const void *bytes, size_t len)
{
	struct sn_image *image = image_of(bytes, len);
	int err = image->err;

	sn_image_put(&images, image);
	return err;
}

static struct sn_image *
get(const char *path)
{
	struct stat st;
	struct sn_image *image;

	ck_assert_int_eq(stat(path, &st), 0);
	image = sn_image_get(&images, getpid(), path, st.st_dev, st.st_ino, 0, 4096);
	ck_assert_ptr_nonnull(image);
	return image;
}

static Elf64_Ehdr *
ehdr(void)
{
	return (Elf64_Ehdr *)exe.data;
}

static Elf64_Phdr *
phdr_of_type(uint32_t type)
{
	Elf64_Phdr *p = (Elf64_Phdr *)(exe.data + ehdr()->e_phoff);

	for (unsigned i = 0; i < ehdr()->e_phnum; i++) {
		if (p[i].p_type == type)
			return &p[i];
	}
	ck_abort_msg("no such program header");
	return NULL;
}

START_TEST(get_of_own_executable_reads_its_headers)
{
	struct sn_image *image = get(exe_path);

	ck_assert_int_eq(image->err, 0);
	ck_assert_int_ge(image->fd, 0);
	ck_assert_uint_eq(image->type, ehdr()->e_type);
	ck_assert_uint_eq(image->phnum, ehdr()->e_phnum);
	ck_assert_uint_eq(image->file_bytes, exe.len);
	ck_assert_mem_eq(image->phdr, exe.data + ehdr()->e_phoff, image->phnum * sizeof(Elf64_Phdr));
	sn_image_put(&images, image);
}
END_TEST

START_TEST(get_twice_shares_one_image)
{
	struct sn_image *a = get(exe_path), *b = get(exe_path);

	ck_assert_ptr_eq(a, b);
	ck_assert_uint_eq(a->refs, 2);
	ck_assert_uint_eq(images.open_fds, 1);
	sn_image_put(&images, a);
	ck_assert_ptr_eq(images.first, b);
	sn_image_put(&images, b);
}
END_TEST

START_TEST(get_with_another_inode_refuses_the_file)
{
	struct stat st;
	struct sn_image *image;

	ck_assert_int_eq(stat(exe_path, &st), 0);
	image = sn_image_get(&images, getpid(), exe_path, st.st_dev, st.st_ino + 1, 0, 4096);
	ck_assert_int_eq(image->err, -ESTALE);
	ck_assert_int_eq(image->fd, -1);
	sn_image_put(&images, image);
}
END_TEST

START_TEST(get_of_what_is_no_regular_file_never_opens_it)
{
	struct stat st;
	struct sn_image *image;
	char fifo[] = "/tmp/sonde-test-image-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(fifo));
	ck_assert_int_eq(rmdir(fifo), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(stat(fifo, &st), 0);
	image = sn_image_get(&images, getpid(), fifo, st.st_dev, st.st_ino, 0, 4096);	/* must not wait for a writer */
	ck_assert_int_eq(image->err, -ESTALE);
	sn_image_put(&images, image);
	ck_assert_int_eq(unlink(fifo), 0);
}
END_TEST

START_TEST(get_of_a_deleted_mapped_file_opens_it_by_its_mapping)
{
	char path[] = "/tmp/sonde-test-image-XXXXXX", probe[64];
	struct sn_image *image;
	struct stat st;
	int fd = mkstemp(path), err;
	void *map;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, exe.data, exe.len), (ssize_t)exe.len);
	ck_assert_int_eq(fstat(fd, &st), 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(unlink(path), 0);
	(void)close(fd);
	(void)snprintf(probe, sizeof(probe), "/proc/self/map_files/%lx-%lx", (unsigned long)map,
		(unsigned long)map + 4096);
	fd = open(probe, O_RDONLY);
	err = fd < 0 ? errno : 0;
	if (fd >= 0)
		(void)close(fd);
	image = sn_image_get(&images, getpid(), path, st.st_dev, st.st_ino, (uint64_t)(uintptr_t)map,
		(uint64_t)(uintptr_t)map + 4096);
	if (err == 0)
		ck_assert_int_eq(image->err, 0);
	else	/* map_files needs a capability: without it the file is out of reach, and says so */
		ck_assert_int_lt(image->err, 0);
	sn_image_put(&images, image);
	(void)munmap(map, 4096);
}
END_TEST

START_TEST(read_beyond_the_open_limit_reopens_by_path)
{
	struct sn_image *image;
	uint8_t magic[4];

	images.open_fds = SN_IMAGE_FDS_MAX;
	image = get(exe_path);
	ck_assert_int_eq(image->err, 0);
	ck_assert_int_eq(image->fd, -1);
	ck_assert_int_eq(sn_image_read(image, 0, magic, sizeof(magic)), 0);
	ck_assert_mem_eq(magic, ELFMAG, SELFMAG);
	ck_assert_int_eq(sn_image_load_cfi(&images, image), 0);
	sn_image_put(&images, image);
	images.open_fds = 0;
}
END_TEST

START_TEST(read_after_the_file_was_replaced_fails)
{
	char path[] = "/tmp/sonde-test-image-XXXXXX", other[] = "/tmp/sonde-test-other-XXXXXX";
	int fd = mkstemp(path), fd2 = mkstemp(other);
	struct sn_image *image;
	uint8_t magic[4];

	ck_assert(fd >= 0 && fd2 >= 0);
	ck_assert_int_eq(write(fd, exe.data, exe.len), (ssize_t)exe.len);
	ck_assert_int_eq(write(fd2, exe.data, exe.len), (ssize_t)exe.len);
	images.open_fds = SN_IMAGE_FDS_MAX;
	image = get(path);
	ck_assert_int_eq(image->err, 0);
	ck_assert_int_eq(rename(other, path), 0);
	ck_assert_int_eq(sn_image_read(image, 0, magic, sizeof(magic)), -ESTALE);
	sn_image_put(&images, image);
	images.open_fds = 0;
	(void)close(fd);
	(void)close(fd2);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(read_past_the_end_is_an_error)
{
	struct sn_image *image = image_of(exe.data, exe.len);
	uint8_t byte[2];

	ck_assert_int_eq(sn_image_read(image, exe.len - 1, byte, 1), 0);
	ck_assert_int_eq(sn_image_read(image, exe.len - 1, byte, 2), -EIO);
	ck_assert_int_eq(sn_image_read(image, UINT64_MAX, byte, 2), -EIO);
	ck_assert_int_eq(ftruncate(image->fd, 100), 0);		/* cut short after it was parsed */
	ck_assert_int_eq(sn_image_read(image, 200, byte, 1), -EIO);
	sn_image_put(&images, image);
}
END_TEST

static int
compare_build_id(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct sn_image *image = arg;
	char hex[2 * SN_BUILD_ID_MAX + 1], want[2 * SN_BUILD_ID_MAX + 1];

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const uint8_t *note = (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		const Elf64_Nhdr *h = (const Elf64_Nhdr *)note;

		if (info->dlpi_phdr[i].p_type != PT_NOTE || h->n_type != NT_GNU_BUILD_ID || h->n_namesz != 4)
			continue;
		for (unsigned j = 0; j < h->n_descsz; j++)
			(void)snprintf(want + 2 * j, 3, "%02x", note[sizeof(*h) + 4 + j]);
		ck_assert_str_eq(sn_image_build_id_hex(image, hex), want);
		return 2;
	}
	return 1;	/* the first object is the program; only that one */
}

START_TEST(build_id_of_own_executable_is_that_in_memory)
{
	struct sn_image *image = get(exe_path);
	char hex[2 * SN_BUILD_ID_MAX + 1];

	if (dl_iterate_phdr(compare_build_id, image) != 2)	/* linked with --build-id=none */
		ck_assert_str_eq(sn_image_build_id_hex(image, hex), "");
	sn_image_put(&images, image);
}
END_TEST

/* A file of one PT_LOAD and perhaps a note with build id 01 02 03, named by segment or by section. */
static size_t
tiny_elf(uint8_t out[1024], bool by_segment, bool by_section)
{
	Elf64_Ehdr h = *ehdr();
	Elf64_Phdr p[2] = { { .p_type = PT_LOAD, .p_filesz = 1024, .p_memsz = 1024 },
		{ .p_type = by_segment ? PT_NOTE : PT_NULL, .p_offset = 512, .p_filesz = 20, .p_align = 4 } };
	Elf64_Shdr s[2] = { { .sh_type = SHT_NULL },
		{ .sh_type = SHT_NOTE, .sh_offset = 512, .sh_size = 20, .sh_addralign = 4 } };
	static const uint8_t note[20] = { 4, 0, 0, 0, 3, 0, 0, 0, NT_GNU_BUILD_ID, 0, 0, 0,
		'G', 'N', 'U', 0, 1, 2, 3, 0 };

	memset(out, 0, 1024);
	h.e_phoff = 64;
	h.e_phnum = 2;
	h.e_shoff = by_section ? 256 : 0;
	h.e_shnum = by_section ? 2 : 0;
	memcpy(out, &h, sizeof(h));
	memcpy(out + 64, p, sizeof(p));
	memcpy(out + 256, s, sizeof(s));
	memcpy(out + 512, note, sizeof(note));
	return 1024;
}

START_TEST(build_id_is_found_by_segment_else_by_section_else_not)
{
	char hex[2 * SN_BUILD_ID_MAX + 1];
	uint8_t bytes[1024];

	for (unsigned i = 0; i < 4; i++) {
		struct sn_image *image = image_of(bytes, tiny_elf(bytes, i & 1, i & 2));

		ck_assert_int_eq(image->err, 0);
		ck_assert_str_eq(sn_image_build_id_hex(image, hex), i == 0 ? "" : "010203");
		sn_image_put(&images, image);
	}
}
END_TEST

START_TEST(parse_of_a_file_cut_at_every_length_never_reads_beyond)
{
	size_t headers = ehdr()->e_phoff + ehdr()->e_phnum * sizeof(Elf64_Phdr);

	for (size_t len = 0; len < headers; len++)
		ck_assert_int_eq(err_of(exe.data, len), -ENOEXEC);
	for (size_t len = headers; len < headers + 2000 && len < exe.len; len += 7) {
		struct sn_image *image = image_of(exe.data, len);

		ck_assert_int_eq(image->err, 0);
		ck_assert_int_lt(sn_image_load_cfi(&images, image), 0);
		sn_image_put(&images, image);
	}
}
END_TEST

START_TEST(parse_of_hostile_headers_is_refused)
{
	Elf64_Ehdr sound = *ehdr();
	Elf64_Phdr *p = (Elf64_Phdr *)(exe.data + ehdr()->e_phoff), first = *p;

	ehdr()->e_phnum = PN_XNUM;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	ehdr()->e_phnum = 60000;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	ehdr()->e_phnum = 0;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	*ehdr() = sound;
	ehdr()->e_phoff = UINT64_MAX - 100;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	*ehdr() = sound;
	ehdr()->e_phentsize = 32;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	*ehdr() = sound;
	ehdr()->e_ident[EI_CLASS] = ELFCLASS32;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	*ehdr() = sound;
	ehdr()->e_machine = EM_MIPS;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	*ehdr() = sound;
	p->p_offset = UINT64_MAX;
	p->p_filesz = 2;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	*p = first;
	p->p_vaddr = UINT64_MAX;
	p->p_memsz = UINT64_MAX;
	ck_assert_int_eq(err_of(exe.data, 4096), -ENOEXEC);
	*p = first;
	ck_assert_int_eq(err_of(exe.data, 4096), 0);
}
END_TEST

static int
cfi_err(void)
{
	struct sn_image *image = image_of(exe.data, exe.len);
	int err = image->err;

	if (err == 0)
		err = sn_image_load_cfi(&images, image);
	if (err < 0)
		ck_assert_int_eq(sn_image_load_cfi(&images, image), err);	/* remembered */
	sn_image_put(&images, image);
	ck_assert_uint_eq(images.held_bytes, 0);
	return err;
}

START_TEST(load_cfi_of_own_executable_counts_what_it_holds)
{
	struct sn_image *image = image_of(exe.data, exe.len);
	Elf64_Phdr *p = phdr_of_type(PT_GNU_EH_FRAME);

	ck_assert_int_eq(sn_image_load_cfi(&images, image), 0);
	ck_assert_int_eq(image->cfi_state, 1);
	ck_assert_uint_eq(image->hdr_vaddr, p->p_vaddr);
	ck_assert_mem_eq(image->hdr, exe.data + p->p_offset, p->p_filesz);
	ck_assert_uint_gt(image->frame_bytes, 0);
	ck_assert_uint_eq(images.held_bytes, image->hdr_bytes + image->frame_bytes);
	sn_image_put(&images, image);
}
END_TEST

START_TEST(load_cfi_without_sections_takes_the_rest_of_the_segment)
{
	struct sn_image *with = image_of(exe.data, exe.len), *without;

	ck_assert_int_eq(sn_image_load_cfi(&images, with), 0);
	ehdr()->e_shoff = 0;
	without = image_of(exe.data, exe.len);
	ck_assert_int_eq(sn_image_load_cfi(&images, without), 0);
	ck_assert_uint_eq(without->frame_vaddr, with->frame_vaddr);
	ck_assert_uint_ge(without->frame_bytes, with->frame_bytes);
	ck_assert_mem_eq(without->frame, with->frame, with->frame_bytes);
	sn_image_put(&images, without);
	sn_image_put(&images, with);
}
END_TEST

START_TEST(load_cfi_of_a_lying_hdr_is_refused)
{
	Elf64_Phdr *p = phdr_of_type(PT_GNU_EH_FRAME), sound = *p;
	uint8_t *hdr = exe.data + p->p_offset, was[16];
	static const uint32_t huge = UINT32_MAX, astray = 0x7fffffff;

	memcpy(was, hdr, sizeof(was));
	hdr[0] = 2;
	ck_assert_int_eq(cfi_err(), -EBADMSG);
	memcpy(hdr, was, sizeof(was));
	hdr[1] = 0xff;		/* no pointer to .eh_frame */
	ck_assert_int_eq(cfi_err(), -ENOTSUP);
	memcpy(hdr, was, sizeof(was));
	hdr[3] = 0xff;		/* no table */
	ck_assert_int_eq(cfi_err(), -ENOTSUP);
	memcpy(hdr, was, sizeof(was));
	memcpy(hdr + 8, &huge, 4);	/* more entries than bytes */
	ck_assert_int_eq(cfi_err(), -EBADMSG);
	memcpy(hdr, was, sizeof(was));
	memcpy(hdr + 4, &astray, 4);	/* .eh_frame where nothing is */
	ck_assert_int_eq(cfi_err(), -EBADMSG);
	memcpy(hdr, was, sizeof(was));
	p->p_filesz = UINT32_MAX;
	ck_assert_int_eq(cfi_err(), -EFBIG);
	p->p_filesz = sound.p_filesz;
	p->p_offset = exe.len;
	ck_assert_int_eq(cfi_err(), -EIO);
	*p = sound;
	p->p_filesz = 3;
	ck_assert_int_eq(cfi_err(), -EBADMSG);
	*p = sound;
	p->p_type = PT_NULL;
	ck_assert_int_eq(cfi_err(), -ENOTSUP);
	p->p_type = PT_GNU_EH_FRAME;
	ck_assert_int_eq(cfi_err(), 0);
}
END_TEST

START_TEST(open_gives_a_descriptor_of_its_own)
{
	struct sn_image *image = get(exe_path), *vdso = sn_image_vdso(&images);
	int fd = sn_image_open(image);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(fd, image->fd);
	(void)close(fd);
	ck_assert_int_eq(sn_image_open(vdso), -ENOENT);
	ck_assert_ptr_eq(sn_image_vdso(&images), vdso);
	sn_image_put(&images, vdso);
	sn_image_put(&images, vdso);
	sn_image_put(&images, image);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("image");
	TCase *t = tcase_create("image");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, get_of_own_executable_reads_its_headers);
	tcase_add_test(t, get_twice_shares_one_image);
	tcase_add_test(t, get_with_another_inode_refuses_the_file);
	tcase_add_test(t, get_of_what_is_no_regular_file_never_opens_it);
	tcase_add_test(t, get_of_a_deleted_mapped_file_opens_it_by_its_mapping);
	tcase_add_test(t, read_beyond_the_open_limit_reopens_by_path);
	tcase_add_test(t, read_after_the_file_was_replaced_fails);
	tcase_add_test(t, read_past_the_end_is_an_error);
	tcase_add_test(t, build_id_of_own_executable_is_that_in_memory);
	tcase_add_test(t, build_id_is_found_by_segment_else_by_section_else_not);
	tcase_add_test(t, parse_of_a_file_cut_at_every_length_never_reads_beyond);
	tcase_add_test(t, parse_of_hostile_headers_is_refused);
	tcase_add_test(t, load_cfi_of_own_executable_counts_what_it_holds);
	tcase_add_test(t, load_cfi_without_sections_takes_the_rest_of_the_segment);
	tcase_add_test(t, load_cfi_of_a_lying_hdr_is_refused);
	tcase_add_test(t, open_gives_a_descriptor_of_its_own);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

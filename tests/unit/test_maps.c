/* SPDX-License-Identifier: Apache-2.0
 *
 * test_maps.c - /proc/PID/maps as modules.  Runs in `make check`; reads its own maps.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "collect/module.h"

static struct sn_images images;
static struct sn_modules mods;
static uint32_t bad;

static void
setup(void)
{
	images = (struct sn_images){ 0 };
	sn_modules_init(&mods, &images, getpid());
	bad = 0;
}

static void
teardown(void)
{
	sn_modules_free(&mods);
	ck_assert_ptr_null(images.first);
	ck_assert_uint_eq(images.open_fds, 0);
	ck_assert_uint_eq(images.held_bytes, 0);
}

static void
update(const char *text, const char *exe)
{
	ck_assert_int_eq(sn_modules_update(&mods, text, strlen(text), exe, &bad), 0);
}

static void
update_self(const char *exe)
{
	struct sn_buf text = { 0 };

	ck_assert_int_eq(sn_buf_read_path(&text, "/proc/self/maps", 16u << 20), 0);
	ck_assert_int_eq(sn_modules_update(&mods, (char *)text.data, text.len, exe, &bad), 0);
	ck_assert_uint_eq(bad, 0);
	sn_buf_free(&text);
}

static uint64_t
here(void)
{
	return (uint64_t)(uintptr_t)&update_self;
}

START_TEST(update_from_own_maps_makes_the_executable_main)
{
	char exe[4096] = "";
	struct sn_module *m;

	ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof(exe) - 1), 0);
	update_self(exe);
	m = sn_modules_find(&mods, here());
	ck_assert_ptr_nonnull(m);
	ck_assert_str_eq(m->path, exe);
	ck_assert_int_eq(m->image->err, 0);
	ck_assert(m->is_main && m->kind == SN_MODULE_FILE);
	ck_assert_ptr_eq(m, sn_modules_main(&mods));
}
END_TEST

START_TEST(update_with_unknown_exe_makes_the_first_elf_file_main)
{
	struct sn_module *main_module;

	update_self("/nowhere/program");
	main_module = sn_modules_main(&mods);
	ck_assert_ptr_nonnull(main_module);
	for (uint32_t i = 0; i < mods.now_count && mods.now[i] != main_module; i++)
		ck_assert(mods.now[i]->kind != SN_MODULE_FILE || mods.now[i]->image->err < 0);
}
END_TEST

static int
compare_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	unsigned *compared = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		struct sn_module *m;

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		m = sn_modules_find(&mods, info->dlpi_addr + p->p_vaddr);
		ck_assert_ptr_nonnull(m);
		ck_assert_uint_eq(m->bias, info->dlpi_addr);
		(*compared)++;
	}
	return 0;
}

START_TEST(update_from_own_maps_gives_the_bias_of_the_loader)
{
	unsigned compared = 0;

	update_self(NULL);
	(void)dl_iterate_phdr(compare_bias, &compared);
	ck_assert_uint_ge(compared, 3);		/* the program, libc, the vdso or the loader */
}
END_TEST

START_TEST(update_with_segments_off_their_offsets_takes_the_bias_of_the_executable_one)
{
	/* as lld lays files out: two segments share the page at 0x2000 of the file, at different addresses */
	Elf64_Phdr p[2] = { { .p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 0x2100, .p_memsz = 0x2100 },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0x2100, .p_vaddr = 0x3100, .p_filesz = 0x500,
		.p_memsz = 0x500 } };
	char path[] = "/tmp/sonde-test-maps-XXXXXX";
	int fd = mkstemp(path), self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct sn_buf text = { 0 };
	struct stat st;
	Elf64_Ehdr h;

	ck_assert(fd >= 0 && self >= 0);
	ck_assert_int_eq(read(self, &h, sizeof(h)), sizeof(h));
	h.e_phoff = sizeof(h);
	h.e_phnum = 2;
	h.e_shoff = 0;
	ck_assert_int_eq(write(fd, &h, sizeof(h)), sizeof(h));
	ck_assert_int_eq(write(fd, p, sizeof(p)), sizeof(p));
	ck_assert_int_eq(ftruncate(fd, 0x3000), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	sn_buf_putf(&text, "555500003000-555500004000 r-xp 00002000 %x:%x %lu %s\n", major(st.st_dev), minor(st.st_dev),
		(unsigned long)st.st_ino, path);
	ck_assert_int_eq(sn_modules_update(&mods, (char *)text.data, text.len, path, &bad), 0);
	ck_assert_uint_eq(mods.now_count, 1);
	ck_assert_int_eq(mods.now[0]->image->err, 0);
	ck_assert_uint_eq(mods.now[0]->bias, 0x555500000000);
	ck_assert(mods.now[0]->is_main);
	sn_buf_free(&text);
	ck_assert_int_eq(unlink(path), 0);
	(void)close(fd);
	(void)close(self);
}
END_TEST

START_TEST(find_in_the_vdso_gives_an_image_in_memory)
{
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	struct sn_module *m;

	if (vdso == 0)
		return;		/* a kernel without one */
	update_self(NULL);
	m = sn_modules_find(&mods, vdso);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(m->kind, SN_MODULE_VDSO);
	ck_assert_str_eq(m->path, "[vdso]");
	ck_assert_ptr_nonnull(m->image->memory);
	ck_assert_int_eq(m->image->err, 0);
	ck_assert_uint_gt(m->image->build_id_len, 0);
}
END_TEST

START_TEST(update_twice_keeps_the_same_modules)
{
	struct sn_module *m;
	uint32_t count;

	update_self(NULL);
	m = sn_modules_find(&mods, here());
	count = mods.count;
	update_self(NULL);
	ck_assert_ptr_eq(sn_modules_find(&mods, here()), m);
	ck_assert_uint_eq(mods.count, count);
}
END_TEST

START_TEST(update_without_a_module_marks_it_gone_and_back_revives_it)
{
	static const char both[] =
		"10000-20000 r-xp 00000000 00:00 0 \n"
		"20000-30000 rwxp 00000000 00:00 0 \n";
	struct sn_module *second;

	update(both, NULL);
	ck_assert_uint_eq(mods.now_count, 2);
	second = sn_modules_find(&mods, 0x2ffff);
	update("10000-20000 r-xp 00000000 00:00 0 \n", NULL);
	ck_assert(second->gone);
	ck_assert_uint_eq(mods.count, 2);
	ck_assert_ptr_null(sn_modules_find(&mods, 0x2ffff));
	update(both, NULL);
	ck_assert_ptr_eq(sn_modules_find(&mods, 0x2ffff), second);
	ck_assert(!second->gone);
	ck_assert_uint_eq(mods.count, 2);
}
END_TEST

START_TEST(update_with_another_limit_makes_another_module)
{
	struct sn_module *first;

	update("10000-20000 r-xp 00000000 00:00 0 \n", NULL);
	first = sn_modules_find(&mods, 0x10000);
	update("10000-30000 r-xp 00000000 00:00 0 \n", NULL);
	ck_assert_ptr_ne(sn_modules_find(&mods, 0x10000), first);
	ck_assert(first->gone);
}
END_TEST

START_TEST(parse_of_names_strips_suffix_and_unescapes_newline)
{
	update("1000-2000 r-xp 00001000 fd:01 77 /nowhere/with space\\012and line (deleted)\n", NULL);
	ck_assert_uint_eq(mods.now_count, 1);
	ck_assert_str_eq(mods.now[0]->path, "/nowhere/with space\nand line");
	ck_assert_int_lt(mods.now[0]->image->err, 0);
	ck_assert_uint_eq(mods.now[0]->ino, 77);
	ck_assert_uint_eq(mods.now[0]->bias, 0);
}
END_TEST

START_TEST(parse_of_perms_keeps_executable_ones_only)
{
	update("1000-2000 r--p 00000000 00:00 0 \n"
		"2000-3000 rw-p 00000000 00:00 0 \n"
		"3000-4000 r-xp 00000000 00:00 0 \n"
		"4000-5000 --xp 00000000 00:00 0 \n"
		"5000-6000 rwxs 00000000 00:00 0 \n"
		"6000-7000 ---p 00000000 00:00 0 [stack]\n", NULL);
	ck_assert_uint_eq(mods.now_count, 3);
	ck_assert_uint_eq(bad, 0);
	ck_assert_uint_eq(mods.now[0]->start, 0x3000);
	ck_assert_uint_eq(mods.now[2]->start, 0x5000);
}
END_TEST

START_TEST(parse_of_memory_without_a_file_makes_anonymous_modules)
{
	static const char *const name[] = { "[anon]", "/memfd:jit code", "[anon]", "[anon]", "[anon]", "[anon]" };

	update("1000-2000 r-xp 00000000 00:00 0 \n"
		"2000-3000 r-xs 00000000 00:01 1024 /memfd:jit code (deleted)\n"
		"3000-4000 rwxs 00000000 00:01 7 /dev/zero (deleted)\n"
		"4000-5000 rwxp 00000000 00:00 0 //anon\n"
		"5000-6000 rwxp 00000000 00:00 0 [heap]\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n", NULL);
	ck_assert_uint_eq(mods.now_count, 6);
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_int_eq(mods.now[i]->kind, SN_MODULE_ANON);
		ck_assert_str_eq(mods.now[i]->path, name[i]);
		ck_assert_ptr_null(mods.now[i]->image);
	}
	ck_assert_ptr_null(sn_modules_main(&mods));
}
END_TEST

START_TEST(parse_of_bad_lines_counts_them_and_keeps_the_rest)
{
	static const char text[] =
		"\n"
		"nonsense\n"
		"2000-1000 r-xp 00000000 00:00 0 \n"
		"1000-1000 r-xp 00000000 00:00 0 \n"
		"11111111111111111-22222222222222222 r-xp 00000000 00:00 0 \n"
		"3000-4000 r-xp\n"
		"3000-4000 r-xp 0 1 2\n"
		"3000-4000 r-xp 0 100000000:0 0\n"
		"3000-4000 r-xp 0 0:0 18446744073709551616\n"
		"3000-4000 r-xp 0 0:0 0\0 \n"
		"5000-6000 r-xp 00000000 00:00 0\n"
		"7000-8000 r-xp 00000000 00:00 0 /cut sho";

	ck_assert_int_eq(sn_modules_update(&mods, text, sizeof(text) - 1, NULL, &bad), 0);
	ck_assert_uint_eq(bad, 11);
	ck_assert_uint_eq(mods.now_count, 1);
	ck_assert_uint_eq(mods.now[0]->start, 0x5000);
}
END_TEST

START_TEST(update_with_overlapping_ranges_drops_the_later)
{
	update("4000-6000 r-xp 00000000 00:00 0 \n"
		"1000-5000 r-xp 00000000 00:00 0 \n"
		"1000-5000 r-xp 00000000 00:00 0 \n", NULL);
	ck_assert_uint_eq(bad, 2);
	ck_assert_uint_eq(mods.now_count, 1);
	ck_assert_uint_eq(mods.now[0]->start, 0x1000);
	ck_assert_ptr_null(sn_modules_find(&mods, 0x5000));
}
END_TEST

START_TEST(find_at_the_edges_takes_start_and_leaves_limit)
{
	update("1000-2000 r-xp 00000000 00:00 0 \n"
		"3000-4000 r-xp 00000000 00:00 0 \n", NULL);
	ck_assert_ptr_null(sn_modules_find(&mods, 0xfff));
	ck_assert_ptr_eq(sn_modules_find(&mods, 0x1000), mods.now[0]);
	ck_assert_ptr_eq(sn_modules_find(&mods, 0x1fff), mods.now[0]);
	ck_assert_ptr_null(sn_modules_find(&mods, 0x2000));
	ck_assert_ptr_eq(sn_modules_find(&mods, 0x3fff), mods.now[1]);
	ck_assert_ptr_null(sn_modules_find(&mods, UINT64_MAX));
}
END_TEST

START_TEST(copy_for_a_child_shares_images_and_leaves_out_what_is_gone)
{
	struct sn_modules child;
	struct sn_module *m;

	update("1000-2000 r-xp 00000000 00:00 0 \n", NULL);
	update_self(NULL);
	sn_modules_init(&child, &images, 1);
	ck_assert_int_eq(sn_modules_copy(&child, &mods), 0);
	ck_assert_uint_eq(child.now_count, mods.now_count);
	ck_assert_uint_eq(child.count, mods.count - 1);
	m = sn_modules_find(&child, here());
	ck_assert_ptr_ne(m, sn_modules_find(&mods, here()));
	ck_assert_ptr_eq(m->image, sn_modules_find(&mods, here())->image);
	ck_assert_uint_eq(m->image->refs, 2);
	ck_assert_ptr_eq(child.all[m->index], m);
	ck_assert_ptr_nonnull(sn_modules_main(&child));
	sn_modules_free(&child);
	ck_assert_uint_eq(sn_modules_find(&mods, here())->image->refs, 1);
}
END_TEST

START_TEST(update_beyond_the_most_modules_counts_the_rest)
{
	struct sn_buf text = { 0 };

	for (uint64_t i = 1; i <= SN_MODULES_MAX + 10u; i++)
		sn_buf_putf(&text, "%lx-%lx r-xp 00000000 00:00 0 \n", (unsigned long)i << 12,
			(unsigned long)(i + 1) << 12);
	ck_assert_int_eq(text.err, 0);
	ck_assert_int_eq(sn_modules_update(&mods, (char *)text.data, text.len, NULL, &bad), 0);
	ck_assert_uint_eq(mods.now_count, SN_MODULES_MAX);
	ck_assert_uint_eq(bad, 10);
	sn_buf_free(&text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("maps");
	TCase *t = tcase_create("maps");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, update_from_own_maps_makes_the_executable_main);
	tcase_add_test(t, update_with_unknown_exe_makes_the_first_elf_file_main);
	tcase_add_test(t, update_from_own_maps_gives_the_bias_of_the_loader);
	tcase_add_test(t, update_with_segments_off_their_offsets_takes_the_bias_of_the_executable_one);
	tcase_add_test(t, find_in_the_vdso_gives_an_image_in_memory);
	tcase_add_test(t, update_twice_keeps_the_same_modules);
	tcase_add_test(t, update_without_a_module_marks_it_gone_and_back_revives_it);
	tcase_add_test(t, update_with_another_limit_makes_another_module);
	tcase_add_test(t, parse_of_names_strips_suffix_and_unescapes_newline);
	tcase_add_test(t, parse_of_perms_keeps_executable_ones_only);
	tcase_add_test(t, parse_of_memory_without_a_file_makes_anonymous_modules);
	tcase_add_test(t, parse_of_bad_lines_counts_them_and_keeps_the_rest);
	tcase_add_test(t, update_with_overlapping_ranges_drops_the_later);
	tcase_add_test(t, find_at_the_edges_takes_start_and_leaves_limit);
	tcase_add_test(t, copy_for_a_child_shares_images_and_leaves_out_what_is_gone);
	tcase_add_test(t, update_beyond_the_most_modules_counts_the_rest);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

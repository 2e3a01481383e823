/* SPDX-License-Identifier: Apache-2.0
 *
 * test_file.c - names from patterns; files whole or not at all.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "deliver/earlier.h"
#include "deliver/file.h"
#include "encode/pprof.h"

static char folder[128];
static char path[160];			/* of a file in the folder */

static void
setup(void)
{
	const char *base = getenv("TMPDIR");

	int len = snprintf(folder, sizeof(folder) - 6, "%s/sonde-test-file.", base != NULL ? base : "/tmp");

	ck_assert_int_lt(len, (int)sizeof(folder) - 6);
	memset(folder + len, 'X', 6);
	folder[len + 6] = '\0';
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/prof.pb.gz", folder);
}

/* Files in the folder, hidden ones too; all but the folder itself are removed when asked to. */
static int
entries(bool remove_them)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		n++;
		if (remove_them)
			(void)unlinkat(dirfd(d), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	}
	(void)closedir(d);
	return n;
}

static void
teardown(void)
{
	(void)entries(true);
	(void)rmdir(folder);
}

#define ck_file_is(name, text) do { \
	struct sn_buf b = { 0 }; \
	ck_assert_int_eq(sn_buf_read_path(&b, name, 1 << 20), 0); \
	ck_assert_uint_eq(b.len, strlen(text)); \
	ck_assert_int_eq(memcmp(b.data, text, b.len), 0); \
	sn_buf_free(&b); \
} while (0)

/* ---- names ---- */

static const struct sn_file_words words = { .pid = 12, .exe = "redis", .start_s = 1700000000, .kind = "cpu" };

static const char *
name_of(const char *pattern, bool add_pid)
{
	static char out[PATH_MAX];
	struct sn_file_words w = words;

	w.add_pid = add_pid;
	ck_assert_int_eq(sn_file_name(pattern, &w, out, sizeof(out)), 0);
	return out;
}

START_TEST(name_letters_stand_for_their_words)
{
	ck_assert_str_eq(name_of("sonde.%e.%p.pb.gz", false), "sonde.redis.12.pb.gz");
	ck_assert_str_eq(name_of("%k/%t-%p%%", false), "cpu/1700000000-12%");
	ck_assert_str_eq(name_of("plain", false), "plain");
}
END_TEST

START_TEST(name_with_unknown_letter_is_refused)
{
	char out[64];

	ck_assert_int_eq(sn_file_name("a%x", &words, out, sizeof(out)), -EINVAL);
	ck_assert_int_eq(sn_file_name("a%", &words, out, sizeof(out)), -EINVAL);
	ck_assert_int_eq(sn_file_name("%P", &words, out, sizeof(out)), -EINVAL);
	ck_assert_int_eq(sn_file_name("", &words, out, sizeof(out)), -EINVAL);
}
END_TEST

START_TEST(name_of_hostile_executable_stays_in_its_folder)
{
	struct sn_file_words w = words;
	char out[64];

	w.exe = "../../etc/x\n\033[2J\x7f";
	ck_assert_int_eq(sn_file_name("d/%e.gz", &w, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "d/.._.._etc_x__[2J_.gz");
	w.exe = NULL;
	ck_assert_int_eq(sn_file_name("d/%e.gz", &w, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "d/.gz");
}
END_TEST

START_TEST(name_takes_the_pid_before_its_suffix)
{
	ck_assert_str_eq(name_of("x.pb.gz", true), "x.12.pb.gz");
	ck_assert_str_eq(name_of("prof", true), "prof.12");
	ck_assert_str_eq(name_of("a.b/prof.gz", true), "a.b/prof.12.gz");
	ck_assert_str_eq(name_of("a.b/prof", true), "a.b/prof.12");
	ck_assert_str_eq(name_of("a.pb.gz/prof", true), "a.pb.gz/prof.12");
	ck_assert_str_eq(name_of("x.tar.pb.gz", true), "x.tar.12.pb.gz");
	ck_assert_str_eq(name_of(".hidden", true), ".hidden.12");
	ck_assert_str_eq(name_of("d/.hidden.gz", true), "d/.hidden.12.gz");
	ck_assert_str_eq(name_of("100%%.pb.gz", true), "100%.12.pb.gz");
}
END_TEST

START_TEST(name_with_dots_from_a_word_keeps_the_word_together)
{
	struct sn_file_words w = words;
	char out[64];

	w.exe = "my.prog";
	w.add_pid = true;
	ck_assert_int_eq(sn_file_name("out.%e", &w, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "out.my.prog.12");
	ck_assert_int_eq(sn_file_name("%e.pb.gz", &w, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "my.prog.12.pb.gz");
}
END_TEST

START_TEST(name_with_the_pid_in_it_takes_no_second)
{
	ck_assert_str_eq(name_of("x.%p.pb.gz", true), "x.12.pb.gz");
	ck_assert_str_eq(name_of("%p/x.gz", true), "12/x.gz");
	ck_assert_str_eq(name_of("x%%p.gz", true), "x%p.12.gz");
}
END_TEST

START_TEST(name_with_the_mark_of_children_takes_their_pid_there)
{
	ck_assert_str_eq(name_of("a.prof%c", false), "a.prof");
	ck_assert_str_eq(name_of("a.prof%c", true), "a.prof_12");
	ck_assert_str_eq(name_of("%%c.pb.gz", true), "%c.12.pb.gz");
}
END_TEST

START_TEST(name_of_no_file_takes_no_pid)
{
	ck_assert_str_eq(name_of("-", true), "-");
	ck_assert_str_eq(name_of("folder/", true), "folder/");
}
END_TEST

START_TEST(name_too_long_for_its_room_is_refused)
{
	char out[8];

	ck_assert_int_eq(sn_file_name("1234567", &words, out, sizeof(out)), 0);
	ck_assert_int_eq(sn_file_name("12345678", &words, out, sizeof(out)), -ENAMETOOLONG);
	ck_assert_int_eq(sn_file_name("12345%e", &words, out, sizeof(out)), -ENAMETOOLONG);
	ck_assert_int_eq(sn_file_name("x", &words, out, 0), -ENAMETOOLONG);
}
END_TEST

/* ---- check ---- */

START_TEST(check_writable_place_leaves_nothing_behind)
{
	ck_assert_int_eq(sn_file_check(path), 0);
	ck_assert_int_eq(entries(false), 0);
}
END_TEST

START_TEST(check_existing_file_leaves_it_as_it_is)
{
	ck_assert_int_eq(sn_file_write(path, "old", 3), 0);
	ck_assert_int_eq(sn_file_check(path), 0);
	ck_file_is(path, "old");
	ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(check_what_cannot_be_a_file_is_refused)
{
	char other[256];

	ck_assert_int_eq(sn_file_check("-"), -EINVAL);
	ck_assert_int_eq(sn_file_check(""), -ENOENT);
	ck_assert_int_eq(sn_file_check(folder), -EISDIR);
	ck_assert_int_eq(sn_file_check("/"), -EISDIR);
	(void)snprintf(other, sizeof(other), "%s/new/", folder);
	ck_assert_int_eq(sn_file_check(other), -EISDIR);
	(void)snprintf(other, sizeof(other), "%s/missing/x", folder);
	ck_assert_int_eq(sn_file_check(other), -ENOENT);
	ck_assert_int_eq(sn_file_write(path, "", 0), 0);
	(void)snprintf(other, sizeof(other), "%s/x", path);
	ck_assert_int_eq(sn_file_check(other), -ENOTDIR);
}
END_TEST

START_TEST(check_device_pipe_or_link_is_refused)
{
	ck_assert_int_eq(sn_file_check("/dev/null"), -EINVAL);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(sn_file_check(path), -EINVAL);
	ck_assert_int_eq(sn_file_write(path, "x", 1), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("elsewhere", path), 0);
	ck_assert_int_eq(sn_file_check(path), -ELOOP);
	ck_assert_int_eq(sn_file_write(path, "x", 1), -ELOOP);
	ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(check_folder_of_others_is_refused)
{
	ck_assert_int_eq(chmod(folder, 0555), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(sn_file_check(path), -EACCES);
	ck_assert_int_eq(sn_file_write(path, "x", 1), -EACCES);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(entries(false), 0);
}
END_TEST

/* ---- write ---- */

START_TEST(write_new_file_holds_the_bytes)
{
	ck_assert_int_eq(sn_file_write(path, "whole", 5), 0);
	ck_file_is(path, "whole");
	ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(write_over_a_file_replaces_it)
{
	ck_assert_int_eq(sn_file_write(path, "a longer one", 12), 0);
	ck_assert_int_eq(sn_file_write(path, "new", 3), 0);
	ck_file_is(path, "new");
	ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(write_without_folder_goes_to_the_current_one)
{
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(sn_file_write("prof.pb.gz", "here", 4), 0);
	ck_assert_int_eq(chdir("/"), 0);
	ck_file_is(path, "here");
}
END_TEST

START_TEST(write_longest_name_there_can_be)
{
	char longest[600];
	size_t at = (size_t)snprintf(longest, sizeof(longest), "%s/", folder);

	memset(longest + at, 'n', NAME_MAX);
	longest[at + NAME_MAX] = '\0';
	ck_assert_int_eq(sn_file_check(longest), 0);
	ck_assert_int_eq(sn_file_write(longest, "x", 1), 0);
	ck_file_is(longest, "x");
	longest[at + NAME_MAX] = 'n';
	longest[at + NAME_MAX + 1] = '\0';
	ck_assert_int_eq(sn_file_write(longest, "x", 1), -ENAMETOOLONG);
	ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(write_obeys_the_umask)
{
	static const mode_t masks[] = { 0022, 0077, 0002 };

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		struct stat st;

		(void)umask(masks[i]);
		ck_assert_int_eq(sn_file_write(path, "x", 1), 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0666 & ~masks[i]);
	}
}
END_TEST

/* Under a limit on the size of files; no assertion there, because Check writes to a file itself. */
static int
write_limited(rlim_t bytes, const void *data, size_t len)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };
	int err = setrlimit(RLIMIT_FSIZE, &limit) < 0 ? -errno : 0;

	if (err == 0)
		err = data != NULL ? sn_file_write(path, data, len) : sn_file_check(path);
	limit.rlim_cur = RLIM_INFINITY;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	return err;
}

START_TEST(write_beyond_the_file_size_limit_survives_and_keeps_the_old_file)
{
	static char big[100000];
	sigset_t mask, pending;

	ck_assert_int_eq(sn_file_write(path, "old", 3), 0);
	ck_assert_int_eq(write_limited(4096, big, sizeof(big)), -EFBIG);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	ck_assert_int_eq(sigismember(&mask, SIGXFSZ), 0);
	ck_assert_int_eq(sigismember(&mask, SIGPIPE), 0);
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert_int_eq(sigismember(&pending, SIGXFSZ), 0);
	ck_file_is(path, "old");
	ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(check_under_a_file_size_limit_of_0_says_so)
{
	ck_assert_int_eq(write_limited(0, NULL, 0), -EFBIG);
	ck_assert_int_eq(entries(false), 0);
}
END_TEST

START_TEST(write_leaves_a_signal_that_was_pending_before)
{
	sigset_t blocked, pending;

	ck_assert_int_eq(sigemptyset(&blocked), 0);
	ck_assert_int_eq(sigaddset(&blocked, SIGXFSZ), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
	ck_assert_int_eq(raise(SIGXFSZ), 0);
	ck_assert_int_eq(sn_file_write(path, "x", 1), 0);
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert_int_eq(sigismember(&pending, SIGXFSZ), 1);
}
END_TEST

/* A file system of 64 KiB over the folder, in a mount namespace of this test's process alone. */
static const char *
mount_small(void)
{
	if (geteuid() != 0)
		return "not root";
	if (unshare(CLONE_NEWNS) < 0)
		return "no mount namespace to be had";
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return "mounts cannot be made private";
	return mount("tmpfs", folder, "tmpfs", 0, "size=64k") < 0 ? "tmpfs cannot be mounted" : NULL;
}

START_TEST(write_to_a_full_disk_keeps_the_old_file_and_nothing_else)
{
	static char big[200000];
	const char *why_not = mount_small();
	char filler[256];
	int fd;

	if (why_not != NULL) {
		printf("skipped, full disk: %s\n", why_not);
		return;
	}
	ck_assert_int_eq(sn_file_write(path, "old", 3), 0);
	ck_assert_int_eq(sn_file_write(path, big, sizeof(big)), -ENOSPC);
	ck_file_is(path, "old");
	ck_assert_int_eq(entries(false), 1);

	(void)snprintf(filler, sizeof(filler), "%s/filler", folder);
	fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	while (write(fd, big, sizeof(big)) > 0)
		;
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(sn_file_check(path), -ENOSPC);
	ck_assert_int_eq(entries(false), 2);
	ck_assert_int_eq(umount(folder), 0);
}
END_TEST

START_TEST(write_to_a_read_only_disk_is_refused)
{
	const char *why_not = mount_small();

	if (why_not != NULL) {
		printf("skipped, read-only disk: %s\n", why_not);
		return;
	}
	ck_assert_int_eq(mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(sn_file_check(path), -EROFS);
	ck_assert_int_eq(sn_file_write(path, "x", 1), -EROFS);
	ck_assert_int_eq(umount(folder), 0);
}
END_TEST

/* ---- files of earlier images ---- */

/* A file as the collector inside writes it. */
static void
write_of_image(const char *name, const struct sn_image_id *id, const char *text)
{
	struct sn_buf gz = { 0 }, marked = { 0 }, back = { 0 };

	ck_assert_int_eq(sn_gzip(text, strlen(text), &gz), 0);
	ck_assert_int_eq(sn_earlier_mark(&gz, id, &marked), 0);
	ck_assert_int_eq(sn_gunzip(marked.data, marked.len, 100, &back), 0);
	ck_assert_uint_eq(back.len, strlen(text));
	ck_assert_int_eq(sn_earlier_mark(&marked, id, &back), -EBADMSG);	/* once */
	ck_assert_int_eq(sn_earlier_keep(name, id), 0);
	ck_assert_int_eq(sn_file_write(name, marked.data, marked.len), 0);
	sn_buf_free(&gz);
	sn_buf_free(&marked);
	sn_buf_free(&back);
}

START_TEST(earlier_file_of_the_same_process_steps_aside)
{
	struct sn_image_id id = { 10, 1234567, 1 }, other = { 10, 7654321, 9 };

	ck_assert_int_eq(chdir(folder), 0);
	write_of_image("x.pb.gz", &id, "a");
	write_of_image("x.pb.gz", &id, "b");			/* the same image: its newer file */
	ck_assert_int_eq(access("x.1.pb.gz", F_OK), -1);
	id.image = 2;
	write_of_image("x.pb.gz", &id, "c");
	ck_assert_int_eq(access("x.1.pb.gz", F_OK), 0);
	id.image = 3;
	write_of_image("x.pb.gz", &id, "d");
	ck_assert_int_eq(access("x.2.pb.gz", F_OK), 0);
	write_of_image("x.pb.gz", &other, "e");			/* another process of that pid: over it */
	ck_assert_int_eq(access("x.3.pb.gz", F_OK), -1);
	other.image = 10;
	write_of_image("x.pb.gz", &other, "f");			/* … and over the numbers of that one */
	ck_assert_int_eq(access("x.3.pb.gz", F_OK), -1);
	write_of_image("y", &id, "g");
	id.image = 4;
	write_of_image("y", &id, "h");
	ck_assert_int_eq(access("y.1", F_OK), 0);
}
END_TEST

START_TEST(earlier_files_that_are_not_ours_stay)
{
	struct sn_image_id id = { 10, 1234567, 1 };

	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(sn_file_write("x.1.pb.gz", "mine", 4), 0);
	ck_assert_int_eq(symlink("nowhere", "x.2.pb.gz"), 0);
	write_of_image("x.pb.gz", &id, "a");
	id.image = 2;
	write_of_image("x.pb.gz", &id, "b");
	ck_file_is("x.1.pb.gz", "mine");
	ck_assert_int_eq(access("x.3.pb.gz", F_OK), 0);
	ck_assert_int_eq(sn_earlier_keep("absent.pb.gz", &id), 0);
	ck_assert_int_eq(sn_earlier_keep("x.1.pb.gz", &id), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_assert_int_eq(sn_earlier_keep("fifo", &id), 0);	/* and does not wait for a writer */
}
END_TEST

static Suite *
file_suite(void)
{
	Suite *s = suite_create("file");
	TCase *t = tcase_create("file");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, name_letters_stand_for_their_words);
	tcase_add_test(t, name_with_unknown_letter_is_refused);
	tcase_add_test(t, name_of_hostile_executable_stays_in_its_folder);
	tcase_add_test(t, name_takes_the_pid_before_its_suffix);
	tcase_add_test(t, name_with_dots_from_a_word_keeps_the_word_together);
	tcase_add_test(t, name_with_the_pid_in_it_takes_no_second);
	tcase_add_test(t, name_with_the_mark_of_children_takes_their_pid_there);
	tcase_add_test(t, name_of_no_file_takes_no_pid);
	tcase_add_test(t, name_too_long_for_its_room_is_refused);
	tcase_add_test(t, check_writable_place_leaves_nothing_behind);
	tcase_add_test(t, check_existing_file_leaves_it_as_it_is);
	tcase_add_test(t, check_what_cannot_be_a_file_is_refused);
	tcase_add_test(t, check_device_pipe_or_link_is_refused);
	tcase_add_test(t, check_folder_of_others_is_refused);
	tcase_add_test(t, write_new_file_holds_the_bytes);
	tcase_add_test(t, write_over_a_file_replaces_it);
	tcase_add_test(t, write_without_folder_goes_to_the_current_one);
	tcase_add_test(t, write_longest_name_there_can_be);
	tcase_add_test(t, write_obeys_the_umask);
	tcase_add_test(t, write_beyond_the_file_size_limit_survives_and_keeps_the_old_file);
	tcase_add_test(t, check_under_a_file_size_limit_of_0_says_so);
	tcase_add_test(t, write_leaves_a_signal_that_was_pending_before);
	tcase_add_test(t, write_to_a_full_disk_keeps_the_old_file_and_nothing_else);
	tcase_add_test(t, write_to_a_read_only_disk_is_refused);
	tcase_add_test(t, earlier_file_of_the_same_process_steps_aside);
	tcase_add_test(t, earlier_files_that_are_not_ours_stay);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(file_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test_gperf.c - the variables of gperftools, and which files its functions may write.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/gperf.h"

static char folder[128], found[PATH_MAX];

static void
setup(void)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(folder, sizeof(folder), "%s/sonde-test-gperf.XXXXXX", base != NULL ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_ptr_nonnull(realpath(folder, found));
	(void)snprintf(folder, sizeof(folder), "%.120s", found);
	ck_assert_int_eq(chdir(folder), 0);
}

static void
teardown(void)
{
	static const char *const names[] = { "there", "link", "nowhere", "made%p.prof" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(names[i]);
	(void)rmdir("inner");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);		/* nothing else was left there */
}

static void
make_file(const char *name)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs("old", f), 0);
	(void)fclose(f);
}

static void
check_found(const char *name, const char *wanted)
{
	char path[PATH_MAX + 8];

	ck_assert_int_eq(sn_gperf_find_file(name, found), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, wanted);
	ck_assert_str_eq(found, path);
}

START_TEST(find_file_gives_the_absolute_name_and_touches_nothing)
{
	struct stat st;

	make_file("there");
	check_found("there", "there");
	check_found("new", "new");
	check_found("./new", "new");
	ck_assert_int_eq(symlink("there", "link"), 0);
	check_found("link", "there");
	ck_assert_int_eq(sn_gperf_find_file("/dev/shm/../../new", found), access("/dev", W_OK) < 0 ? -errno : 0);
	ck_assert_int_eq(stat("there", &st), 0);
	ck_assert_int_eq(st.st_size, 3);
	ck_assert_int_lt(access("new", F_OK), 0);
}
END_TEST

START_TEST(find_file_refuses_what_is_no_file)
{
	char longest[PATH_MAX + 16];

	ck_assert_int_eq(sn_gperf_find_file(NULL, found), -EFAULT);
	ck_assert_int_eq(sn_gperf_find_file("", found), -ENOENT);
	ck_assert_int_eq(sn_gperf_find_file("missing/x", found), -ENOENT);
	ck_assert_int_eq(sn_gperf_find_file("/dev/null", found), -EINVAL);
	ck_assert_int_eq(mkdir("inner", 0755), 0);
	ck_assert_int_eq(sn_gperf_find_file("inner", found), -EISDIR);
	ck_assert_int_eq(sn_gperf_find_file("inner/", found), -EISDIR);
	ck_assert_int_eq(symlink("gone", "nowhere"), 0);
	ck_assert_int_eq(sn_gperf_find_file("nowhere", found), -ELOOP);
	make_file("there");
	ck_assert_int_eq(sn_gperf_find_file("there/x", found), -ENOTDIR);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(sn_gperf_find_file(longest, found), -ENAMETOOLONG);
}
END_TEST

START_TEST(make_pattern_keeps_every_letter_literal)
{
	static char pattern[SN_GPERF_PATTERN], longest[PATH_MAX];

	sn_gperf_make_pattern("/a%p%%b/c.prof", "%c", pattern);
	ck_assert_str_eq(pattern, "/a%%p%%%%b/c.prof%c");
	memset(longest, '%', sizeof(longest) - 1);
	sn_gperf_make_pattern(longest, "%c", pattern);
	ck_assert_uint_eq(strlen(pattern), 2 * (PATH_MAX - 1) + 2);
}
END_TEST

static const struct {
	const char *text;
	unsigned hz;
	bool named;
} rates[] = {
	{ "1", 1, true }, { "100", 100, true }, { "4000", 4000, true }, { "4001", 4000, true },
	{ "2147483647", 4000, true }, { "0", 100, false }, { "-1", 100, false }, { "", 100, false },
	{ "x", 100, false }, { "10x", 100, false }, { "1e3", 100, false }, { "99999999999999999999", 100, false },
};

START_TEST(frequency_is_1_to_4000_or_the_default)
{
	char variable[64], *env[] = { variable, NULL };

	(void)snprintf(variable, sizeof(variable), "CPUPROFILE_FREQUENCY=%s", rates[_i].text);
	sn_gperf_read_environment(env);
	ck_assert_uint_eq(sn_gperf_env()->hz, rates[_i].hz);
	ck_assert_int_eq(sn_gperf_env()->hz_is_named, rates[_i].named);
	ck_assert(!sn_gperf_env()->asked);
}
END_TEST

static const struct {
	const char *value, *other, *name;	/* %d is the pid */
} named[] = {
	{ "made%p.prof", "A=1", "made%p.prof" },
	{ "new", "CPUPROFILE_USE_PID=1", "new_%d" },
	{ "\xee" "ew", "A=1", "new_%d" },	/* marked by an older gperftools */
	{ "\xc3\xa9", "A=1", "\xc3\xa9" },	/* a letter in UTF-8 is no mark */
	{ "new", "PMIX_RANK=0", "new_%d" },
	{ "new", "SLURM_PROCID=0", "new" },
	{ "new", "SONDE=off", NULL },
	{ "new", "SONDE_FILE=x", NULL },
	{ "new", "SONDE_COLLECTOR=x", NULL },
	{ "", "A=1", NULL },
	{ "/", "A=1", NULL },
};

START_TEST(cpuprofile_names_the_file)
{
	char variable[64], *env[] = { variable, (char *)(uintptr_t)named[_i].other, NULL }, name[64];

	(void)snprintf(variable, sizeof(variable), "CPUPROFILE=%s", named[_i].value);
	sn_gperf_read_environment(env);
	ck_assert_int_eq(sn_gperf_env()->asked, named[_i].name != NULL);
	if (named[_i].name == NULL)
		return;
	(void)snprintf(name, sizeof(name), "%s", named[_i].name);
	if (strstr(name, "_%d") != NULL)
		(void)snprintf(strstr(name, "_%d"), 16, "_%d", (int)getpid());
	ck_assert_str_eq(sn_gperf_env()->name, name);
	ck_assert_str_eq(sn_gperf_env()->pattern + strlen(sn_gperf_env()->pattern) - 2, "%c");
}
END_TEST

static Suite *
gperf_suite(void)
{
	Suite *s = suite_create("gperf");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, find_file_gives_the_absolute_name_and_touches_nothing);
	tcase_add_test(t, find_file_refuses_what_is_no_file);
	tcase_add_test(t, make_pattern_keeps_every_letter_literal);
	tcase_add_loop_test(t, frequency_is_1_to_4000_or_the_default, 0, sizeof(rates) / sizeof(rates[0]));
	tcase_add_loop_test(t, cpuprofile_names_the_file, 0, sizeof(named) / sizeof(named[0]));
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(gperf_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

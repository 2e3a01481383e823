/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cgroup.c - memory limits of control groups, of both versions, from folders made here.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cgroup.h"

static char folder[] = "/tmp/sonde-cgroup-XXXXXX";
static char proc[64];

static void
put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void
set_up(void)
{
	(void)strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(proc, sizeof(proc), "%s/self", folder);
}

static void
tear_down(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(second_version_limit_of_the_group_is_found)
{
	put("self", "0::/a.slice/b.service\n");
	put("a.slice/b.service/memory.max", "67108864\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 67108864);
}
END_TEST

START_TEST(limit_of_a_group_above_counts_when_it_is_less)
{
	put("self", "0::/a.slice/b.service\n");
	put("a.slice/b.service/memory.max", "max\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 0);
	put("a.slice/memory.max", "1000000\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 1000000);
	put("a.slice/b.service/memory.max", "900000\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 900000);
}
END_TEST

START_TEST(container_sees_its_group_as_the_root)
{
	put("self", "0::/docker/0123456789abcdef\n");
	put("memory.max", "5000000\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 5000000);
	put("self", "0::/\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 5000000);
}
END_TEST

START_TEST(first_version_and_mixtures_are_read_too)
{
	put("self", "5:pids:/x\n4:cpu,memory:/x/y\n0::/\n");
	put("memory/x/y/memory.limit_in_bytes", "9223372036854771712\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 0);
	put("memory/x/memory.limit_in_bytes", "33554432\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 33554432);
	put("unified/memory.max", "20000000\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 20000000);
}
END_TEST

START_TEST(nonsense_is_no_limit)
{
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 0);
	put("self", "\n:\n0:\n0::\nmemory\n1:memory\n::::\n");
	put("memory.max", "-7\n");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 0);
	put("memory.max", "");
	ck_assert_uint_eq(sn_cgroup_memory(proc, folder), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cgroup");
	TCase *tc = tcase_create("cgroup");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, second_version_limit_of_the_group_is_found);
	tcase_add_test(tc, limit_of_a_group_above_counts_when_it_is_less);
	tcase_add_test(tc, container_sees_its_group_as_the_root);
	tcase_add_test(tc, first_version_and_mixtures_are_read_too);
	tcase_add_test(tc, nonsense_is_no_limit);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

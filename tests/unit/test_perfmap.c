/* SPDX-License-Identifier: Apache-2.0
 *
 * test_perfmap.c - names of code in memory, from /tmp/perf-PID.map.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collect/process.h"
#include "symbol/perfmap.h"
#include "symbol/symbol.h"

static struct sn_perfmap map;
static char path[64];

static void
parse(const char *text)
{
	char *copy = strdup(text);

	sn_perfmap_free(&map);
	ck_assert_ptr_nonnull(copy);
	ck_assert_int_eq(sn_perfmap_parse(&map, copy, strlen(copy)), 0);
}

static void
named(uint64_t addr, const char *name)
{
	const struct sn_perfmap_line *l = sn_perfmap_find(&map, addr);

	ck_assert_msg((l == NULL) == (name == NULL), "0x%llx: %s", (unsigned long long)addr, l ? "found" : "not found");
	if (l != NULL) {
		ck_assert_uint_eq(l->name_len, strlen(name));
		ck_assert_mem_eq(map.text + l->name, name, strlen(name));
	}
}

static void
write_map(const char *text, const char *mode)
{
	FILE *f;

	(void)snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	f = fopen(path, mode);
	ck_assert_ptr_nonnull(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void
tear_down(void)
{
	sn_perfmap_free(&map);
	if (path[0] != '\0')
		(void)unlink(path);
}

START_TEST(names_are_found_in_any_order_with_spaces_and_prefixes)
{
	parse("3000 10 three\n0x1000 0x20 JS:*work /tmp/w.js:2:14\n2000 8 two \r\n");
	named(0xfff, NULL);
	named(0x1000, "JS:*work /tmp/w.js:2:14");
	named(0x101f, "JS:*work /tmp/w.js:2:14");
	named(0x1020, NULL);
	named(0x2007, "two");
	named(0x3008, "three");
	named(0x3010, NULL);
	named(UINT64_MAX, NULL);
}
END_TEST

START_TEST(newest_line_wins_where_lines_overlap)
{
	parse("1000 100 old\n1010 10 young\n1000 8 youngest\n");
	named(0x1000, "youngest");
	named(0x1008, "old");
	named(0x1010, "young");
	named(0x1020, "old");
	parse("1010 10 old\n1000 100 young\n");
	named(0x1010, "young");
}
END_TEST

START_TEST(lines_that_make_no_sense_are_passed_over)
{
	parse("\n1000\n1000 10\n1000 10 \nx 10 a\n1000 0 b\n12345678901234567 10 c\nffffffffffffffff 10 d\n"
		"-1000 10 e\n1000 10 good\n2000 10 cut");
	ck_assert_uint_eq(map.count, 1);
	named(0x1000, "good");
	named(0x2000, NULL);
	parse("");
	named(0, NULL);
	sn_perfmap_free(&map);
	ck_assert_int_eq(sn_perfmap_parse(&map, NULL, 0), 0);
	named(0, NULL);
}
END_TEST

START_TEST(long_names_are_cut)
{
	char text[5000];

	memset(text, 'n', sizeof(text));
	memcpy(text, "1000 10 ", 8);
	memcpy(text + sizeof(text) - 2, "\n", 2);
	parse(text);
	ck_assert_uint_eq(sn_perfmap_find(&map, 0x1000)->name_len, SN_PERFMAP_NAME_MAX);
}
END_TEST

START_TEST(file_of_somebody_else_or_of_before_is_refused)
{
	struct timespec hour_ago[2] = { { 0 } };
	uint64_t began = sn_proc_stat(getpid(), 22);

	ck_assert_int_eq(sn_perfmap_read(&map, getpid(), began, 0), -ENOENT);
	write_map("1000 10 one\n", "w");
	ck_assert_int_eq(sn_perfmap_read(&map, getpid(), began, 0), 0);
	named(0x1000, "one");
	sn_perfmap_free(&map);
	ck_assert_int_eq(sn_perfmap_read(&map, getpid(), began, 5), -EFBIG);
	ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &hour_ago[0]), 0);
	hour_ago[0].tv_sec -= 3600;
	hour_ago[1] = hour_ago[0];
	ck_assert_int_eq(utimensat(AT_FDCWD, path, hour_ago, 0), 0);
	ck_assert_int_eq(sn_perfmap_read(&map, getpid(), began, 0), -EPERM);
	ck_assert_int_eq(sn_perfmap_read(&map, getpid(), 0, 0), 0);
	sn_perfmap_free(&map);
	if (getuid() == 0) {
		ck_assert_int_eq(chown(path, 65534, 65534), 0);
		ck_assert_int_eq(sn_perfmap_read(&map, getpid(), 0, 0), -EPERM);
	}
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);		/* nobody waits for it */
	ck_assert_int_eq(sn_perfmap_read(&map, getpid(), 0, 0), -EPERM);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	ck_assert_int_lt(sn_perfmap_read(&map, getpid(), 0, 0), 0);
}
END_TEST

static const char *
symbol_of(struct sn_symbolizer *s, const struct sn_module *m, uint64_t addr)
{
	struct sn_symbol out;

	ck_assert_int_eq(sn_symbolize_batch(s, m, &addr, 1, &out), 0);
	ck_assert_uint_eq(out.count, 1);
	return out.line->name;
}

START_TEST(names_of_a_map_that_grows_are_found_with_the_next_profile)
{
	char name[] = "[anon]";
	struct sn_module m = { .start = 0x1000, .limit = 0x3000, .path = name, .kind = SN_MODULE_ANON };
	struct sn_symbolizer *s = sn_symbolizer_new(SN_SYMBOLIZE_LINES, NULL);

	ck_assert_ptr_nonnull(s);
	write_map("1000 10 one\n", "w");
	sn_symbolizer_set_process(s, getpid(), 0);
	ck_assert_str_eq(symbol_of(s, &m, 0x1008), "one");
	ck_assert_str_eq(symbol_of(s, &m, 0x2008), "[anon]+0x1008");
	write_map("2000 10 two\n1000 10 another\n", "a");
	sn_symbolizer_set_process(s, getpid(), 0);
	ck_assert_str_eq(symbol_of(s, &m, 0x1008), "another");
	ck_assert_str_eq(symbol_of(s, &m, 0x2008), "two");
	sn_symbolizer_set_process(s, 0, 0);
	ck_assert_str_eq(symbol_of(s, &m, 0x2008), "[anon]+0x1008");
	sn_symbolizer_free(s);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("perfmap");
	TCase *c = tcase_create("perfmap");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, NULL, tear_down);
	tcase_add_test(c, names_are_found_in_any_order_with_spaces_and_prefixes);
	tcase_add_test(c, newest_line_wins_where_lines_overlap);
	tcase_add_test(c, lines_that_make_no_sense_are_passed_over);
	tcase_add_test(c, long_names_are_cut);
	tcase_add_test(c, file_of_somebody_else_or_of_before_is_refused);
	tcase_add_test(c, names_of_a_map_that_grows_are_found_with_the_next_profile);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

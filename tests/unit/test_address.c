/* SPDX-License-Identifier: Apache-2.0
 *
 * test_address.c - SONDE_HTTP and SONDE_TOKEN_FILE: what is taken, what is refused and how it is said.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deliver/http.h"

static struct sn_address a;
static struct sn_tokens t;
static char why[256];

#define ck_address(text, name, number, v6, loopback) do { \
	ck_assert_msg(sn_address_parse(text, &a, why, sizeof(why)) == 0, "%s: %s", text, why); \
	ck_assert_str_eq(a.host, name); \
	ck_assert_uint_eq(a.port, number); \
	ck_assert_int_eq(a.is_v6, v6); \
	ck_assert_int_eq(a.is_loopback, loopback); \
} while (0)

START_TEST(address_of_this_machine_is_loopback)
{
	ck_address("6060", "127.0.0.1", 6060, false, true);
	ck_address("localhost:6060", "127.0.0.1", 6060, false, true);
	ck_address("LocalHost:1", "127.0.0.1", 1, false, true);
	ck_address("127.0.0.1:6060", "127.0.0.1", 6060, false, true);
	ck_address("127.1.2.3:0", "127.1.2.3", 0, false, true);
	ck_address("[::1]:65535", "::1", 65535, true, true);
	ck_address("[::ffff:127.0.0.1]:6060", "::ffff:127.0.0.1", 6060, true, true);
	ck_address("0", "127.0.0.1", 0, false, true);
}
END_TEST

START_TEST(address_that_others_reach_is_not_loopback)
{
	ck_address(":6060", "::", 6060, true, false);
	ck_address("0.0.0.0:6060", "0.0.0.0", 6060, false, false);
	ck_address("[::]:6060", "::", 6060, true, false);
	ck_address("10.0.0.1:6060", "10.0.0.1", 6060, false, false);
	ck_address("128.0.0.1:6060", "128.0.0.1", 6060, false, false);
	ck_address("[2001:db8::1]:6060", "2001:db8::1", 6060, true, false);
	ck_address("[::ffff:10.0.0.1]:6060", "::ffff:10.0.0.1", 6060, true, false);
}
END_TEST

START_TEST(what_is_no_numeric_address_is_refused_in_one_line)
{
	static const char *const bad[] = { "", "x", ":", "65536", "123456", "-1", "+6060", " 6060", "6060 ",
		"example.com:6060", "localhost", "127.0.0.1", "127.1:6060", "127.0.0.1:", "127.0.0.1:x",
		"0x7f.0.0.1:6060", "0127.0.0.1:6060", "::1:6060", "[::1]", "[::1]6060", "[::1]:", "[]:6060",
		"[127.0.0.1]:6060", "[fe80::1%lo]:6060", "::1", "[::1:6060", "http://localhost:6060",
		"a\nb:6060", "localhost.:6060", "127.0.0.1:60:60" };
	char text[400];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(sn_address_parse(bad[i], &a, why, sizeof(why)) == -EINVAL, "%s", bad[i]);
		ck_assert_ptr_null(strchr(why, '\n'));
		ck_assert_ptr_nonnull(strstr(why, "127.0.0.1:6060"));
	}
	memset(text, '1', sizeof(text));
	strcpy(text + sizeof(text) - 6, ":6060");
	ck_assert_int_eq(sn_address_parse(text, &a, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "127.0.0.1:6060"));
}
END_TEST

static int
parse(const char *text)
{
	return sn_tokens_parse(text, strlen(text), &t, why, sizeof(why));
}

START_TEST(tokens_stand_one_a_line)
{
	ck_assert_int_eq(parse("# who may ask\n\nfirst-one\n  second-one \r\n#12345678\nthird=one"), 0);
	ck_assert_uint_eq(t.count, 3);
	ck_assert_str_eq(t.token[0], "first-one");
	ck_assert_str_eq(t.token[1], "second-one");
	ck_assert_str_eq(t.token[2], "third=one");
	ck_assert(!t.is_open);
	sn_tokens_free(&t);
}
END_TEST

START_TEST(line_that_is_no_token_is_refused_without_being_told)
{
	static const char *const bad[] = { "goodtoken\nsecret7\n", "goodtoken\nsecret with blank\n",
		"goodtoken\nsecret\x01secret\n", "goodtoken\nsecr\xc3\xa9t-secret" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(parse(bad[i]), -EINVAL);
		ck_assert_uint_eq(t.count, 0);
		ck_assert_ptr_nonnull(strstr(why, "line 2"));
		ck_assert_ptr_null(strstr(why, "secr"));
	}
}
END_TEST

START_TEST(token_of_512_is_the_longest)
{
	char text[SN_TOKEN_MAX + 2];

	memset(text, 'k', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(parse(text), -EINVAL);
	text[SN_TOKEN_MAX] = '\0';
	ck_assert_int_eq(parse(text), 0);
	ck_assert_uint_eq(strlen(t.token[0]), SN_TOKEN_MAX);
	sn_tokens_free(&t);
}
END_TEST

START_TEST(file_without_a_token_is_refused)
{
	ck_assert_int_eq(parse(""), -EINVAL);
	ck_assert_int_eq(parse("# nothing\n\n"), -EINVAL);
	ck_assert_int_eq(sn_tokens_parse(NULL, 0, &t, why, sizeof(why)), -EINVAL);
}
END_TEST

START_TEST(only_a_bearer_of_a_whole_token_is_admitted)
{
	ck_assert_int_eq(parse("first-one\nsecond-one\n"), 0);
	ck_assert(sn_tokens_admit(&t, "Bearer first-one"));
	ck_assert(sn_tokens_admit(&t, "bearer second-one"));
	ck_assert(!sn_tokens_admit(&t, ""));
	ck_assert(!sn_tokens_admit(&t, "Bearer"));
	ck_assert(!sn_tokens_admit(&t, "Bearer "));
	ck_assert(!sn_tokens_admit(&t, "first-one"));
	ck_assert(!sn_tokens_admit(&t, "Basic first-one"));
	ck_assert(!sn_tokens_admit(&t, "Bearer first-on"));
	ck_assert(!sn_tokens_admit(&t, "Bearer first-ones"));
	ck_assert(!sn_tokens_admit(&t, "Bearer first-one second-one"));
	ck_assert(!sn_tokens_admit(&t, "Bearer third-one"));
	sn_tokens_free(&t);
}
END_TEST

START_TEST(word_none_opens_to_everybody)
{
	ck_assert_int_eq(sn_tokens_read("none", &t, why, sizeof(why)), 0);
	ck_assert(t.is_open);
	ck_assert(sn_tokens_admit(&t, ""));
	sn_tokens_free(&t);
}
END_TEST

START_TEST(token_file_must_be_a_file_of_ours_alone)
{
	static const mode_t bad[] = { 0640, 0604, 0660, 0601, 0610 };
	char path[] = "/tmp/sonde-test-tokens-" "XXXX" "XX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "first-one\n", 10), 10);
	ck_assert_int_eq(sn_tokens_read(path, &t, why, sizeof(why)), 0);
	ck_assert_str_eq(t.token[0], "first-one");
	sn_tokens_free(&t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(fchmod(fd, bad[i]), 0);
		ck_assert_int_eq(sn_tokens_read(path, &t, why, sizeof(why)), -EACCES);
		ck_assert_ptr_nonnull(strstr(why, "chmod"));
	}
	if (geteuid() == 0) {
		ck_assert_int_eq(fchmod(fd, 0600), 0);
		ck_assert_int_eq(fchown(fd, 12345, 0), 0);
		ck_assert_int_eq(sn_tokens_read(path, &t, why, sizeof(why)), -EACCES);
	}
	(void)close(fd);
	(void)unlink(path);
	ck_assert_int_eq(sn_tokens_read(path, &t, why, sizeof(why)), -ENOENT);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(sn_tokens_read(path, &t, why, sizeof(why)), -EACCES);
	(void)unlink(path);
	ck_assert_int_eq(sn_tokens_read("/", &t, why, sizeof(why)), -EACCES);
	ck_assert_int_eq(sn_tokens_read("/dev/null", &t, why, sizeof(why)), -EACCES);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("address");
	TCase *c = tcase_create("address");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(c, address_of_this_machine_is_loopback);
	tcase_add_test(c, address_that_others_reach_is_not_loopback);
	tcase_add_test(c, what_is_no_numeric_address_is_refused_in_one_line);
	tcase_add_test(c, tokens_stand_one_a_line);
	tcase_add_test(c, line_that_is_no_token_is_refused_without_being_told);
	tcase_add_test(c, token_of_512_is_the_longest);
	tcase_add_test(c, file_without_a_token_is_refused);
	tcase_add_test(c, only_a_bearer_of_a_whole_token_is_admitted);
	tcase_add_test(c, word_none_opens_to_everybody);
	tcase_add_test(c, token_file_must_be_a_file_of_ours_alone);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

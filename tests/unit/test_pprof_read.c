/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pprof_read.c - profiles that lie are refused, and it is said why and where.
 */
#include <errno.h>

#include "pprof_self.h"

static void
refused(const struct sn_buf *in, const char *word)
{
	struct sn_buf out = { 0 };

	sn_buf_put(&out, "before", 6);
	ck_assert_int_eq(sn_pprof_symbolize(in->data, in->len, 0, SN_SYMBOLIZE_LINES, &out, &filled), -EBADMSG);
	ck_assert_msg(strstr(filled.why, word) != NULL, "%s is not in: %s", word, filled.why);
	ck_assert_uint_eq(out.len, 6);
	sn_buf_free(&out);
}

#define SPOILT(change, word) do { \
		profile_msg *m = plain_message(); \
		struct sn_buf in; \
		change; \
		in = packed(m); \
		refused(&in, word); \
		sn_buf_free(&in); \
		perftools__profiles__profile__free_unpacked(m, NULL); \
		teardown(); \
		setup(); \
	} while (0)

START_TEST(symbolize_profile_with_wrong_references_says_where)
{
	SPOILT(m->location[3]->mapping_id = 99, "location 3: no mapping has the id 99");
	SPOILT(m->location[3]->id = 0, "location 3 has the id 0");
	SPOILT(m->location[3]->id = 1, "two of location have the id 1");
	SPOILT(m->mapping[1]->id = 1, "two of mapping have the id 1");
	SPOILT(m->function[0]->id = 0, "function 0 has the id 0");
	SPOILT(m->function[0]->id = 7, "no function has the id 1");
	SPOILT(m->sample[2]->location_id[1] = 1u << 31, "sample 2: no location has the id 2147483648");
	SPOILT(m->sample[2]->location_id[1] = 0, "sample 2: no location has the id 0");
	SPOILT(m->sample[4]->n_value = 1, "sample 4 has 1 values of 2");
	SPOILT(m->mapping[0]->filename = -1, "mapping 0: text -1");
	SPOILT(m->mapping[0]->build_id = 1 << 30, "mapping 0: text 1073741824");
	SPOILT(m->function[0]->name = INT64_MIN, "function 0: text");
	SPOILT(m->comment[0] = 1 << 20, "comment 0: text");
	SPOILT(m->sample_type[1]->unit = -5, "sample_type 1: text");
	SPOILT(m->period_type->unit = -5, "period_type 0: text");
	SPOILT(m->doc_url = 1 << 20, "doc_url 0: text");
	SPOILT(put_text(m, 0, "x"), "string_table");
}
END_TEST

/* Found by fuzz_pprof: protobuf-c reads it, writes it in another form, and does not read that. */
START_TEST(symbolize_field_of_number_0_is_refused)
{
	profile_msg *m = plain_message();
	struct sn_buf in = packed(m);

	sn_buf_put(&in, "\x80\x80\x00\x05", 4);
	refused(&in, "profile 0 has a field of number 0");
	in.len -= 4;
	sn_buf_put(&in, "\x1a\x06\x08\x63\x80\x80\x00\x05", 8);
	refused(&in, "has a field of number 0");
	sn_buf_free(&in);
	perftools__profiles__profile__free_unpacked(m, NULL);
}
END_TEST

START_TEST(symbolize_what_is_no_profile_is_refused)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n";
	struct sn_buf in = { (uint8_t *)passwd, sizeof(passwd), 0, 0 }, plain, part;

	refused(&in, "not a message");
	in.len = 0;
	refused(&in, "string_table");
	sample_everything();
	plain = encoded(SN_SYMBOLIZE_NONE);
	for (size_t cut = 2; cut < plain.len; cut += plain.len / 50 + 1) {
		part = (struct sn_buf){ plain.data, cut, 0, 0 };
		refused(&part, "gzip: damaged or cut");
	}
	plain.data[plain.len - 6] ^= 1;		/* its checksum */
	refused(&plain, "gzip: damaged or cut");
	sn_buf_free(&plain);
}
END_TEST

START_TEST(symbolize_profile_that_unpacks_to_too_much_is_refused)
{
	struct sn_buf member = { 0 }, bomb = { 0 }, out = { 0 };
	char *zeroes = calloc(1, 16 << 20);

	ck_assert_int_eq(sn_gzip(zeroes, 16 << 20, &member), 0);
	for (int i = 0; i < 17; i++)		/* 17 members: 272 MiB */
		sn_buf_put(&bomb, member.data, member.len);
	ck_assert_int_eq(sn_pprof_symbolize(bomb.data, bomb.len, 0, SN_SYMBOLIZE_LINES, &out, &filled), -EFBIG);
	sn_buf_free(&bomb);
	free(zeroes);
	/* Two bytes a sample, each of which becomes a struct: beyond the message's own bound. */
	ck_assert_ptr_nonnull(sn_buf_room(&bomb, 64 << 20));
	for (; bomb.len < 64 << 20; bomb.len += 2)
		memcpy(bomb.data + bomb.len, "\x12", 2);
	ck_assert_int_eq(sn_pprof_symbolize(bomb.data, bomb.len, 0, SN_SYMBOLIZE_LINES, &out, &filled), -EFBIG);
	ck_assert_uint_eq(out.len, 0);
	sn_buf_free(&member);
	sn_buf_free(&bomb);
}
END_TEST

START_TEST(gunzip_several_members_gives_all)
{
	struct sn_buf two = { 0 }, out = { 0 };

	ck_assert_int_eq(sn_gzip("one ", 4, &two), 0);
	ck_assert_int_eq(sn_gzip("two", 3, &two), 0);
	ck_assert_int_eq(sn_gunzip(two.data, two.len, 7, &out), 0);
	ck_assert_uint_eq(out.len, 7);
	ck_assert_mem_eq(out.data, "one two", 7);
	ck_assert_int_eq(sn_gunzip(two.data, two.len, 6, &out), -EFBIG);
	ck_assert_uint_eq(out.len, 7);
	sn_buf_put(&two, "rest", 4);
	ck_assert_int_eq(sn_gunzip(two.data, two.len, 100, &out), -EBADMSG);
	sn_buf_free(&two);
	sn_buf_free(&out);
}
END_TEST

static Suite *
read_suite(void)
{
	Suite *s = suite_create("pprof_read");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, symbolize_profile_with_wrong_references_says_where);
	tcase_add_test(t, symbolize_field_of_number_0_is_refused);
	tcase_add_test(t, symbolize_what_is_no_profile_is_refused);
	tcase_add_test(t, symbolize_profile_that_unpacks_to_too_much_is_refused);
	tcase_add_test(t, gunzip_several_members_gives_all);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(read_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

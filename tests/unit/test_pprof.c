/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pprof.c - profiles in pprof's form, read back by protobuf-c and held against every rule.
 *
 * Names come from a symbolizer of our own here: only what the encoder makes of them is tested.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof_fake.h"
#include "pprof_check.h"

#define PERIOD	10000000

static struct sn_image image_app = { .build_id = { 0xab, 0x01, 0xff }, .build_id_len = 3 };
static struct sn_image image_lib = { .build_id = { 0x12 }, .build_id_len = 1 };
static struct sn_module app = {
	.start = 0x5000, .limit = 0x6000, .offset = 0x1000, .bias = 0x4000, .path = "/bin/app", .is_main = true,
	.image = &image_app,
};
static struct sn_module lib = {
	.start = 0x1000, .limit = 0x3000, .offset = 0, .bias = 0x1000, .path = "/lib/libx.so (deleted)",
	.image = &image_lib,
};
static struct sn_module lib_again = {
	.start = 0x1000, .limit = 0x3000, .offset = 0, .bias = 0x1000, .path = "/lib/libx.so (deleted)",
	.image = &image_lib,
};
static struct sn_module jit = { .start = 0x9000, .limit = 0xa000, .path = "[anon]", .kind = SN_MODULE_ANON };

static struct sn_profile profile;
static struct sn_buf out;

/* ---- making and reading ---- */

static void
setup(void)
{
	sn_profile_init(&profile, PERIOD, 0);
	profile.time_ns = 1700000000000000000;
	profile.duration_ns = 2000000000;
	profile.main_module = &app;
	lines_used = 0;
	batches = 0;
	symbolize_error = 0;
}

static void
teardown(void)
{
	if (msg != NULL)
		perftools__profiles__profile__free_unpacked(msg, NULL);
	msg = NULL;
	sn_buf_free(&out);
	sn_profile_free(&profile);
}

static uint32_t
frame(struct sn_module *m, uint64_t addr)
{
	return sn_profile_frame(&profile, addr, m, SN_PSEUDO_NONE);
}

static void
add2(uint32_t leaf, uint32_t root, uint32_t label, int32_t tid, uint32_t group, uint64_t count)
{
	const uint32_t ids[2] = { leaf, root };

	ck_assert_int_eq(sn_profile_add(&profile, sn_profile_stack(&profile, ids, 2), label, tid, group, count), 0);
}

static void
add(uint32_t leaf, uint32_t root, uint64_t count)
{
	add2(leaf, root, SN_NO_LABEL, 0, 0, count);
}

static void
encode(enum sn_symbolize how)
{
	static int token;
	struct sn_buf raw;

	ck_assert_int_eq(sn_pprof_encode(&profile, (struct sn_symbolizer *)&token, how, &out), 0);
	raw = gunzip(out.data, out.len);
	ck_assert_int_eq(times_field(&raw, 9), profile.time_ns != 0);
	msg = perftools__profiles__profile__unpack(NULL, raw.len, raw.data);
	sn_buf_free(&raw);
	ck_assert_ptr_nonnull(msg);
	check_strings();
	check_header(&profile);
	check_mappings();
	check_locations(how != SN_SYMBOLIZE_NONE);
	check_samples(PERIOD);
}

/* ---- tests ---- */

START_TEST(encode_nothing_sampled_still_names_the_main_binary)
{
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_sample, 0);
	ck_assert_uint_eq(msg->n_location, 0);
	ck_assert_uint_eq(msg->n_function, 0);
	ck_assert_uint_eq(msg->n_mapping, 1);
	ck_assert_str_eq(text(msg->mapping[0]->filename), "/bin/app");
	ck_assert_str_eq(text(msg->mapping[0]->build_id), "ab01ff");
	ck_assert_uint_eq(msg->mapping[0]->memory_start, 0x5000);
	ck_assert_uint_eq(msg->mapping[0]->memory_limit, 0x6000);
	ck_assert_uint_eq(msg->mapping[0]->file_offset, 0x1000);
	ck_assert(msg->mapping[0]->has_functions);
}
END_TEST

START_TEST(encode_without_main_module_still_has_a_first_mapping)
{
	profile.main_module = NULL;
	add(frame(&lib, 0x1100), frame(&lib, 0x1200), 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_mapping, 2);
	ck_assert_str_eq(text(msg->mapping[0]->filename), "[unknown program]");
	ck_assert_uint_eq(location_at(0x1100, NULL)->mapping_id, 2);
}
END_TEST

START_TEST(encode_modules_puts_main_first_and_others_by_start)
{
	add(frame(&jit, 0x9100), frame(&app, 0x5200), 1);
	add(frame(&lib, 0x1100), frame(&app, 0x5200), 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_mapping, 3);
	ck_assert_str_eq(text(msg->mapping[0]->filename), "/bin/app");
	ck_assert_str_eq(text(msg->mapping[1]->filename), "/lib/libx.so");
	ck_assert_str_eq(text(msg->mapping[1]->build_id), "12");
	ck_assert_str_eq(text(msg->mapping[2]->filename), "[anon]");
	ck_assert_int_eq(msg->mapping[2]->build_id, 0);
	ck_assert_uint_eq(location_at(0x9100, NULL)->mapping_id, 3);
	ck_assert_int_eq(batches, 3);
}
END_TEST

START_TEST(encode_two_objects_of_one_mapping_makes_one)
{
	add(frame(&lib, 0x1100), frame(&lib, 0x1200), 1);
	add(frame(&lib_again, 0x1100), frame(&lib_again, 0x1300), 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_mapping, 2);
	ck_assert_uint_eq(msg->n_location, 3);
	ck_assert_int_eq(batches, 1);
}
END_TEST

START_TEST(encode_inlined_calls_gives_one_location_innermost_first)
{
	const location_msg *l;

	add(frame(&app, ADDR_INLINED), frame(&app, ADDR_TWIN), 4);
	encode(SN_SYMBOLIZE_LINES);
	l = location_at(ADDR_INLINED, NULL);
	ck_assert_uint_eq(l->n_line, 3);
	ck_assert_str_eq(function_name(l, 0), "inner");
	ck_assert_str_eq(function_name(l, 1), "middle");
	ck_assert_str_eq(function_name(l, 2), "outer");
	ck_assert_int_eq(l->line[0]->line, 11);
	ck_assert_int_eq(l->line[0]->column, 7);
	ck_assert_int_eq(function_of(l->line[0]->function_id)->start_line, 3);
	ck_assert_str_eq(text(function_of(l->line[2]->function_id)->filename), "a.c");
	ck_assert_uint_eq(msg->n_function, 3);
	ck_assert_uint_eq(location_at(ADDR_TWIN, NULL)->line[0]->function_id, l->line[2]->function_id);
	ck_assert(msg->mapping[0]->has_inline_frames);
	ck_assert_uint_eq(msg->sample[0]->location_id[0], l->id);
}
END_TEST

START_TEST(encode_sets_flags_of_a_mapping_by_what_it_has)
{
	add(frame(&app, 0x5200), frame(&jit, 0x9100), 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert(msg->mapping[0]->has_functions);
	ck_assert(msg->mapping[0]->has_filenames);
	ck_assert(msg->mapping[0]->has_line_numbers);
	ck_assert(!msg->mapping[0]->has_inline_frames);
	ck_assert(msg->mapping[1]->has_functions);
	ck_assert(!msg->mapping[1]->has_filenames);
	ck_assert(!msg->mapping[1]->has_line_numbers);
}
END_TEST

START_TEST(encode_functions_only_claims_functions_only)
{
	add(frame(&app, ADDR_PLAIN), frame(&app, 0x5200), 1);
	encode(SN_SYMBOLIZE_FUNCTIONS);
	ck_assert(msg->mapping[0]->has_functions);
	ck_assert(!msg->mapping[0]->has_filenames);
	ck_assert(!msg->mapping[0]->has_line_numbers);
	ck_assert(!msg->mapping[0]->has_inline_frames);
}
END_TEST

START_TEST(encode_without_symbols_claims_nothing_and_keeps_pseudo_names)
{
	add(sn_profile_frame(&profile, 0, NULL, SN_PSEUDO_NOT_SAMPLED), frame(&app, 0x5200), 1);
	add(frame(&lib, 0x1100), frame(NULL, 0x77), 1);
	encode(SN_SYMBOLIZE_NONE);
	ck_assert_int_eq(batches, 0);
	for (size_t i = 0; i < msg->n_mapping; i++)
		ck_assert(!msg->mapping[i]->has_functions && !msg->mapping[i]->has_filenames &&
			!msg->mapping[i]->has_line_numbers && !msg->mapping[i]->has_inline_frames);
	ck_assert_uint_eq(location_at(0x5200, NULL)->n_line, 0);
	ck_assert_uint_eq(location_at(0x77, NULL)->n_line, 0);
	ck_assert_uint_eq(location_at(0, "[not sampled]")->n_line, 1);
	ck_assert_str_eq(text(msg->mapping[0]->build_id), "ab01ff");
}
END_TEST

START_TEST(encode_pseudo_frames_lie_in_no_mapping)
{
	for (unsigned i = SN_PSEUDO_NONE + 1; i < SN_PSEUDO_COUNT; i++)
		add(sn_profile_frame(&profile, 0, NULL, i), frame(&app, 0x5200), i);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_location, SN_PSEUDO_COUNT);
	for (unsigned i = SN_PSEUDO_NONE + 1; i < SN_PSEUDO_COUNT; i++) {
		const location_msg *l = location_at(0, sn_pseudo_name(i));

		ck_assert_ptr_nonnull(l);
		ck_assert_uint_eq(l->mapping_id, 0);
		ck_assert_uint_eq(l->n_line, 1);
	}
}
END_TEST

START_TEST(encode_frame_in_no_module_is_named_by_its_address)
{
	add(frame(NULL, 0xdeadbeef), frame(&app, 0x5200), 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(location_at(0xdeadbeef, "[unknown]+0xdeadbeef")->mapping_id, 0);
}
END_TEST

START_TEST(encode_location_without_symbol_gets_module_and_offset)
{
	add(frame(&app, ADDR_NAMELESS), frame(&app, 0x5200), 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_ptr_nonnull(location_at(ADDR_NAMELESS, "app+0x1102"));
}
END_TEST

START_TEST(encode_bytes_that_are_no_utf8_become_question_marks)
{
	const location_msg *l;

	(void)sn_profile_label(&profile, "na\xc0\xafme", NULL);
	ck_assert_int_eq(sn_profile_comment(&profile, "\xf8 comment"), 0);
	add2(frame(&app, ADDR_BAD_TEXT), frame(&app, 0x5200), 0, 0, 0, 1);
	encode(SN_SYMBOLIZE_LINES);
	l = location_at(ADDR_BAD_TEXT, NULL);
	ck_assert_str_eq(function_name(l, 0), "bad??" "(???name\xc3\xa9");
	ck_assert_str_eq(text(function_of(l->line[0]->function_id)->filename), "?.c");
	ck_assert_str_eq(text(msg->sample[0]->label[0]->str), "na??me");
	ck_assert_str_eq(text(msg->comment[0]), "? comment");
}
END_TEST

START_TEST(encode_name_of_a_megabyte_is_whole)
{
	enum { LONG = 1 << 20 };
	char *name = malloc(LONG + 1);

	ck_assert_ptr_nonnull(name);
	memset(name, 'x', LONG);
	name[LONG] = '\0';
	name[7] = '\xff';
	(void)sn_profile_label(&profile, name, NULL);
	free(name);
	add2(frame(&app, 0x5100), frame(&app, 0x5200), 0, 0, 0, 1);
	encode(SN_SYMBOLIZE_FUNCTIONS);
	ck_assert_uint_eq(strlen(text(msg->sample[0]->label[0]->str)), LONG);
	ck_assert_int_eq(text(msg->sample[0]->label[0]->str)[7], '?');
}
END_TEST

START_TEST(encode_rows_that_differ_by_group_only_makes_one_sample)
{
	add2(frame(&app, 0x5100), frame(&app, 0x5200), SN_NO_LABEL, 0, 1, 3);
	add2(frame(&app, 0x5100), frame(&app, 0x5200), SN_NO_LABEL, 0, 2, 4);
	add2(frame(&app, 0x5100), frame(&app, 0x5200), SN_NO_LABEL, 9, 2, 5);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_sample, 2);
	ck_assert_int_eq(msg->sample[0]->value[0], 7);
	ck_assert_int_eq(msg->sample[1]->value[0], 5);
}
END_TEST

START_TEST(encode_row_of_count_0_leaves_no_trace)
{
	add(frame(&app, 0x5100), frame(&app, 0x5200), 3);
	add(frame(&lib, 0x1100), frame(&lib, 0x1200), 3);
	profile.rows[1].count = 0;
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_sample, 1);
	ck_assert_uint_eq(msg->n_mapping, 1);
	ck_assert_uint_eq(msg->n_location, 2);
}
END_TEST

START_TEST(encode_labels_gives_text_and_number_with_unit)
{
	uint32_t label = sn_profile_label(&profile, "worker", NULL);

	add2(frame(&app, 0x5100), frame(&app, 0x5200), label, 4711, 0, 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->sample[0]->n_label, 2);
	ck_assert_str_eq(text(msg->sample[0]->label[0]->key), "thread");
	ck_assert_str_eq(text(msg->sample[0]->label[0]->str), "worker");
	ck_assert_str_eq(text(msg->sample[0]->label[1]->key), "thread_id");
	ck_assert_int_eq(msg->sample[0]->label[1]->num, 4711);
	ck_assert_str_eq(text(msg->sample[0]->label[1]->num_unit), "count");
}
END_TEST

START_TEST(encode_thread_without_a_name_has_no_label)
{
	uint32_t label = sn_profile_label(&profile, "", NULL);

	add2(frame(&app, 0x5100), frame(&app, 0x5200), label, 0, 0, 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->sample[0]->n_label, 0);
}
END_TEST

START_TEST(encode_comments_in_their_order)
{
	ck_assert_int_eq(sn_profile_comment(&profile, "signals=%d", 9), 0);
	ck_assert_int_eq(sn_profile_comment(&profile, "# detail"), 0);
	encode(SN_SYMBOLIZE_NONE);
	ck_assert_uint_eq(msg->n_comment, 2);
	ck_assert_str_eq(text(msg->comment[0]), "signals=9");
	ck_assert_str_eq(text(msg->comment[1]), "# detail");
}
END_TEST

START_TEST(encode_names_that_fell_back_counts_those_of_this_profile)
{
	fake_counters.unsymbolized = 1000;	/* of profiles before this one */
	add2(frame(&app, ADDR_PLAIN), frame(&app, 0x5200), SN_NO_LABEL, 0, 0, 1);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->n_comment, 2);
	ck_assert_str_eq(text(msg->comment[0]), "# unsymbolized=1: locations named module+0xoffset only");
}
END_TEST

START_TEST(encode_values_beyond_63_bits_stay_at_the_largest)
{
	add(frame(&app, 0x5100), frame(&app, 0x5200), UINT64_MAX);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_int_eq(msg->sample[0]->value[0], INT64_MAX);
	ck_assert_int_eq(msg->sample[0]->value[1], INT64_MAX);
}
END_TEST

START_TEST(encode_stack_of_1024_frames_keeps_all)
{
	uint32_t ids[1024];

	for (uint32_t i = 0; i < 1024; i++)
		ids[i] = frame(&app, 0x5200 + i);
	ck_assert_int_eq(sn_profile_add(&profile, sn_profile_stack(&profile, ids, 1024), SN_NO_LABEL, 0, 0, 1), 0);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(msg->sample[0]->n_location_id, 1024);
	for (uint32_t i = 0; i < 1024; i++)
		ck_assert_uint_eq(msg->location[msg->sample[0]->location_id[i] - 1]->address, 0x5200 + i);
}
END_TEST

START_TEST(encode_100000_rows_keeps_the_total)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		add2(frame(&app, 0x5200 + i % 1000), frame(&lib, 0x1000 + i / 1000), SN_NO_LABEL, (int32_t)(i % 3), 0,
			1 + i % 11);
		sum += 1 + i % 11;
	}
	encode(SN_SYMBOLIZE_FUNCTIONS);
	ck_assert_uint_eq(msg->n_sample, 100000);
	ck_assert_uint_eq(msg->n_location, 1100);
	ck_assert_uint_eq(total(), sum);
}
END_TEST

START_TEST(encode_twice_gives_equal_bytes)
{
	struct sn_buf again = { 0 };

	add(frame(&app, 0x5100), frame(&app, 0x5200), 1);
	add(frame(&lib, 0x1100), frame(&app, 0x5200), 1);
	add(frame(&app, 0x5104), frame(&app, 0x5200), 2);
	encode(SN_SYMBOLIZE_LINES);
	lines_used = 0;
	ck_assert_int_eq(sn_pprof_encode(&profile, (struct sn_symbolizer *)&profile, SN_SYMBOLIZE_LINES, &again), 0);
	ck_assert_uint_eq(again.len, out.len);
	ck_assert_int_eq(memcmp(again.data, out.data, out.len), 0);
	sn_buf_free(&again);
}
END_TEST

START_TEST(encode_appends_to_what_the_buffer_holds)
{
	sn_buf_put(&out, "head", 4);
	ck_assert_int_eq(sn_pprof_encode(&profile, NULL, SN_SYMBOLIZE_LINES, &out), 0);
	ck_assert_int_eq(memcmp(out.data, "head\x1f\x8b", 6), 0);
}
END_TEST

START_TEST(encode_after_failed_symbolizer_gives_its_error_and_no_bytes)
{
	symbolize_error = -ENOMEM;
	add(frame(&app, 0x5100), frame(&app, 0x5200), 1);
	ck_assert_int_eq(sn_pprof_encode(&profile, (struct sn_symbolizer *)&profile, SN_SYMBOLIZE_LINES, &out),
		-ENOMEM);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(gzip_any_length_comes_back_the_same)
{
	static const size_t lengths[] = { 0, 1, 65535, 65536, 300000 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct sn_buf plain = { 0 }, packed = { 0 }, back;

		for (size_t k = 0; k < lengths[i]; k++)
			sn_buf_put(&plain, &(uint8_t){ (uint8_t)((k * k * 2654435761u) >> 24) }, 1);
		ck_assert_int_eq(sn_gzip(plain.data, plain.len, &packed), 0);
		ck_assert_int_eq(memcmp(packed.data + 4, "\0\0\0\0", 4), 0);	/* no time */
		back = gunzip(packed.data, packed.len);
		ck_assert_uint_eq(back.len, plain.len);
		ck_assert(plain.len == 0 || memcmp(back.data, plain.data, plain.len) == 0);
		sn_buf_free(&plain);
		sn_buf_free(&packed);
		sn_buf_free(&back);
	}
}
END_TEST

/* SN_KEEP_PROFILE=FILE keeps it, for people to open in pprof. */
static void
keep(void)
{
	const char *path = getenv("SN_KEEP_PROFILE");
	FILE *f;

	if (path == NULL)
		return;
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(out.data, 1, out.len, f), out.len);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(encode_everything_at_once_is_valid)
{
	uint32_t label = sn_profile_label(&profile, "worker", NULL);

	add2(frame(&app, ADDR_INLINED), frame(&app, 0x5200), label, 4711, 0, 50);
	add2(frame(&lib, 0x1100), frame(&app, 0x5200), label, 4712, 0, 30);
	add(frame(&jit, 0x9100), frame(NULL, 0x77), 5);
	for (unsigned i = SN_PSEUDO_NONE + 1; i < SN_PSEUDO_COUNT; i++)
		add(sn_profile_frame(&profile, 0, NULL, i), frame(&app, 0x5300), 1);
	ck_assert_int_eq(sn_profile_comment(&profile, "signals=92"), 0);
	ck_assert_int_eq(sn_profile_comment(&profile, "# only by -comments"), 0);
	encode(SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(total(), 85 + SN_PSEUDO_COUNT - 1);
	keep();
}
END_TEST

static Suite *
pprof_suite(void)
{
	Suite *s = suite_create("pprof");
	TCase *t = tcase_create("pprof");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, encode_nothing_sampled_still_names_the_main_binary);
	tcase_add_test(t, encode_without_main_module_still_has_a_first_mapping);
	tcase_add_test(t, encode_modules_puts_main_first_and_others_by_start);
	tcase_add_test(t, encode_two_objects_of_one_mapping_makes_one);
	tcase_add_test(t, encode_inlined_calls_gives_one_location_innermost_first);
	tcase_add_test(t, encode_sets_flags_of_a_mapping_by_what_it_has);
	tcase_add_test(t, encode_functions_only_claims_functions_only);
	tcase_add_test(t, encode_without_symbols_claims_nothing_and_keeps_pseudo_names);
	tcase_add_test(t, encode_pseudo_frames_lie_in_no_mapping);
	tcase_add_test(t, encode_frame_in_no_module_is_named_by_its_address);
	tcase_add_test(t, encode_location_without_symbol_gets_module_and_offset);
	tcase_add_test(t, encode_bytes_that_are_no_utf8_become_question_marks);
	tcase_add_test(t, encode_name_of_a_megabyte_is_whole);
	tcase_add_test(t, encode_rows_that_differ_by_group_only_makes_one_sample);
	tcase_add_test(t, encode_row_of_count_0_leaves_no_trace);
	tcase_add_test(t, encode_labels_gives_text_and_number_with_unit);
	tcase_add_test(t, encode_thread_without_a_name_has_no_label);
	tcase_add_test(t, encode_comments_in_their_order);
	tcase_add_test(t, encode_names_that_fell_back_counts_those_of_this_profile);
	tcase_add_test(t, encode_values_beyond_63_bits_stay_at_the_largest);
	tcase_add_test(t, encode_stack_of_1024_frames_keeps_all);
	tcase_add_test(t, encode_100000_rows_keeps_the_total);
	tcase_add_test(t, encode_twice_gives_equal_bytes);
	tcase_add_test(t, encode_appends_to_what_the_buffer_holds);
	tcase_add_test(t, encode_after_failed_symbolizer_gives_its_error_and_no_bytes);
	tcase_add_test(t, encode_everything_at_once_is_valid);
	tcase_add_test(t, gzip_any_length_comes_back_the_same);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(pprof_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

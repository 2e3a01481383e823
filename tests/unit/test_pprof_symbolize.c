/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pprof_symbolize.c - a profile written without names gets those that it would have had.
 */
#include <errno.h>
#include <sys/stat.h>

#include "pprof_check.h"
#include "pprof_self.h"

/* ---- reading and comparing ---- */

static void
free_message(void)
{
	if (msg != NULL)
		perftools__profiles__profile__free_unpacked(msg, NULL);
	msg = NULL;
}

static struct sn_buf
symbolized(const struct sn_buf *in, pid_t pid, enum sn_symbolize how)
{
	struct sn_buf out = { 0 };

	ck_assert_int_eq(sn_pprof_symbolize(in->data, in->len, pid, how, &out, &filled), 0);
	return out;
}

static const char *
text_in(const profile_msg *m, int64_t number)
{
	ck_assert_uint_lt((uint64_t)number, m->n_string_table);
	return m->string_table[number];
}

static const function_msg *
function_in(const profile_msg *m, uint64_t id)
{
	ck_assert_uint_ge(id, 1);
	ck_assert_uint_le(id, m->n_function);
	ck_assert_uint_eq(m->function[id - 1]->id, id);
	return m->function[id - 1];
}

static void
same_lines(const profile_msg *a, const location_msg *la, const profile_msg *b, const location_msg *lb)
{
	ck_assert_uint_eq(la->n_line, lb->n_line);
	for (size_t k = 0; k < la->n_line; k++) {
		const function_msg *fa = function_in(a, la->line[k]->function_id);
		const function_msg *fb = function_in(b, lb->line[k]->function_id);

		ck_assert_str_eq(text_in(a, fa->name), text_in(b, fb->name));
		ck_assert_str_eq(text_in(a, fa->system_name), text_in(b, fb->system_name));
		ck_assert_str_eq(text_in(a, fa->filename), text_in(b, fb->filename));
		ck_assert_int_eq(fa->start_line, fb->start_line);
		ck_assert_int_eq(la->line[k]->line, lb->line[k]->line);
		ck_assert_int_eq(la->line[k]->column, lb->line[k]->column);
	}
}

/* What samples, labels, times and comments of b say is what those of a say. */
static void
same_samples(const profile_msg *a, const profile_msg *b)
{
	ck_assert_int_eq(a->time_nanos, b->time_nanos);
	ck_assert_int_eq(a->duration_nanos, b->duration_nanos);
	ck_assert_int_eq(a->period, b->period);
	ck_assert_uint_eq(a->n_sample, b->n_sample);
	for (size_t i = 0; i < a->n_sample; i++) {
		const sample_msg *x = a->sample[i], *y = b->sample[i];

		ck_assert_uint_eq(x->n_location_id, y->n_location_id);
		ck_assert_mem_eq(x->location_id, y->location_id, x->n_location_id * sizeof(uint64_t));
		ck_assert_uint_eq(x->n_value, y->n_value);
		ck_assert_mem_eq(x->value, y->value, x->n_value * sizeof(int64_t));
		ck_assert_uint_eq(x->n_label, y->n_label);
		for (size_t k = 0; k < x->n_label; k++) {
			ck_assert_str_eq(text_in(a, x->label[k]->key), text_in(b, y->label[k]->key));
			ck_assert_str_eq(text_in(a, x->label[k]->str), text_in(b, y->label[k]->str));
		}
	}
	ck_assert_uint_le(a->n_comment, b->n_comment);
	for (size_t i = 0; i < b->n_comment; i++)	/* a counter is said once, however often it was counted */
		for (size_t k = 0; k < i; k++)
			ck_assert_int_ne(strncmp(text_in(b, b->comment[i]), text_in(b, b->comment[k]), 12), 0);
	for (size_t i = 0; i < a->n_comment; i++)
		if (text_in(a, a->comment[i])[0] != '#')
			ck_assert_str_eq(text_in(a, a->comment[i]), text_in(b, b->comment[i]));
}

static void
same_places(const profile_msg *a, const profile_msg *b)
{
	ck_assert_uint_eq(a->n_mapping, b->n_mapping);
	for (size_t i = 0; i < a->n_mapping; i++) {
		const mapping_msg *x = a->mapping[i], *y = b->mapping[i];

		ck_assert_uint_eq(x->id, y->id);
		ck_assert_uint_eq(x->memory_start, y->memory_start);
		ck_assert_uint_eq(x->memory_limit, y->memory_limit);
		ck_assert_uint_eq(x->file_offset, y->file_offset);
		ck_assert_str_eq(text_in(a, x->filename), text_in(b, y->filename));
		ck_assert_str_eq(text_in(a, x->build_id), text_in(b, y->build_id));
		ck_assert_int_eq(x->has_functions, y->has_functions);
		ck_assert_int_eq(x->has_filenames, y->has_filenames);
		ck_assert_int_eq(x->has_line_numbers, y->has_line_numbers);
		ck_assert_int_eq(x->has_inline_frames, y->has_inline_frames);
	}
	ck_assert_uint_eq(a->n_location, b->n_location);
	for (size_t i = 0; i < a->n_location; i++) {
		ck_assert_uint_eq(a->location[i]->id, b->location[i]->id);
		ck_assert_uint_eq(a->location[i]->mapping_id, b->location[i]->mapping_id);
		ck_assert_uint_eq(a->location[i]->address, b->location[i]->address);
		same_lines(a, a->location[i], b, b->location[i]);
	}
}

/* ---- tests ---- */

static void
round_trip(enum sn_symbolize before, enum sn_symbolize after, pid_t pid)
{
	struct sn_buf plain, wanted, got, raw;
	profile_msg *w, *p;

	sample_everything();
	plain = encoded(before);
	wanted = encoded(after);
	got = symbolized(&plain, pid, after);
	msg = unpacked(&got);
	w = unpacked(&wanted);
	p = unpacked(&plain);
	raw = gunzip(got.data, got.len);
	ck_assert_int_eq(times_field(&raw, 9), 1);	/* pprof would take the last of two */
	sn_buf_free(&raw);
	ck_assert_uint_eq(total(), sn_profile_total(&profile));
	check_strings();
	check_header(&profile);
	check_mappings();
	check_locations(true);
	check_samples(10000000);
	same_samples(p, msg);
	same_samples(w, msg);
	same_places(w, msg);
	ck_assert_uint_gt(filled.looked_up, 40);
	ck_assert_uint_eq(filled.other_files + filled.missing_files, 0);
	perftools__profiles__profile__free_unpacked(w, NULL);
	perftools__profiles__profile__free_unpacked(p, NULL);
	sn_buf_free(&plain);
	sn_buf_free(&wanted);
	sn_buf_free(&got);
}

START_TEST(symbolize_addresses_alone_gives_the_lines_that_encoding_gives)
{
	volatile int n = 1;

	ck_assert_int_ne(outermost(&n), another(&n));
	round_trip(SN_SYMBOLIZE_NONE, SN_SYMBOLIZE_LINES, getpid());
	/* Not all alike: chains, names without a file, memory. */
	ck_assert_uint_ge(location_at((uintptr_t)outermost + 4, NULL)->n_line, 1);
	ck_assert_str_eq(function_name(location_at(0x1234, NULL), 0), "[unknown]+0x1234");
}
END_TEST

START_TEST(symbolize_without_the_process_finds_the_files_by_name)
{
	round_trip(SN_SYMBOLIZE_NONE, SN_SYMBOLIZE_LINES, 0);
}
END_TEST

START_TEST(symbolize_functions_only_gives_what_encoding_gives)
{
	round_trip(SN_SYMBOLIZE_NONE, SN_SYMBOLIZE_FUNCTIONS, getpid());
}
END_TEST

START_TEST(symbolize_functions_again_gives_their_lines)
{
	round_trip(SN_SYMBOLIZE_FUNCTIONS, SN_SYMBOLIZE_LINES, getpid());
}
END_TEST

START_TEST(symbolize_what_has_names_changes_nothing)
{
	struct sn_buf once, twice, plain;

	sample_everything();
	plain = encoded(SN_SYMBOLIZE_NONE);
	once = symbolized(&plain, 0, SN_SYMBOLIZE_LINES);
	twice = symbolized(&once, 0, SN_SYMBOLIZE_LINES);
	ck_assert_uint_eq(once.len, twice.len);
	ck_assert_mem_eq(once.data, twice.data, once.len);
	sn_buf_free(&twice);
	twice = symbolized(&once, 0, SN_SYMBOLIZE_FUNCTIONS);
	ck_assert_uint_eq(once.len, twice.len);
	sn_buf_free(&plain);
	sn_buf_free(&once);
	sn_buf_free(&twice);
}
END_TEST

static void
left_alone(profile_msg *m, size_t mapping)
{
	struct sn_buf in = packed(m), out = symbolized(&in, 0, SN_SYMBOLIZE_LINES);
	size_t bare = 0, named = 0;

	msg = unpacked(&out);
	for (size_t i = 0; i < msg->n_location; i++) {
		bare += msg->location[i]->n_line == 0;
		named += msg->location[i]->n_line > 0;
		ck_assert_int_eq(msg->location[i]->n_line == 0, msg->location[i]->mapping_id == mapping + 1);
	}
	ck_assert_uint_gt(bare, 0);
	ck_assert_uint_gt(named, 0);
	ck_assert(!msg->mapping[mapping]->has_functions);
	sn_buf_free(&in);
	sn_buf_free(&out);
	perftools__profiles__profile__free_unpacked(m, NULL);
}

START_TEST(symbolize_file_with_another_build_id_is_left_alone)
{
	profile_msg *m = plain_message();

	if (m->mapping[0]->build_id == 0) {
		printf("test_pprof_symbolize: this linker makes no build ids; nothing to compare\n");
		return;
	}
	put_text(m, m->mapping[0]->build_id, "00112233445566778899");
	left_alone(m, 0);
	ck_assert_uint_eq(filled.other_files, 1);
	ck_assert_uint_eq(filled.missing_files, 0);
}
END_TEST

START_TEST(symbolize_file_that_is_gone_is_left_alone)
{
	profile_msg *m = plain_message();

	put_text(m, m->mapping[0]->filename, "/nonexistent/program");
	left_alone(m, 0);
	ck_assert_uint_eq(filled.missing_files, 1);
	ck_assert_uint_eq(filled.other_files, 0);
}
END_TEST

START_TEST(symbolize_what_is_no_file_is_left_alone)
{
	static const char *const names[] = { "/tmp", "/dev/null", "relative", "", "/tmp/x\ny", "[heap]", "." };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		profile_msg *m = plain_message();

		put_text(m, m->mapping[0]->filename, names[i]);
		left_alone(m, 0);
		ck_assert_uint_eq(filled.missing_files, 1);
		free_message();
		teardown();
		setup();
	}
}
END_TEST

START_TEST(symbolize_file_with_a_newline_in_its_name_is_found)
{
	char dir[] = "/tmp/sonde-test-XXXXXX", command[512], path[64];
	profile_msg *m = plain_message();
	struct sn_buf in, out;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a\nb", dir);
	(void)snprintf(command, sizeof(command), "cp /proc/%d/exe '%s'", (int)getpid(), path);
	ck_assert_int_eq(system(command), 0);
	put_text(m, m->mapping[0]->filename, path);
	in = packed(m);
	out = symbolized(&in, 0, SN_SYMBOLIZE_LINES);
	(void)unlink(path);
	(void)rmdir(dir);
	msg = unpacked(&out);
	check_locations(true);
	ck_assert_uint_eq(filled.missing_files, 0);
	sn_buf_free(&in);
	sn_buf_free(&out);
	perftools__profiles__profile__free_unpacked(m, NULL);
}
END_TEST

START_TEST(symbolize_addresses_outside_their_mapping_are_left_alone)
{
	profile_msg *m = plain_message();
	struct sn_buf in, out;

	m->location[0]->address = m->mapping[0]->memory_limit;
	m->location[1]->address = m->mapping[0]->memory_start - 1;
	in = packed(m);
	out = symbolized(&in, 0, SN_SYMBOLIZE_LINES);
	msg = unpacked(&out);
	ck_assert_uint_eq(msg->location[0]->n_line, 0);
	ck_assert_uint_eq(msg->location[1]->n_line, 0);
	ck_assert_uint_gt(msg->location[2]->n_line, 0);
	ck_assert(!msg->mapping[0]->has_functions);
	sn_buf_free(&in);
	sn_buf_free(&out);
	perftools__profiles__profile__free_unpacked(m, NULL);
}
END_TEST

START_TEST(symbolize_name_that_says_more_than_an_offset_is_kept)
{
	struct sn_buf plain, in, out;
	location_msg *jit;
	profile_msg *m;

	sample_everything();
	plain = encoded(SN_SYMBOLIZE_FUNCTIONS);
	m = unpacked(&plain);
	msg = m;
	jit = NULL;
	for (size_t i = 0; i < m->n_location; i++)
		if (m->location[i]->mapping_id != 0 && strcmp(function_name(m->location[i], 0), "[anon]+0x10") == 0)
			jit = m->location[i];
	ck_assert_ptr_nonnull(jit);
	put_text(m, m->function[jit->line[0]->function_id - 1]->name, "jit_compiled");
	m->function[jit->line[0]->function_id - 1]->start_line = INT64_MAX;
	in = packed(m);
	out = symbolized(&in, 0, SN_SYMBOLIZE_LINES);
	msg = unpacked(&out);
	jit = msg->location[jit->id - 1];
	ck_assert_str_eq(function_name(jit, 0), "jit_compiled");
	ck_assert_int_eq(function_of(jit->line[0]->function_id)->start_line, INT64_MAX);
	sn_buf_free(&plain);
	sn_buf_free(&in);
	sn_buf_free(&out);
	perftools__profiles__profile__free_unpacked(m, NULL);
}
END_TEST

START_TEST(symbolize_ids_with_gaps_keep_their_meaning)
{
	profile_msg *m = plain_message();
	struct sn_buf in, out, wanted = encoded(SN_SYMBOLIZE_LINES);
	profile_msg *w = unpacked(&wanted);

	for (size_t i = 0; i < m->n_location; i++) {
		m->location[i]->id = UINT64_MAX - 3 * m->location[i]->id;
		if (m->location[i]->mapping_id != 0)
			m->location[i]->mapping_id = m->location[i]->mapping_id << 40;
		for (size_t k = 0; k < m->location[i]->n_line; k++)
			m->location[i]->line[k]->function_id += 1000;
	}
	for (size_t i = 0; i < m->n_mapping; i++)
		m->mapping[i]->id <<= 40;
	for (size_t i = 0; i < m->n_function; i++)
		m->function[i]->id += 1000;
	for (size_t i = 0; i < m->n_sample; i++)
		for (size_t k = 0; k < m->sample[i]->n_location_id; k++)
			m->sample[i]->location_id[k] = UINT64_MAX - 3 * m->sample[i]->location_id[k];
	in = packed(m);
	out = symbolized(&in, getpid(), SN_SYMBOLIZE_LINES);
	msg = unpacked(&out);
	same_samples(m, msg);
	for (size_t i = 0; i < w->n_location; i++) {
		ck_assert_uint_eq(msg->location[i]->mapping_id, w->location[i]->mapping_id << 40);
		same_lines(w, w->location[i], msg, msg->location[i]);
	}
	sn_buf_free(&in);
	sn_buf_free(&out);
	sn_buf_free(&wanted);
	perftools__profiles__profile__free_unpacked(m, NULL);
	perftools__profiles__profile__free_unpacked(w, NULL);
}
END_TEST

static Suite *
symbolize_suite(void)
{
	Suite *s = suite_create("pprof_symbolize");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_checked_fixture(t, NULL, free_message);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, symbolize_addresses_alone_gives_the_lines_that_encoding_gives);
	tcase_add_test(t, symbolize_without_the_process_finds_the_files_by_name);
	tcase_add_test(t, symbolize_functions_only_gives_what_encoding_gives);
	tcase_add_test(t, symbolize_functions_again_gives_their_lines);
	tcase_add_test(t, symbolize_what_has_names_changes_nothing);
	tcase_add_test(t, symbolize_file_with_another_build_id_is_left_alone);
	tcase_add_test(t, symbolize_file_that_is_gone_is_left_alone);
	tcase_add_test(t, symbolize_what_is_no_file_is_left_alone);
	tcase_add_test(t, symbolize_file_with_a_newline_in_its_name_is_found);
	tcase_add_test(t, symbolize_addresses_outside_their_mapping_are_left_alone);
	tcase_add_test(t, symbolize_name_that_says_more_than_an_offset_is_kept);
	tcase_add_test(t, symbolize_ids_with_gaps_keep_their_meaning);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(symbolize_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

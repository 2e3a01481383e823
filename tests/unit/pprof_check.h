/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_check.h - read a profile back by protobuf-c and hold it against the rules of pprof.
 *
 * Runs in:  unit tests.  msg is the profile at hand, set by the test.
 */
#ifndef SN_TESTS_UNIT_PPROF_CHECK_H
#define SN_TESTS_UNIT_PPROF_CHECK_H

#include <check.h>
#include <string.h>
#include <zlib.h>

#include "encode/pprof.h"
#include "encode/table.h"
#include "proto/profile.pb-c.h"

typedef Perftools__Profiles__Profile profile_msg;
typedef Perftools__Profiles__Location location_msg;
typedef Perftools__Profiles__Mapping mapping_msg;
typedef Perftools__Profiles__Function function_msg;
typedef Perftools__Profiles__Sample sample_msg;

static profile_msg *msg;

static struct sn_buf
gunzip(const uint8_t *data, size_t len)
{
	struct sn_buf raw = { 0 };
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)len };
	int status = Z_OK;

	ck_assert_int_eq(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
	while (status == Z_OK) {
		z.next_out = sn_buf_room(&raw, 65536);
		z.avail_out = 65536;
		status = inflate(&z, Z_NO_FLUSH);
		raw.len += 65536 - z.avail_out;
	}
	ck_assert_int_eq(status, Z_STREAM_END);
	ck_assert_uint_eq(z.avail_in, 0);
	ck_assert_int_eq(inflateEnd(&z), Z_OK);
	return raw;
}

static const char *
text(int64_t number)
{
	ck_assert_int_ge(number, 0);
	ck_assert_uint_lt((uint64_t)number, msg->n_string_table);
	return msg->string_table[number];
}

static const function_msg *
function_of(uint64_t id)
{
	ck_assert_uint_ge(id, 1);
	ck_assert_uint_le(id, msg->n_function);
	return msg->function[id - 1];
}

static const char *
function_name(const location_msg *location, size_t line)
{
	ck_assert_uint_lt(line, location->n_line);
	return text(function_of(location->line[line]->function_id)->name);
}

static void
check_strings(void)
{
	ck_assert_uint_ge(msg->n_string_table, 1);
	ck_assert_str_eq(msg->string_table[0], "");
	for (size_t i = 0; i < msg->n_string_table; i++) {
		for (size_t k = 0; k < i && msg->n_string_table < 1000; k++)
			ck_assert_str_ne(msg->string_table[i], msg->string_table[k]);
		for (const char *s = msg->string_table[i]; *s != '\0'; s += sn_utf8_length(s))
			ck_assert_uint_gt(sn_utf8_length(s), 0);
	}
}

static void
check_header(const struct sn_profile *profile)
{
	ck_assert_uint_eq(msg->n_sample_type, 2);
	ck_assert_str_eq(text(msg->sample_type[0]->type), "samples");
	ck_assert_str_eq(text(msg->sample_type[0]->unit), "count");
	ck_assert_str_eq(text(msg->sample_type[1]->type), "cpu");
	ck_assert_str_eq(text(msg->sample_type[1]->unit), "nanoseconds");
	ck_assert_str_eq(text(msg->period_type->type), "cpu");
	ck_assert_str_eq(text(msg->period_type->unit), "nanoseconds");
	ck_assert_int_eq(msg->period, (int64_t)profile->period_ns);
	ck_assert_int_eq(msg->time_nanos, (int64_t)profile->time_ns);
	ck_assert_int_eq(msg->duration_nanos, (int64_t)profile->duration_ns);
	ck_assert_int_eq(msg->default_sample_type, 0);
}

static void
check_mappings(void)
{
	ck_assert_uint_ge(msg->n_mapping, 1);
	for (size_t i = 0; i < msg->n_mapping; i++) {
		const char *file = text(msg->mapping[i]->filename);

		ck_assert_uint_eq(msg->mapping[i]->id, i + 1);
		ck_assert_str_ne(file, "");
		ck_assert_ptr_null(strstr(file, "(deleted)"));
		for (size_t k = 0; k < i; k++)
			ck_assert(msg->mapping[i]->memory_start != msg->mapping[k]->memory_start ||
				strcmp(file, text(msg->mapping[k]->filename)) != 0);
		if (i > 1)
			ck_assert_uint_le(msg->mapping[i - 1]->memory_start, msg->mapping[i]->memory_start);
	}
}

/* Ids dense from 1, each address once in its mapping and inside of it, every line's function there. */
static void
check_locations(bool named)
{
	for (size_t i = 0; i < msg->n_location; i++) {
		const location_msg *l = msg->location[i];

		ck_assert_uint_eq(l->id, i + 1);
		ck_assert_uint_le(l->mapping_id, msg->n_mapping);
		if (l->mapping_id != 0) {
			ck_assert_uint_ge(l->address, msg->mapping[l->mapping_id - 1]->memory_start);
			ck_assert_uint_lt(l->address, msg->mapping[l->mapping_id - 1]->memory_limit);
		}
		if (named)
			ck_assert_uint_ge(l->n_line, 1);
		for (size_t k = 0; k < l->n_line; k++)
			ck_assert_str_ne(function_name(l, k), "");
		if (i > 0 && l->mapping_id == msg->location[i - 1]->mapping_id && l->address != 0)
			ck_assert_uint_gt(l->address, msg->location[i - 1]->address);
	}
	for (size_t i = 0; i < msg->n_function; i++) {
		ck_assert_uint_eq(msg->function[i]->id, i + 1);
		(void)text(msg->function[i]->system_name);
		(void)text(msg->function[i]->filename);
	}
}

static void
check_samples(int64_t period)
{
	for (size_t i = 0; i < msg->n_sample; i++) {
		const sample_msg *s = msg->sample[i];

		ck_assert_uint_eq(s->n_value, 2);
		ck_assert_int_gt(s->value[0], 0);
		if (s->value[0] < INT64_MAX / period)
			ck_assert_int_eq(s->value[1], s->value[0] * period);
		ck_assert_uint_ge(s->n_location_id, 1);
		for (size_t k = 0; k < s->n_location_id; k++) {
			ck_assert_uint_ge(s->location_id[k], 1);
			ck_assert_uint_le(s->location_id[k], msg->n_location);
		}
		for (size_t k = 0; k < s->n_label; k++) {
			ck_assert_str_ne(text(s->label[k]->key), "");
			ck_assert((s->label[k]->str != 0) != (s->label[k]->num_unit != 0));
			for (size_t m = 0; m < k; m++)
				ck_assert_int_ne(s->label[k]->key, s->label[m]->key);
		}
		if (i > 0)
			ck_assert_int_ge(msg->sample[i - 1]->value[0], s->value[0]);
	}
}

/* How often a field of the message occurs on the wire. */
static int
times_field(const struct sn_buf *raw, uint64_t wanted)
{
	size_t at = 0;
	int times = 0;

	while (at < raw->len) {
		uint64_t number[2] = { 0 };
		int parts = 1;

		for (int part = 0; part < parts; part++) {
			int shift = 0;
			uint8_t byte;

			do {
				ck_assert_uint_lt(at, raw->len);
				byte = raw->data[at++];
				number[part] |= (uint64_t)(byte & 0x7f) << shift;
				shift += 7;
			} while (byte & 0x80);
			parts = 2;
		}
		times += number[0] >> 3 == wanted;
		ck_assert((number[0] & 7) == 0 || (number[0] & 7) == 2);
		if ((number[0] & 7) == 2)
			at += number[1];
	}
	ck_assert_uint_eq(at, raw->len);
	return times;
}

/* The location of an address (of a pseudo frame: 0 and its name). */
static const location_msg *
location_at(uint64_t addr, const char *name)
{
	for (size_t i = 0; i < msg->n_location; i++)
		if (msg->location[i]->address == addr &&
		    (name == NULL || strcmp(function_name(msg->location[i], 0), name) == 0))
			return msg->location[i];
	return NULL;
}

static uint64_t
total(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < msg->n_sample; i++)
		sum += (uint64_t)msg->sample[i]->value[0];
	return sum;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest_read.c - what a profile of the workload says: sonde's, gperftools', perf's or async-profiler's.
 *
 * Runs in:  the sonde command.
 * Places:   the leaf's address is looked up among the ranges that the workload told, whatever names there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encode/pprof_read.h"
#include "tools/selftest.h"

#define FILE_MAX	(128u << 20)

/* Which of the workload's functions; SN_WORK_FUNCTIONS: none. */
static unsigned
function_at(const struct sn_work_truth *t, uint64_t addr)
{
	unsigned f = 0;

	while (f < SN_WORK_FUNCTIONS && (addr < t->function[f].start || addr >= t->function[f].limit))
		f++;
	return f;
}

static unsigned
thread_of(const struct sn_work_truth *t, int32_t tid)
{
	unsigned i = 0;

	while (i < SN_WORK_THREADS && t->thread[i].tid != tid)
		i++;
	return i;
}

static bool
is_root(const struct sn_work_truth *t, uint64_t addr)
{
	return addr >= t->root.start && addr < t->root.limit;
}

static void
complain(struct sn_seen *out, const char *what, int err)
{
	(void)snprintf(out->why, sizeof(out->why), "%s: %s", what, strerror(-err));
}

/* ---- profile.proto ---- */

struct reading {
	const struct sn_work_truth *truth;
	struct sn_seen *out;
	struct sn_pprof p;
	size_t cpu, count;		/* which values of a sample */
};

static const char *
string_of(const struct reading *r, int64_t number)
{
	const sn_profile_msg *m = r->p.msg;

	return number >= 0 && (uint64_t)number < m->n_string_table ? m->string_table[number] : "";
}

static uint64_t
address_of(const struct reading *r, uint64_t id)
{
	uint32_t n = sn_ids_find(&r->p.locations, id);

	return n == UINT32_MAX ? 0 : r->p.msg->location[n]->address;
}

/* The workload's thread by the label `thread`; SN_WORK_THREADS: another one. */
static unsigned
labelled(const struct reading *r, const sn_sample_msg *s)
{
	for (size_t i = 0; i < s->n_label; i++) {
		if (strcmp(string_of(r, s->label[i]->key), "thread") != 0)
			continue;
		for (unsigned t = 0; t < SN_WORK_THREADS; t++)
			if (strcmp(string_of(r, s->label[i]->str), r->truth->thread[t].name) == 0)
				return t;
	}
	return SN_WORK_THREADS;
}

static void
take_sample(struct reading *r, const sn_sample_msg *s)
{
	uint64_t ns = s->n_value > r->cpu && s->value[r->cpu] > 0 ? (uint64_t)s->value[r->cpu] : 0;
	unsigned f = s->n_location_id > 0 ? function_at(r->truth, address_of(r, s->location_id[0])) : SN_WORK_FUNCTIONS;
	unsigned t = labelled(r, s);
	bool rooted = false;

	r->out->total_ns += ns;
	if (t < SN_WORK_THREADS)
		r->out->thread_ns[t] += ns;
	if (f == SN_WORK_FUNCTIONS)
		return;
	r->out->function_ns[f] += ns;
	for (size_t i = 1; i < s->n_location_id && !rooted; i++)
		rooted = is_root(r->truth, address_of(r, s->location_id[i]));
	if (rooted)
		r->out->rooted_ns += ns;
}

/* NAME=NUMBER behind a blank or '#'. */
static double
number_in(const char *comment, const char *name, double otherwise)
{
	size_t len = strlen(name);

	for (const char *at = comment; (at = strstr(at, name)) != NULL; at += len)
		if (at[len] == '=' && (at == comment || at[-1] == ' ' || at[-1] == '#'))
			return strtod(at + len + 1, NULL);
	return otherwise;
}

static void
word_in(const char *comment, const char *name, char *out, size_t size)
{
	const char *at = strstr(comment, name);

	if (at != NULL)
		(void)snprintf(out, size, "%.*s", (int)strcspn(at + strlen(name), " ,;"), at + strlen(name));
}

static void
take_comment(struct sn_seen *out, const char *c)
{
	if (strncmp(c, "sonde: ", 7) == 0) {
		word_in(c, "engine=", out->engine, sizeof(out->engine));
		out->lost = number_in(c, "lost", out->lost);
		out->handler = number_in(c, "handler", out->handler);
		out->collector = number_in(c, "collector", out->collector);
		out->samples = (uint64_t)number_in(c, "signals", 0);
	} else if (strncmp(c, "# engine: ", 10) == 0) {
		(void)snprintf(out->why, sizeof(out->why), "%.190s", c + 10);
	} else if (strncmp(c, "# independent=", 14) == 0) {
		out->independent = number_in(c, "independent", 0);
	}
}

static void
take_message(struct reading *r)
{
	const sn_profile_msg *m = r->p.msg;

	for (size_t i = 0; i < m->n_sample_type; i++)
		if (strcmp(string_of(r, m->sample_type[i]->type), "cpu") == 0)
			r->cpu = i;
	for (size_t i = 0; i < m->n_comment; i++)
		take_comment(r->out, string_of(r, m->comment[i]));
	for (size_t i = 0; i < m->n_sample; i++)
		take_sample(r, m->sample[i]);
	r->out->has_threads = true;
	r->out->is_read = true;
}

void
sn_read_pprof(const char *path, const struct sn_work_truth *truth, struct sn_seen *out)
{
	struct reading r = { .truth = truth, .out = out };
	struct sn_arena arena = { 0 };
	struct sn_buf b = { 0 };
	int err = sn_buf_read_path(&b, path, FILE_MAX);

	if (err == 0)
		err = sn_pprof_read(b.data, b.len, &arena, &r.p);
	if (err == 0)
		take_message(&r);
	else if (err == -EBADMSG)
		(void)snprintf(out->why, sizeof(out->why), "the profile is not valid: %.160s", r.p.why);
	else
		complain(out, "the profile cannot be read", err);
	sn_arena_free(&arena);
	sn_buf_free(&b);
}

/* ---- gperftools: words: 0 3 0 period 0, then count, depth, PCs …, until 0 1 0 ---- */

void
sn_read_gperf(const char *path, const struct sn_work_truth *truth, struct sn_seen *out)
{
	struct sn_buf b = { 0 };
	int err = sn_buf_read_path(&b, path, FILE_MAX);
	const uint64_t *w = (const uint64_t *)(const void *)b.data;
	size_t n = b.len / sizeof(*w), at = 5;
	uint64_t period_ns;

	if (err < 0 || n < 8 || w[0] != 0 || w[1] < 3) {
		complain(out, "its profile cannot be read", err < 0 ? err : -EBADMSG);
		sn_buf_free(&b);
		return;
	}
	period_ns = w[3] * 1000;
	while (at + 2 < n && w[at] != 0 && w[at + 1] <= n - at - 2) {
		uint64_t count = w[at], depth = w[at + 1];
		unsigned f = depth > 0 ? function_at(truth, w[at + 2]) : SN_WORK_FUNCTIONS;

		out->samples += count;
		out->total_ns += count * period_ns;
		if (f < SN_WORK_FUNCTIONS)
			out->function_ns[f] += count * period_ns;
		at += 2 + depth;
	}
	out->independent = (double)out->samples;
	out->is_read = true;
	sn_buf_free(&b);
}

/* ---- perf: a line a sample: TID PERIOD ADDRESS ---- */

static bool
next_line(struct sn_buf *b, size_t *at, char *line, size_t size)
{
	size_t len = 0;

	while (*at + len < b->len && b->data[*at + len] != '\n')
		len++;
	if (*at >= b->len)
		return false;
	(void)snprintf(line, size, "%.*s", (int)(len < size ? len : size - 1), (const char *)b->data + *at);
	*at += len + 1;
	return true;
}

void
sn_read_perf(const char *path, const struct sn_work_truth *truth, struct sn_seen *out)
{
	struct sn_buf b = { 0 };
	int err = sn_buf_read_path(&b, path, FILE_MAX);
	char line[256];

	for (size_t at = 0; err == 0 && next_line(&b, &at, line, sizeof(line));) {
		char *p = line;
		int32_t tid = (int32_t)strtol(p, &p, 10);
		uint64_t ns = strtoull(p, &p, 10);
		unsigned f = function_at(truth, strtoull(p, NULL, 16)), t = thread_of(truth, tid);

		out->samples += ns > 0;
		out->total_ns += ns;
		if (f < SN_WORK_FUNCTIONS)
			out->function_ns[f] += ns;
		if (t < SN_WORK_THREADS)
			out->thread_ns[t] += ns;
	}
	out->is_read = out->samples > 0;
	out->has_threads = true;
	out->independent = (double)out->samples;
	if (!out->is_read)
		complain(out, "its samples cannot be read", err < 0 ? err : -ENODATA);
	sn_buf_free(&b);
}

/* ---- async-profiler: FRAME;FRAME… COUNT ---- */

void
sn_read_collapsed(const char *path, uint64_t interval_ns, struct sn_seen *out)
{
	struct sn_buf b = { 0 };
	int err = sn_buf_read_path(&b, path, FILE_MAX);
	char line[16384];

	for (size_t at = 0; err == 0 && next_line(&b, &at, line, sizeof(line));) {
		const char *blank = strrchr(line, ' ');
		uint64_t count = blank != NULL ? strtoull(blank, NULL, 10) : 0;

		out->samples += count;
		out->total_ns += count * interval_ns;
	}
	out->is_read = out->samples > 0;
	out->independent = (double)out->samples;
	if (!out->is_read)
		complain(out, "its samples cannot be read", err < 0 ? err : -ENODATA);
	sn_buf_free(&b);
}

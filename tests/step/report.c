/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c - differences by function, the figures, and the verdict (see report.h).
 *
 * Runs in:  the stepper's module: events while stepping, the rest once, at the end.
 * Memory:   a fixed table of events; one that finds it full makes the test fail.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/unwind.h"
#include "step/maps.h"
#include "step/report.h"
#include "symbol/symbol.h"

#define EVENTS_MAX	32768u
#define KNOWN_MAX	256u
#define NO_CFI		"<no-cfi>"

static const char *const verdict_name[VERDICTS] = { "right", "short", "guess", "misled", "wrong", "crash", "differs" };

/* A line of differences.txt. */
struct known {
	char program[64], module[64], function[128], leaf[64], engine[16], verdict[16];
	unsigned line;
};

struct event {
	enum engine engine;
	enum verdict verdict;
	uint64_t at;			/* PC of the last frame that was right: whose caller was not found */
	struct sn_module *module;
	uint64_t n, first;
	uint64_t leaf, want, got;
	struct sn_module *leaf_module;
	uint32_t truth_count, count;
	const char *name;		/* of the function */
	bool no_cfi;			/* nothing in .eh_frame covers it */
	const char *leaf_name;
	const struct known *known;	/* that explains it */
	bool told;
};

struct totals sn_step_totals;
static struct event *event;
static uint32_t events, missed;
static struct known known[KNOWN_MAX];
static uint32_t knowns;
static char program[64] = "?";

static int
read_known(const char *path)
{
	char line[1024];
	unsigned n = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return -errno;
	while (fgets(line, sizeof(line), f) != NULL) {
		struct known *k = &known[knowns];

		n++;
		if (line[0] == '#' || line[strspn(line, " \t\n")] == '\0')
			continue;
		if (knowns == KNOWN_MAX || sscanf(line, "%63s %63s %127s %63s %15s %15s", k->program, k->module,
				k->function, k->leaf, k->engine, k->verdict) != 6) {
			(void)fprintf(stderr, "stepper: %s:%u: not a difference\n", path, n);
			(void)fclose(f);
			return -EINVAL;
		}
		k->line = n;
		knowns++;
	}
	(void)fclose(f);
	return 0;
}

int
sn_report_begin(void)
{
	const char *path = getenv("STEP_DIFFERENCES"), *name = getenv("STEP_NAME");

	if (name != NULL)
		(void)snprintf(program, sizeof(program), "%s", name);
	event = calloc(EVENTS_MAX, sizeof(*event));
	if (event == NULL)
		return -ENOMEM;
	return path == NULL ? 0 : read_known(path);
}

void
sn_report_event(enum engine e, enum verdict v, const struct stack *s, uint32_t same, const struct truth *truth)
{
	uint64_t at = truth->cooked[same > 0 ? same - 1 : 0], leaf = truth->cooked[0];
	uint32_t h = (uint32_t)((at * 31 + leaf) * 0x9e3779b97f4a7c15u >> 40), i = 0;
	struct event *ev;

	for (; i < EVENTS_MAX; i++) {
		ev = &event[(h + i) % EVENTS_MAX];
		if (ev->n == 0)
			break;
		if (ev->engine == e && ev->verdict == v && ev->at == at && ev->leaf == leaf) {
			ev->n++;
			return;
		}
	}
	if (i == EVENTS_MAX || events > EVENTS_MAX / 2) {
		missed++;
		return;
	}
	events++;
	*ev = (struct event){ .engine = e, .verdict = v, .at = at, .module = sn_engines_module(at), .n = 1,
		.first = sn_step_totals.steps, .leaf = leaf, .leaf_module = sn_engines_module(leaf),
		.want = same < truth->count ? truth->raw[same] : 0, .got = same < s->count ? s->frame[same] : 0,
		.truth_count = truth->count, .count = s->count };
}

static const char *
module_name(const struct sn_module *m)
{
	const char *slash;

	if (m == NULL || m->path == NULL)
		return "[none]";
	slash = strrchr(m->path, '/');
	return slash != NULL ? slash + 1 : m->path;
}

static const char *
name_of(struct sn_symbolizer *s, const struct sn_module *m, uint64_t pc)
{
	struct sn_symbol symbol = { 0 };

	if (s == NULL || m == NULL || sn_symbolize_batch(s, m, &pc, 1, &symbol) != 0 || symbol.count == 0)
		return "?";
	return symbol.line[symbol.count - 1].system_name;
}

/* Code of assemblers and start files: then what it is called does not matter. */
static bool
has_no_cfi(const struct sn_module *m, uint64_t pc)
{
	struct sn_cfi cfi;

	if (m == NULL || m->image == NULL || sn_image_load_cfi(sn_maps_images(), m->image) != 0)
		return true;
	return sn_cfi_find(m, pc, &cfi) == -ENOENT;
}

/* One lookup for each PC: events are many, PCs among them few. */
static void
name_events(struct sn_symbolizer *s)
{
	for (uint32_t i = 0; i < EVENTS_MAX; i++) {
		struct event *e = &event[i];

		if (e->n == 0 || e->name != NULL)
			continue;
		e->name = name_of(s, e->module, e->at);
		e->no_cfi = has_no_cfi(e->module, e->at);
		e->leaf_name = e->leaf == e->at ? e->name : name_of(s, e->leaf_module, e->leaf);
		for (uint32_t j = i + 1; j < EVENTS_MAX; j++)
			if (event[j].n > 0 && event[j].at == e->at && event[j].leaf == e->leaf) {
				event[j].name = e->name;
				event[j].no_cfi = e->no_cfi;
				event[j].leaf_name = e->leaf_name;
			}
	}
}

static const struct known *
explanation(const struct event *e)
{
	for (uint32_t i = 0; i < knowns; i++) {
		const struct known *k = &known[i];

		if (strcmp(k->engine, sn_step_engine_name[e->engine]) == 0 &&
		    strcmp(k->verdict, verdict_name[e->verdict]) == 0 && fnmatch(k->program, program, 0) == 0 &&
		    fnmatch(k->module, module_name(e->module), 0) == 0 &&
		    fnmatch(k->leaf, module_name(e->leaf_module), 0) == 0 &&
		    fnmatch(k->function, e->no_cfi ? NO_CFI : e->name, 0) == 0)
			return k;
	}
	return NULL;
}

/* One line of the report for each line of differences.txt that explains it, or for each function. */
static bool
is_same_class(const struct event *a, const struct event *b)
{
	if (b->n == 0 || b->told || a->engine != b->engine || a->verdict != b->verdict || a->known != b->known)
		return false;
	return a->known != NULL || (a->module == b->module && strcmp(a->name, b->name) == 0);
}

/* true: known. */
static bool
tell_class(FILE *out, const struct event *e)
{
	uint64_t n = 0, bias = e->module != NULL ? e->module->bias : 0, leaf_bias = e->leaf_module != NULL ?
		e->leaf_module->bias : 0;
	const struct event first = *e;
	unsigned sites = 0;

	for (uint32_t i = 0; i < EVENTS_MAX; i++)
		if (is_same_class(&first, &event[i])) {
			event[i].told = true;
			n += event[i].n;
			sites++;
		}
	if (e->known != NULL) {
		(void)fprintf(out, "  %-9s %-7s %8lu steps, %4u sites, known, line %u, as %s %s in %s\n",
			sn_step_engine_name[e->engine], verdict_name[e->verdict], n, sites, e->known->line,
			module_name(e->module), e->name, module_name(e->leaf_module));
		return true;
	}
	(void)fprintf(out, "  %-9s %-7s %8lu steps, %4u sites  %s %s  at +0x%lx in leaf %s+0x%lx (%s): %u frames of"
		" %u, then 0x%lx for 0x%lx, step %lu; %s\n", sn_step_engine_name[e->engine], verdict_name[e->verdict],
		n, sites, module_name(e->module), e->no_cfi ? NO_CFI : e->name, e->at - bias,
		module_name(e->leaf_module),
		e->leaf - leaf_bias, e->leaf_name, e->count, e->truth_count, e->got, e->want, e->first,
		e->engine == ENGINE_TABLES && e->verdict == VERDICT_WRONG ? "WRONG" : "NOT EXPLAINED");
	return false;
}

/* Nothing explains a wrong answer of the tables. */
static void
explain_events(void)
{
	for (uint32_t i = 0; i < EVENTS_MAX; i++)
		if (event[i].n > 0 && (event[i].engine != ENGINE_TABLES || event[i].verdict != VERDICT_WRONG))
			event[i].known = explanation(&event[i]);
}

static void
tell_figures(FILE *out)
{
	const struct totals *t = &sn_step_totals;

	(void)fprintf(out, "program %s: %lu steps, %lu compared, %lu of them with the whole stack known, all engines"
		" right at %lu; frames %.1f, at most %lu\n", program, t->steps, t->compared, t->judged, t->all_right,
		(double)t->frames / (double)(t->compared > 0 ? t->compared : 1), t->frames_max);
	for (int e = 0; e < ENGINES; e++) {
		(void)fprintf(out, "  %-9s", sn_step_engine_name[e]);
		for (int v = 0; v < VERDICTS; v++)
			(void)fprintf(out, " %s=%lu", verdict_name[v], t->count[e][v]);
		(void)fprintf(out, "\n");
	}
}

void
sn_report_write(void)
{
	const char *path = getenv("STEP_OUT");
	FILE *out = path != NULL ? fopen(path, "ae") : stderr;
	struct sn_symbolizer *s = sn_symbolizer_new(SN_SYMBOLIZE_FUNCTIONS, "");
	unsigned unknown = missed > 0;

	if (out == NULL)
		return;
	name_events(s);
	explain_events();
	tell_figures(out);
	for (uint32_t i = 0; i < EVENTS_MAX; i++)
		if (event[i].n > 0 && !event[i].told && !tell_class(out, &event[i]))
			unknown++;
	if (missed > 0)
		(void)fprintf(out, "  %u events had no room\n", missed);
	(void)fprintf(out, "verdict: %s\n", unknown > 0 || sn_step_totals.compared == 0 ? "FAILED" : "passed");
	(void)fflush(out);
	if (out != stderr)
		(void)fclose(out);
	if (s != NULL)
		sn_symbolizer_free(s);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_fake.h - a symbolizer of our own: what it says of an address is plain from the address.
 *
 * Runs in:  unit tests; stands in for symbol/, which is linked into nothing then.
 * Memory:   static, for 4096 lines.
 */
#ifndef SN_TESTS_UNIT_PPROF_FAKE_H
#define SN_TESTS_UNIT_PPROF_FAKE_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include "symbol/symbol.h"

static int batches;
static struct sn_symbol_line lines[4096];
static char line_names[4096][64];
static uint32_t lines_used;
static int symbolize_error;

#define ADDR_INLINED	0x5100		/* three functions deep */
#define ADDR_TWIN	0x5101		/* in the same function as ADDR_INLINED's outermost */
#define ADDR_NAMELESS	0x5102		/* the symbolizer gives no line at all */
#define ADDR_BAD_TEXT	0x5103
#define ADDR_PLAIN	0x5104		/* name without file and line */

static struct sn_symbol_line *
fake_line(const char *name, const char *file, int line)
{
	struct sn_symbol_line *l = &lines[lines_used];

	ck_assert_uint_lt(lines_used, 4096);
	(void)snprintf(line_names[lines_used], sizeof(line_names[0]), "%s", name);
	*l = (struct sn_symbol_line){
		.name = line_names[lines_used], .system_name = line_names[lines_used], .file = file, .line = line,
		.column = line > 0 ? 7 : 0, .start_line = line > 0 ? 3 : 0,
	};
	lines_used++;
	return l;
}

static void
fake_symbol(const struct sn_module *m, uint64_t addr, struct sn_symbol *symbol)
{
	char name[64];

	symbol->count = 1;
	if (addr == ADDR_INLINED) {
		symbol->line = fake_line("inner", "a.h", 11);
		(void)fake_line("middle", "a.h", 22);
		(void)fake_line("outer", "a.c", 33);
		symbol->count = 3;
	} else if (addr == ADDR_TWIN) {
		symbol->line = fake_line("outer", "a.c", 34);
	} else if (addr == ADDR_NAMELESS) {
		symbol->count = 0;
	} else if (addr == ADDR_BAD_TEXT) {
		symbol->line = fake_line("bad\xff\xc3(\xed\xa0\x80name\xc3\xa9", "\x80.c", 1);
	} else if (m->kind == SN_MODULE_ANON || addr == ADDR_PLAIN) {
		(void)snprintf(name, sizeof(name), "%s+0x%" PRIx64, m->path, addr);
		symbol->line = fake_line(name, "", 0);
		symbol->is_fallback = true;
	} else {
		(void)snprintf(name, sizeof(name), "fn_%" PRIx64, addr & ~(uint64_t)0xf);
		symbol->line = fake_line(name, "a.c", (int)(addr & 0xfff) + 1);
	}
}

static struct sn_symbol_counters fake_counters;

int
sn_symbolize_batch(struct sn_symbolizer *s, const struct sn_module *m, const uint64_t *addr, size_t n,
	struct sn_symbol *symbols)
{
	ck_assert_ptr_nonnull(s);
	batches++;
	if (symbolize_error < 0)
		return symbolize_error;
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_ge(addr[i], m->start);
		ck_assert_uint_lt(addr[i], m->limit);
		fake_symbol(m, addr[i], &symbols[i]);
		fake_counters.unsymbolized += symbols[i].is_fallback;
	}
	return 0;
}

const struct sn_symbol_counters *
sn_symbolizer_counters(const struct sn_symbolizer *s)
{
	ck_assert_ptr_nonnull(s);
	return &fake_counters;
}

#endif

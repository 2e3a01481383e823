/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h - the options in force, read once from the environment by the table options.def.
 *
 * Runs in:  constructor (program), collector, tools.  Uses no allocation: strings point
 *           into the text that was parsed, which must outlive the struct.
 */
#ifndef SN_BASE_OPTIONS_H
#define SN_BASE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#define SN_VALUE_CHOICE	int64_t
#define SN_VALUE_LIST	int64_t
#define SN_VALUE_NUMBER	int64_t
#define SN_VALUE_PERCENT int64_t
#define SN_VALUE_SIZE	int64_t
#define SN_VALUE_DURATION int64_t
#define SN_VALUE_SIGNAL	int64_t
#define SN_VALUE_TEXT	const char *

struct sn_options {
#define SN_OPTION(field, var, flag, chr, TYPE, ...) SN_VALUE_##TYPE field;
#include "base/options.def"
#undef SN_OPTION
	uint64_t named;		/* SN_NAMED() of each that somebody set, whatever the value */
};

/* Its row of the table, and its bit in sn_options.named. */
enum sn_option_row {
#define SN_OPTION(field, ...) SN_ROW_##field,
#include "base/options.def"
#undef SN_OPTION
	SN_ROWS
};
#define SN_NAMED(field)	(UINT64_C(1) << SN_ROW_##field)
_Static_assert(SN_ROWS <= 64, "a bit for each");

enum sn_mode { SN_MODE_ON, SN_MODE_IDLE, SN_MODE_OFF };
enum sn_engine { SN_ENGINE_AUTO, SN_ENGINE_TIMER, SN_ENGINE_PERF, SN_ENGINE_ITIMER };
enum sn_unwind { SN_UNWIND_AUTO, SN_UNWIND_TABLE, SN_UNWIND_FP, SN_UNWIND_LIBUNWIND };
enum sn_symbolize { SN_SYMBOLIZE_NONE, SN_SYMBOLIZE_FUNCTIONS, SN_SYMBOLIZE_LINES };
enum sn_kind_bit { SN_KIND_CPU = 1 };
enum sn_label_bit { SN_LABEL_THREAD = 1, SN_LABEL_THREAD_ID = 2 };

enum sn_type { SN_TYPE_CHOICE, SN_TYPE_LIST, SN_TYPE_NUMBER, SN_TYPE_PERCENT, SN_TYPE_SIZE, SN_TYPE_DURATION,
	SN_TYPE_SIGNAL, SN_TYPE_TEXT };

/* One row of options.def, for code that walks the table (--help, the parser, tests). */
struct sn_option {
	const char *variable;
	const char *flag;	/* "" when it has none */
	char chr;		/* 0 when it has none */
	enum sn_type type;
	const char *def;
	int64_t min, max;
	const char *choices;
	const char *argument;
	const char *help;
	size_t offset;		/* of the field in struct sn_options */
};

extern const struct sn_option sn_option_table[];
extern const size_t sn_option_count;

/* Room for one line of complaint. */
struct sn_complaint {
	char text[512];
};

/* Every field at its default, none of them named. */
void sn_options_default(struct sn_options *o);

/*
 * Set one field from text.  0, or -EINVAL with a line in why that names the option (by
 * `name`, as the user wrote it), the value and what is allowed.
 */
int sn_option_set(struct sn_options *o, const struct sn_option *row, const char *name, const char *text,
	struct sn_complaint *why);

/*
 * Read all SONDE_* of env.  Unknown names call `unknown` (if not NULL) with a line that
 * names the nearest known one, and are passed over; names that Kubernetes sets for a service
 * called sonde are ignored.  Empty values count as unset.  0, or -EINVAL with the first
 * complaint in why.
 */
int sn_options_from_env(struct sn_options *o, char *const env[], void (*unknown)(const char *line),
	struct sn_complaint *why);

/* Do they go together?  sn_options_from_env asks this itself.  0, or -EINVAL with a line in why. */
int sn_options_check(const struct sn_options *o, struct sn_complaint *why);

/* The row of a variable, flag or short flag; NULL when there is none. */
const struct sn_option *sn_option_by_variable(const char *name, size_t len);
const struct sn_option *sn_option_by_flag(const char *flag, size_t len);
const struct sn_option *sn_option_by_chr(char chr);

/* Signal number of SIGPROF, PROF, SIGRTMIN+3, 34 …; negative when it is none. */
int sn_signal_number(const char *text);

/* May the program whose executable has this base name be profiled under SONDE_ONLY (NULL: default)? */
int sn_only_admits(const char *only, const char *exe);

/* SONDE_COLLECTOR, the one internal variable: the abstract socket of the collector of this tree. */
#define SN_ENV_COLLECTOR "SONDE_COLLECTOR"

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * options.c - parse the options of options.def (see options.h).
 *
 * Runs in:  constructor of the program, collector, tools.  No allocation, no locale.
 */
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"

const struct sn_option sn_option_table[] = {
#define SN_OPTION(field, var, flag, chr, TYPE, def, min, max, choices, arg, help, more) \
	{ var, flag, chr, SN_TYPE_##TYPE, def, min, max, choices, arg, help, offsetof(struct sn_options, field) },
#include "base/options.def"
#undef SN_OPTION
};
const size_t sn_option_count = sizeof(sn_option_table) / sizeof(sn_option_table[0]);

static const struct {
	const char *name;
	int number;
} signal_names[] = {
	{ "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "ALRM", SIGALRM }, { "TERM", SIGTERM },
	{ "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "PROF", SIGPROF }, { "VTALRM", SIGVTALRM },
	{ "WINCH", SIGWINCH }, { "URG", SIGURG }, { "IO", SIGIO }, { "POLL", SIGIO }, { "PWR", SIGPWR },
};

static const char default_excluded[] = "sh,dash,bash,env,sudo,su,setpriv,gosu,tini,dumb-init,docker-init";

/* Decimal digits only; -1 on anything else or beyond 2^62. */
static int64_t
parse_digits(const char *s, const char **end)
{
	int64_t v = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (INT64_MAX / 2 - 9) / 10)
			return -1;
		v = v * 10 + (*s - '0');
	}
	*end = s;
	return v;
}

/* Percent with up to four decimals, in parts per million. */
static int64_t
parse_percent(const char *s)
{
	const char *end;
	int64_t ppm = parse_digits(s, &end);

	if (ppm < 0 || ppm > 1000)
		return -1;
	ppm *= 10000;
	if (*end == '.') {
		int64_t unit = 1000;

		if (end[1] == '\0')
			return -1;
		for (end++; *end >= '0' && *end <= '9' && unit > 0; end++, unit /= 10)
			ppm += (*end - '0') * unit;
	}
	return *end == '\0' ? ppm : -1;
}

static int64_t
parse_size(const char *s)
{
	static const struct { const char *unit; int shift; } units[] = {
		{ "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 },
	};
	const char *end;
	int64_t v = parse_digits(s, &end);

	if (v < 0)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0)
			return v > (INT64_MAX >> units[i].shift) ? -1 : v << units[i].shift;
	return -1;
}

static int64_t
parse_duration(const char *s)
{
	static const struct { const char *unit; int64_t ns; } units[] = {
		{ "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 },
	};
	const char *end;
	int64_t v = parse_digits(s, &end);

	if (v == 0 && *end == '\0')
		return 0;
	for (size_t i = 0; v >= 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0)
			return v > INT64_MAX / units[i].ns ? -1 : v * units[i].ns;
	return -1;
}

int
sn_signal_number(const char *text)
{
	const char *end;
	int64_t n = parse_digits(text, &end);

	if (n >= 0)
		return *end == '\0' && n >= 1 && n <= SIGRTMAX ? (int)n : -EINVAL;
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	if (strncmp(text, "RTMIN", 5) == 0 || strncmp(text, "RTMAX", 5) == 0) {
		bool from_min = text[4] == 'N';
		char sign = text[5];

		if (sign == '\0')
			return from_min ? SIGRTMIN : SIGRTMAX;
		if (sign != (from_min ? '+' : '-'))
			return -EINVAL;
		n = parse_digits(text + 6, &end);
		if (n < 0 || *end != '\0' || n > SIGRTMAX - SIGRTMIN)
			return -EINVAL;
		return from_min ? SIGRTMIN + (int)n : SIGRTMAX - (int)n;
	}
	for (size_t i = 0; i < sizeof(signal_names) / sizeof(signal_names[0]); i++)
		if (strcmp(text, signal_names[i].name) == 0)
			return signal_names[i].number;
	return -EINVAL;
}

/* Index of the word of len bytes in a list separated by spaces; -1 when it is not there. */
static int
choice_index(const char *choices, const char *word, size_t len)
{
	int i = 0;

	for (const char *c = choices; *c != '\0'; i++) {
		size_t n = strcspn(c, " ");

		if (n == len && memcmp(c, word, len) == 0)
			return i;
		c += n;
		c += strspn(c, " ");
	}
	return -1;
}

static int64_t
parse_list(const char *choices, const char *text)
{
	int64_t bits = 0;

	if (strcmp(text, "none") == 0)
		return 0;
	for (const char *p = text;; p++) {
		size_t n = strcspn(p, ",");
		int i = choice_index(choices, p, n);

		if (i < 0)
			return -1;
		bits |= (int64_t)1 << i;
		p += n;
		if (*p == '\0')
			return bits;
	}
}

/* What a signal option may be: ours must not be one that the program or the kernel needs. */
static int
parse_signal(const char *text, bool may_be_none)
{
	int n = sn_signal_number(text);
	bool allowed = n >= SIGRTMIN && n <= SIGRTMAX;

	if (!may_be_none)
		return allowed || n == SIGPROF ? n : -EINVAL;
	if (strcmp(text, "none") == 0)
		return 0;
	return allowed || n == SIGUSR1 || n == SIGUSR2 || n == SIGHUP || n == SIGQUIT ? n : -EINVAL;
}

static int64_t
parse_value(const struct sn_option *row, const char *text)
{
	const char *end = "?";
	int64_t v;

	switch (row->type) {
	case SN_TYPE_CHOICE:
		return choice_index(row->choices, text, strlen(text));
	case SN_TYPE_LIST:
		return parse_list(row->choices, text);
	case SN_TYPE_NUMBER:
		v = parse_digits(text, &end);
		return v < row->min || v > row->max || *end != '\0' ? -1 : v;
	case SN_TYPE_PERCENT:
		if (strcmp(text, "off") == 0)
			return 0;
		v = parse_percent(text);
		return v < row->min || v > row->max ? -1 : v;
	case SN_TYPE_SIZE:
		v = parse_size(text);
		return v < row->min || v > row->max ? -1 : v;
	case SN_TYPE_DURATION:
		v = parse_duration(text);
		return v < row->min || v > row->max ? -1 : v;
	case SN_TYPE_SIGNAL:
		return parse_signal(text, row->choices[0] != '\0');
	case SN_TYPE_TEXT:
		break;
	}
	return 0;
}

static void
say_allowed(const struct sn_option *row, char *out, size_t size)
{
	switch (row->type) {
	case SN_TYPE_CHOICE:
		(void)snprintf(out, size, "one of: %s", row->choices);
		break;
	case SN_TYPE_LIST:
		(void)snprintf(out, size, "none, or a list of: %s", row->choices);
		break;
	case SN_TYPE_NUMBER:
		(void)snprintf(out, size, "%lld to %lld", (long long)row->min, (long long)row->max);
		break;
	case SN_TYPE_PERCENT:
		(void)snprintf(out, size, "%g to %g percent, as 0.05, 1 or 2.5, or off", (double)row->min / 10000,
			(double)row->max / 10000);
		break;
	case SN_TYPE_SIZE:
		(void)snprintf(out, size, "%lldMiB to %lldMiB, as 1048576, 512KiB, 64MiB or 1GiB",
			(long long)row->min >> 20, (long long)row->max >> 20);
		break;
	case SN_TYPE_DURATION:
		(void)snprintf(out, size, "%llds to %llds, as 500ms, 30s, 10m or 1h", (long long)row->min / 1000000000,
			(long long)row->max / 1000000000);
		break;
	case SN_TYPE_SIGNAL:
		(void)snprintf(out, size, "%s or SIGRTMIN to SIGRTMAX, as SIGRTMIN+3 or 37", row->choices[0] == '\0' ?
			"SIGPROF" : "none, SIGUSR1, SIGUSR2, SIGHUP, SIGQUIT");
		break;
	case SN_TYPE_TEXT:
		(void)snprintf(out, size, "any text");
		break;
	}
}

/* What the environment holds may not break our one line, nor steer a terminal. */
static void
keep_one_line(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
}

int
sn_option_set(struct sn_options *o, const struct sn_option *row, const char *name, const char *text,
	struct sn_complaint *why)
{
	void *field = (char *)o + row->offset;
	char allowed[256];
	int64_t v;

	o->named |= UINT64_C(1) << (row - sn_option_table);
	if (row->type == SN_TYPE_TEXT) {
		*(const char **)field = *text != '\0' ? text : NULL;
		return 0;
	}
	v = parse_value(row, text);
	if (v < 0) {
		say_allowed(row, allowed, sizeof(allowed));
		(void)snprintf(why->text, sizeof(why->text), "%s=%.100s is not allowed: %s", name, text, allowed);
		keep_one_line(why->text);
		return -EINVAL;
	}
	*(int64_t *)field = v;
	return 0;
}

void
sn_options_default(struct sn_options *o)
{
	struct sn_complaint why;

	for (size_t i = 0; i < sn_option_count; i++)
		(void)sn_option_set(o, &sn_option_table[i], sn_option_table[i].variable, sn_option_table[i].def, &why);
	o->named = 0;
}

const struct sn_option *
sn_option_by_variable(const char *name, size_t len)
{
	for (size_t i = 0; i < sn_option_count; i++)
		if (strlen(sn_option_table[i].variable) == len && memcmp(sn_option_table[i].variable, name, len) == 0)
			return &sn_option_table[i];
	return NULL;
}

const struct sn_option *
sn_option_by_flag(const char *flag, size_t len)
{
	for (size_t i = 0; i < sn_option_count && len > 0; i++)
		if (strlen(sn_option_table[i].flag) == len && memcmp(sn_option_table[i].flag, flag, len) == 0)
			return &sn_option_table[i];
	return NULL;
}

const struct sn_option *
sn_option_by_chr(char chr)
{
	for (size_t i = 0; i < sn_option_count && chr != 0; i++)
		if (sn_option_table[i].chr == chr)
			return &sn_option_table[i];
	return NULL;
}

/* Levenshtein distance over at most 63 characters; far for anything longer. */
static unsigned
distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned row[64];

	if (na >= 64 || nb >= 64)
		return 1000;
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

static const char *
nearest_variable(const char *name, size_t len)
{
	const char *best = sn_option_table[0].variable;
	unsigned least = 2000;

	for (size_t i = 0; i < sn_option_count; i++) {
		const char *v = sn_option_table[i].variable;
		unsigned d = distance(name, len, v, strlen(v));

		if (d < least) {
			least = d;
			best = v;
		}
	}
	return best;
}

/*
 * Kubernetes sets these for a service called sonde or sonde-SOMETHING.  name begins with SONDE_; what
 * follows is looked at, so that SONDE_PORTS, which Kubernetes never sets, is told.
 */
static bool
is_from_kubernetes(const char *name, size_t len)
{
	char rest[128];

	if (len < 6 || len - 6 >= sizeof(rest))
		return false;
	memcpy(rest, name + 6, len - 6);
	rest[len - 6] = '\0';
	return strcmp(rest, "PORT") == 0 || strncmp(rest, "PORT_", 5) == 0 || strncmp(rest, "SERVICE_", 8) == 0 ||
	    strstr(rest, "_SERVICE_") != NULL || strstr(rest, "_PORT") != NULL;
}

static void
tell_unknown(const char *name, size_t len, void (*unknown)(const char *line))
{
	char line[256];

	if (unknown == NULL || is_from_kubernetes(name, len))
		return;
	(void)snprintf(line, sizeof(line), "unknown variable %.*s, nearest is %s; going on without it",
		(int)(len < 100 ? len : 100), name, nearest_variable(name, len));
	keep_one_line(line);
	unknown(line);
}

int
sn_options_check(const struct sn_options *o, struct sn_complaint *why)
{
	if (o->dump_signal == 0 || o->dump_signal != o->signal)
		return 0;
	(void)snprintf(why->text, sizeof(why->text), "SONDE_DUMP_SIGNAL is not allowed: %d is SONDE_SIGNAL already",
		(int)o->signal);
	return -EINVAL;
}

int
sn_options_from_env(struct sn_options *o, char *const env[], void (*unknown)(const char *line),
	struct sn_complaint *why)
{
	int err = 0;

	for (; env != NULL && *env != NULL; env++) {
		const char *name = *env;
		size_t len = strcspn(name, "=");
		const struct sn_option *row;
		int e;

		if (strncmp(name, "SONDE", 5) != 0 || name[len] != '=' || (len > 5 && name[5] != '_'))
			continue;
		row = sn_option_by_variable(name, len);
		if (row == NULL) {
			if (strncmp(name, SN_ENV_COLLECTOR "=", sizeof(SN_ENV_COLLECTOR)) != 0)
				tell_unknown(name, len, unknown);
			continue;
		}
		if (name[len + 1] == '\0' || err < 0)
			continue;
		e = sn_option_set(o, row, row->variable, name + len + 1, why);
		if (e < 0)
			err = e;
	}
	return err < 0 ? err : sn_options_check(o, why);
}

static bool
any_glob_matches(const char *globs, const char *exe)
{
	char glob[256];

	for (const char *p = globs; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if (n > 0 && n < sizeof(glob)) {
			memcpy(glob, p, n);
			glob[n] = '\0';
			if (fnmatch(glob, exe, 0) == 0)
				return true;
		}
		p += n;
		p += *p == ',';
	}
	return false;
}

int
sn_only_admits(const char *only, const char *exe)
{
	return only != NULL ? any_glob_matches(only, exe) : !any_glob_matches(default_excluded, exe);
}

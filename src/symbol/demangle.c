/* SPDX-License-Identifier: Apache-2.0
 *
 * demangle.c - mangled C++ and Rust names for people, by libiberty.
 *
 * Runs in:  collector.
 * Memory:   the result is malloc'd.
 * Hostile names: input beyond SN_NAME_MAX is left mangled.  A short name can expand without
 *           end (each substitution may double it), so output is taken piece by piece and
 *           given up beyond DEMANGLED_MAX.  libiberty's own limit on recursion stays on.
 */
#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/lookup.h"

#define DEMANGLED_MAX	(256 * 1024)

struct sink {
	char *text;
	size_t len, cap;
	jmp_buf give_up;	/* the only way out of libiberty before it is done */
};

static void
put(const char *piece, size_t len, void *opaque)
{
	struct sink *s = opaque;

	if (len == 0)
		return;
	if (len >= DEMANGLED_MAX - s->len)
		longjmp(s->give_up, 1);
	if (s->len + len + 1 > s->cap) {
		size_t cap = (s->len + len + 1) * 2;
		char *text = realloc(s->text, cap);

		if (text == NULL)
			longjmp(s->give_up, 1);
		s->text = text;
		s->cap = cap;
	}
	memcpy(s->text + s->len, piece, len);
	s->len += len;
	s->text[s->len] = '\0';
}

typedef int demangler(const char *mangled, int options, demangle_callbackref callback, void *opaque);

/* Run one demangler; malloc'd text, or NULL. */
static char *
run(demangler *demangle, const char *mangled, int options)
{
	struct sink s = { 0 };

	if (setjmp(s.give_up) == 0 && demangle(mangled, options, put, &s) && s.len > 0)
		return s.text;
	free(s.text);
	return NULL;
}

/* Length of the operator at s, which follows the word "operator"; 0 for a word or a type. */
static size_t
operator_len(const char *s)
{
	static const char *const symbol[] = {
		"()", "[]", "<=>", "<<=", ">>=", "->*", "<<", ">>", "<=", ">=", "->", "<", ">",
	};

	for (size_t i = 0; i < sizeof(symbol) / sizeof(symbol[0]); i++) {
		if (strncmp(s, symbol[i], strlen(symbol[i])) == 0)
			return strlen(symbol[i]);
	}
	return 0;
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* Length of the group that s begins with, (…) {…} […] or <…>; 0 when it does not end. */
static size_t
group_len(const char *s)
{
	char want[256];		/* closers that are due; deeper nesting is left as it is */
	size_t depth = 0, i = 0;

	do {
		char c = s[i];
		const char *closer = c == '(' ? ")" : c == '{' ? "}" : c == '[' ? "]" : NULL;
		bool in_angles = depth == 0 || want[depth - 1] == '>';

		/* Within parentheses < and > may be operators; brackets outside them are balanced. */
		if (c == '<' && in_angles)
			closer = ">";
		if (c == '\0' || depth == sizeof(want))
			return 0;
		if (closer != NULL)
			want[depth++] = *closer;
		else if (c == '>' && in_angles && i > 0 && s[i - 1] != '-')
			depth--;
		else if ((c == ')' || c == '}' || c == ']') && want[--depth] != c)
			return 0;
		i++;
	} while (depth > 0);
	return i;
}

/* Length of what may follow parameters that were dropped: " const", " &" … */
static size_t
qualifiers_len(const char *s)
{
	static const char *const word[] = { " const", " volatile", " restrict", " noexcept", " &&", " &" };
	size_t len = 0, i = 0;

	while (i < sizeof(word) / sizeof(word[0])) {
		if (strncmp(s + len, word[i], strlen(word[i])) == 0 && !is_word(s[len + strlen(word[i])])) {
			len += strlen(word[i]);
			i = 0;
		} else {
			i++;
		}
	}
	return len;
}

struct simplifier {
	char *text;		/* read at in, written at out <= in */
	size_t in, out;
	size_t name;		/* where the name begins, behind a return type */
	bool seen_operator;
};

static void
keep(struct simplifier *s, size_t len)
{
	memmove(s->text + s->out, s->text + s->in, len);
	s->in += len;
	s->out += len;
}

/* A group at s->in: keep it if it is part of a name, else drop it.  false: not balanced. */
static bool
simplify_group(struct simplifier *s)
{
	const char *at = s->text + s->in;
	size_t len = group_len(at);
	bool begins_name = s->out == 0 || s->text[s->out - 1] == ':';

	if (len == 0)
		return false;
	if (*at == '{' || *at == '[' || begins_name || strncmp(at, "(anonymous namespace)", 21) == 0) {
		keep(s, len);
		return true;
	}
	s->in += len;
	if (*at == '(')
		s->in += qualifiers_len(s->text + s->in);
	return true;
}

/* "operator" and its symbol, which is no bracket. */
static void
simplify_operator(struct simplifier *s)
{
	keep(s, 8);
	keep(s, operator_len(s->text + s->in));
	if (s->text[s->in] == ' ' && s->text[s->in + 1] == '<')
		s->in++;	/* operator< <int> */
	s->seen_operator = true;
}

bool
sn_demangle_simplify(char *text, bool keep_words)
{
	char *copy = strdup(text);
	struct simplifier s = { .text = copy };

	while (copy != NULL && copy[s.in] != '\0') {
		const char *at = copy + s.in;
		bool word_begins = s.in == 0 || !is_word(at[-1]);

		if (strncmp(at, " [clone", 7) == 0)
			break;
		if (word_begins && strncmp(at, "operator", 8) == 0 && !is_word(at[8])) {
			simplify_operator(&s);
		} else if (strchr("(<{[", *at) != NULL) {
			if (!simplify_group(&s))
				break;
		} else if (strchr(")>}]", *at) != NULL) {
			break;
		} else {
			if (*at == ' ' && !s.seen_operator && !keep_words)
				s.name = s.out + 1;
			keep(&s, 1);
		}
	}
	if (copy == NULL || (copy[s.in] != '\0' && copy[s.in] != ' ') || s.out <= s.name) {
		free(copy);
		return false;
	}
	copy[s.out] = '\0';
	strcpy(text, copy + s.name);
	free(copy);
	return true;
}

/* _ZTV, _ZThn16_…, _ZGV: "vtable for …" is no return type that could be dropped. */
static bool
is_special(const char *mangled)
{
	return strncmp(mangled, "_GLOBAL_", 8) == 0 || (strncmp(mangled, "_Z", 2) == 0 && strchr("TG", mangled[2]));
}

char *
sn_demangle(const char *mangled, bool full)
{
	char *text;

	if (strncmp(mangled, "_Z", 2) != 0 && strncmp(mangled, "_R", 2) != 0 && strncmp(mangled, "_GLOBAL_", 8) != 0)
		return NULL;
	if (strnlen(mangled, SN_NAME_MAX + 1) > SN_NAME_MAX)
		return NULL;
	text = run(rust_demangle_callback, mangled, full ? DMGL_VERBOSE : 0);
	if (text != NULL)
		return text;
	text = run(cplus_demangle_v3_callback, mangled, full ? DMGL_PARAMS | DMGL_ANSI : 0);
	if (text != NULL && !full)
		(void)sn_demangle_simplify(text, is_special(mangled));
	return text;
}

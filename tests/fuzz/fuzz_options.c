/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_options.c - any environment: values in range or one line that says why not.
 *
 * Input:    one entry of the environment a line; lines also serve as globs and signal names.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

#define ENTRIES_MAX	64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int holds)
{
	if (!holds)
		abort();
}

static void
require_line(const char *line)
{
	require(*line != '\0');
	for (; *line != '\0'; line++)
		require((unsigned char)*line >= ' ' && *line != 0x7f);
}

static void
require_in_range(const struct sn_options *o)
{
	require(o->mode >= SN_MODE_ON && o->mode <= SN_MODE_OFF);
	require(o->engine >= SN_ENGINE_AUTO && o->engine <= SN_ENGINE_TIMER);
	require(o->unwind >= SN_UNWIND_AUTO && o->unwind <= SN_UNWIND_LIBUNWIND);
	require(o->symbolize >= SN_SYMBOLIZE_NONE && o->symbolize <= SN_SYMBOLIZE_LINES);
	require((o->kinds & ~SN_KIND_CPU) == 0);
	require((o->labels & ~(SN_LABEL_THREAD | SN_LABEL_THREAD_ID)) == 0);
	require(o->hz >= 1 && o->hz <= 10000);
	require(o->depth >= 16 && o->depth <= 1024);
	require(o->budget == 0 || (o->budget >= 100 && o->budget <= 1000000));
	require(o->memory >= (int64_t)4 << 20 && o->memory <= (int64_t)4 << 30);
	require(o->signal == SIGPROF || (o->signal >= SIGRTMIN && o->signal <= SIGRTMAX));
	require(o->file == NULL || *o->file != '\0');
	require(o->only == NULL || *o->only != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *env[ENTRIES_MAX + 1] = { NULL };
	struct sn_options options;
	struct sn_complaint why = { "" };
	int n = 0, err;

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	for (char *at = text, *end; n < ENTRIES_MAX && at != NULL; at = end) {
		end = strchr(at, '\n');
		if (end != NULL)
			*end++ = '\0';
		env[n++] = at;
	}
	for (size_t i = 0; i < size; i++)	/* so that line breaks occur in entries too */
		if (text[i] == '\r')
			text[i] = '\n';

	sn_options_default(&options);
	require_in_range(&options);
	err = sn_options_from_env(&options, env, require_line, &why);
	require_in_range(&options);
	if (err < 0)
		require_line(why.text);
	for (int i = 0; i < n; i++) {
		int number = sn_signal_number(env[i]);

		require(number < 0 || (number >= 1 && number <= SIGRTMAX));
		if (strlen(env[i]) < 64)
			(void)sn_only_admits(env[i], "redis-server");
	}
	free(text);
	return 0;
}

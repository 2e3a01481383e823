/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_pprof.c - any bytes as a profile to be symbolized: refused with a reason, or the result is a valid
 * profile with the same samples.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "encode/pprof_read.h"
#include "encode/pprof_symbolize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
compare(const uint8_t *data, size_t size, const struct sn_buf *out)
{
	struct sn_arena before = { 0 }, after = { 0 };
	struct sn_pprof a, b;

	if (sn_pprof_read(data, size, &before, &a) != 0 || sn_pprof_read(out->data, out->len, &after, &b) != 0)
		abort();
	if (a.msg->n_sample != b.msg->n_sample || a.msg->n_location != b.msg->n_location ||
	    a.msg->n_mapping != b.msg->n_mapping || a.msg->n_function > b.msg->n_function)
		abort();
	for (size_t i = 0; i < a.msg->n_location; i++)
		if (a.msg->location[i]->n_line > 0 && b.msg->location[i]->n_line == 0)
			abort();
	sn_arena_free(&before);
	sn_arena_free(&after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_pprof_filled filled;
	struct sn_buf out = { 0 };
	int err = sn_pprof_symbolize(data, size, 0, SN_SYMBOLIZE_LINES, &out, &filled);

	if (err == -EBADMSG && filled.why[0] == '\0')
		abort();
	if (err == 0)
		compare(data, size, &out);
	else if (out.len != 0)
		abort();
	sn_buf_free(&out);
	return 0;
}

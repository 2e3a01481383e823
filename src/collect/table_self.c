/* SPDX-License-Identifier: Apache-2.0
 *
 * table_self.c - tables of the calling process (see table_self.h).
 *
 * Runs in:  tests, benches, `sonde selftest`.
 * When full: mappings beyond SN_TEXTS_MAX are as if unknown; tables beyond SN_TABLES_WINDOW are -EFBIG.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "collect/module.h"
#include "collect/table.h"
#include "collect/table_self.h"
#include "collect/tables.h"

#define MAPS_MAX	(16u << 20)

/* Put a table behind those in the store. */
static int
store(struct sn_self_tables *out, const struct sn_table *t, uint64_t bias, struct sn_text *text)
{
	uint32_t at = out->tables_bytes;
	uint8_t *grown;

	if (t->bytes > SN_TABLES_WINDOW - at)
		return -EFBIG;
	grown = realloc(out->tables, (size_t)at + t->bytes);
	if (grown == NULL)
		return -ENOMEM;
	memcpy(grown + at, t->data, t->bytes);
	out->tables = grown;
	out->tables_bytes += t->bytes;
	sn_text_set_table(text, t, at, bias);
	return 0;
}

static int
add_module(struct sn_self_tables *out, struct sn_images *images, const struct sn_module *m)
{
	struct sn_text *text = &out->map->text[out->map->count];
	struct sn_table t = { 0 };
	int err;

	*text = (struct sn_text){ .start = m->start, .limit = m->limit, .kind = SN_TEXT_FP, .stays = 1,
		.readable = m->readable };
	if (m->image != NULL) {
		err = sn_table_of_image(images, m->image, &t);
		if (err != -ENODATA)
			text->kind = SN_TEXT_UNKNOWN;
		if (err == 0)
			err = store(out, &t, m->bias, text);
		sn_table_free(&t);
		if (err == -ENOMEM || err == -EFBIG)
			return err;
		out->refused += err < 0;
	}
	out->map->start[out->map->count++] = m->start;
	out->modules++;
	return 0;
}

int
sn_text_map_of_self(struct sn_self_tables *out)
{
	struct sn_images images = { 0 };
	struct sn_modules modules;
	struct sn_buf maps = { 0 };
	int err = sn_buf_read_path(&maps, "/proc/self/maps", MAPS_MAX);

	*out = (struct sn_self_tables){ .map = aligned_alloc(64, (sizeof(*out->map) + 63) & ~63ull) };
	if (out->map == NULL) {
		sn_buf_free(&maps);
		return -ENOMEM;
	}
	memset(out->map, 0, sizeof(*out->map));
	sn_modules_init(&modules, &images, getpid());
	if (err == 0)
		err = sn_modules_update(&modules, (const char *)maps.data, maps.len, NULL, NULL);
	for (uint32_t i = 0; err == 0 && i < modules.now_count && out->map->count < SN_TEXTS_MAX; i++)
		err = add_module(out, &images, modules.now[i]);
	sn_modules_free(&modules);
	sn_buf_free(&maps);
	if (err < 0)
		sn_text_map_free(out);
	return err;
}

void
sn_text_map_free(struct sn_self_tables *t)
{
	free(t->map);
	free(t->tables);
	*t = (struct sn_self_tables){ 0 };
}

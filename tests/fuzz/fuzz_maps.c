/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_maps.c - a hostile text of /proc/PID/maps: the modules stay sorted, apart and findable.
 *
 * The text is taken over twice, in two halves, as if the program had changed it in between.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "collect/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct sn_modules *m)
{
	for (uint32_t i = 0; i < m->now_count; i++) {
		const struct sn_module *mod = m->now[i];

		if (mod->gone || mod->start >= mod->limit || m->all[mod->index] != mod ||
		    (i > 0 && mod->start < m->now[i - 1]->limit) ||
		    (mod->kind != SN_MODULE_ANON && mod->image == NULL) ||
		    sn_modules_find(m, mod->start) != mod || sn_modules_find(m, mod->limit - 1) != mod)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_images images = { 0 };
	struct sn_modules m, child;
	const char *text = (const char *)data;
	uint32_t bad;

	sn_modules_init(&m, &images, getpid());
	sn_modules_init(&child, &images, 1);
	if (sn_modules_update(&m, text, size / 2, "/bin/true", &bad) == 0)
		check(&m);
	if (sn_modules_update(&m, text + size / 2, size - size / 2, NULL, &bad) == 0)
		check(&m);
	if (sn_modules_copy(&child, &m) == 0)
		check(&child);
	sn_modules_free(&child);
	sn_modules_free(&m);
	if (images.first != NULL || images.open_fds != 0)
		abort();
	return 0;
}

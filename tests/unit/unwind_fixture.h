/* SPDX-License-Identifier: Apache-2.0
 *
 * unwind_fixture.h - what the tests of the unwinder share: this program's own modules, and room for one sample.
 * Included once by each of their programs.
 */
#ifndef SN_UNIT_UNWIND_FIXTURE_H
#define SN_UNIT_UNWIND_FIXTURE_H

#include <check.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "collect/unwind.h"

#define COPY_MAX	(512u << 10)

static struct sn_images images;
static struct sn_modules mods;
static struct sn_unwinder *unwinder;
static struct sn_unwound out;

/* One sample, as the handler of the program would take it. */
static struct sn_regs regs;
static uint8_t copy[COPY_MAX];
static uint32_t copied;

static void
see_modules(void)
{
	struct sn_buf text = { 0 };

	ck_assert_int_eq(sn_buf_read_path(&text, "/proc/self/maps", 16u << 20), 0);
	ck_assert_int_eq(sn_modules_update(&mods, (char *)text.data, text.len, NULL, NULL), 0);
	sn_buf_free(&text);
}

static void
setup(void)
{
	images = (struct sn_images){ 0 };
	sn_modules_init(&mods, &images, getpid());
	see_modules();
	unwinder = sn_unwinder_new(&mods);
	ck_assert_ptr_nonnull(unwinder);
}

static void
teardown(void)
{
	sn_unwinder_free(unwinder);
	sn_modules_free(&mods);
	ck_assert_uint_eq(images.held_bytes, 0);
}

static void
run(int is_cut, uint32_t depth)
{
	memset(&out, 0x5a, sizeof(out));
	sn_unwind(unwinder, &regs, copy, copied, is_cut, depth, &out);
	ck_assert_uint_ge(out.count, 1);
	ck_assert_uint_le(out.count, depth);
	ck_assert_uint_eq(out.pc[0], regs.r[SN_REG_PC]);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof_self.h - a profile of the test itself: its own functions, libc, the vdso, memory, pseudo frames.
 *
 * Runs in:  unit tests.  setup and teardown are a checked fixture.
 */
#ifndef SN_TESTS_UNIT_PPROF_SELF_H
#define SN_TESTS_UNIT_PPROF_SELF_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "encode/pprof.h"
#include "encode/pprof_symbolize.h"
#include "proto/profile.pb-c.h"

typedef Perftools__Profiles__Profile profile_msg;

static struct sn_images images;
static struct sn_modules modules;
static struct sn_profile profile;
static struct sn_pprof_filled filled;

/* ---- code to be named ---- */

#define NI __attribute__((noinline))

static inline __attribute__((always_inline)) int
deepest(volatile int *n)
{
	return ++*n * 3;
}

static inline __attribute__((always_inline)) int
deeper(volatile int *n)
{
	return deepest(n) + 1;
}

NI static int
outermost(volatile int *n)
{
	return deeper(n) + deeper(n);
}

NI static int
another(volatile int *n)
{
	return *n - 7;
}

/* ---- making and reading ---- */

static void
setup(void)
{
	struct sn_buf maps = { 0 };

	ck_assert_int_eq(sn_buf_read_path(&maps, "/proc/self/maps", 16 << 20), 0);
	sn_modules_init(&modules, &images, getpid());
	ck_assert_int_eq(sn_modules_update(&modules, (char *)maps.data, maps.len, NULL, NULL), 0);
	sn_buf_free(&maps);
	for (uint32_t i = 0; i < modules.now_count; i++)
		if (modules.now[i]->image != NULL)	/* as the unwinder does: starts of stripped functions */
			(void)sn_image_load_cfi(&images, modules.now[i]->image);
	sn_profile_init(&profile, 10000000, 0);
	profile.time_ns = 1700000000000000000;
	profile.duration_ns = 2000000000;
	profile.main_module = sn_modules_main(&modules);
	ck_assert_int_eq(sn_profile_comment(&profile, "sonde: the first comment"), 0);
}

static void
teardown(void)
{
	sn_profile_free(&profile);
	sn_modules_free(&modules);
}

static void
add_stack(const uint32_t *frames, uint32_t count, const char *label, uint64_t times)
{
	bool overflow = false;
	uint32_t l = label != NULL ? sn_profile_label(&profile, label, &overflow) : SN_NO_LABEL;

	ck_assert_int_eq(sn_profile_add(&profile, sn_profile_stack(&profile, frames, count), l, 0, 0, times), 0);
}

static uint32_t
frame_at(uint64_t addr)
{
	return sn_profile_frame(&profile, addr, sn_modules_find(&modules, addr), SN_PSEUDO_NONE);
}

/* Of our own functions each address, of libc some, the vdso, memory without a file, none at all. */
static void
sample_everything(void)
{
	uint64_t own[] = { (uintptr_t)outermost, (uintptr_t)another }, memory;
	uint32_t main_frame = frame_at((uintptr_t)sample_everything + 4);
	void *anon = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(anon, MAP_FAILED);
	teardown();
	setup();			/* it is in the maps now */
	memory = (uintptr_t)anon;
	for (unsigned f = 0; f < 2; f++)
		for (unsigned i = 0; i < 24; i++)
			add_stack((uint32_t[]){ frame_at(own[f] + i), main_frame }, 2, "main", i + 1);
	for (unsigned i = 0; i < 40; i++)
		add_stack((uint32_t[]){ frame_at((uintptr_t)&printf + 1000 * i), main_frame }, 2,
			i % 2 ? "odd" : NULL, 3);
	add_stack((uint32_t[]){ frame_at((uintptr_t)getauxval(AT_SYSINFO_EHDR) + 0x9a0), main_frame }, 2, NULL, 1);
	add_stack((uint32_t[]){ frame_at(memory + 16), main_frame }, 2, NULL, 1);
	add_stack((uint32_t[]){ sn_profile_frame(&profile, 0x1234, NULL, SN_PSEUDO_NONE), main_frame }, 2, NULL, 1);
	add_stack((uint32_t[]){ main_frame, sn_profile_frame(&profile, 0, NULL, SN_PSEUDO_TRUNCATED) }, 2, NULL, 1);
}

static struct sn_buf
encoded(enum sn_symbolize how)
{
	struct sn_symbolizer *s = sn_symbolizer_new(how, NULL);
	struct sn_buf out = { 0 };

	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sn_pprof_encode(&profile, s, how, &out), 0);
	sn_symbolizer_free(s);
	return out;
}

static profile_msg *
unpacked(const struct sn_buf *b)
{
	struct sn_buf raw = { 0 };
	profile_msg *m;

	ck_assert_int_eq(sn_gunzip(b->data, b->len, 64 << 20, &raw), 0);
	m = perftools__profiles__profile__unpack(NULL, raw.len, raw.data);
	sn_buf_free(&raw);
	ck_assert_ptr_nonnull(m);
	return m;
}

/* The profile without names, to be spoilt and written again. */
static profile_msg *
plain_message(void)
{
	struct sn_buf plain;
	profile_msg *m;

	sample_everything();
	plain = encoded(SN_SYMBOLIZE_NONE);
	m = unpacked(&plain);
	sn_buf_free(&plain);
	return m;
}

static struct sn_buf
packed(const profile_msg *m)
{
	struct sn_buf out = { 0 };

	ck_assert_ptr_nonnull(sn_buf_room(&out, perftools__profiles__profile__get_packed_size(m)));
	out.len = perftools__profiles__profile__pack(m, out.data);
	return out;
}

static void
put_text(profile_msg *m, int64_t number, const char *new)
{
	free(m->string_table[number]);
	m->string_table[number] = strdup(new);
}

#endif

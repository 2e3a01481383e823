/* SPDX-License-Identifier: Apache-2.0
 *
 * table_fixture.h - call frame information made by hand, byte by byte, for the tests of tables.
 *
 * Runs in:  tests.
 * Memory:   one block of BLOCK_MAX bytes, one table; beyond that a test fails.
 */
#ifndef SN_UNIT_TABLE_FIXTURE_H
#define SN_UNIT_TABLE_FIXTURE_H

#include <check.h>
#include <elf.h>
#include <string.h>

#include "collect/table.h"

#define BLOCK_MAX	(4u << 20)
#define TEXT		0x10000ull
#define TEXT_BYTES	0x100000ull
#define BYTES(...)	(const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static uint8_t block_bytes[BLOCK_MAX];
static struct sn_cfi_block block;
static struct sn_table table;

static void
put(const void *bytes, size_t n)
{
	ck_assert_uint_le(block.bytes + n, sizeof(block_bytes));
	if (n > 0)
		memcpy(block_bytes + block.bytes, bytes, n);
	block.bytes += n;
}

static void
put_u8(unsigned v)
{
	uint8_t byte = (uint8_t)v;

	put(&byte, 1);
}

static void
put_u32(uint64_t v)
{
	uint32_t word = (uint32_t)v;

	put(&word, sizeof(word));
}

static void
put_u64(uint64_t v)
{
	put(&v, sizeof(v));
}

static void
begin(uint16_t machine)
{
	block = (struct sn_cfi_block){ .data = block_bytes, .vaddr = 0x400000, .text_lo = TEXT,
		.text_hi = TEXT + TEXT_BYTES, .machine = machine };
}

/* Its length is known once it is there. */
static uint64_t
open_entry(void)
{
	put_u32(0);
	return block.bytes;
}

static void
close_entry(uint64_t at)
{
	uint32_t len = (uint32_t)(block.bytes - at);

	memcpy(block_bytes + at - 4, &len, sizeof(len));
}

/* Addresses of eight bytes, absolute; the CFA is rsp + 8 and the return address below it, or sp + 0.  Where it is. */
static uint64_t
put_cie(const char *letters, const uint8_t *data, size_t n)
{
	uint64_t at = open_entry();

	put_u32(block.is_debug_frame ? UINT32_MAX : 0);
	put_u8(1);
	put(letters, strlen(letters) + 1);
	put_u8(1);		/* code alignment */
	put_u8(0x78);		/* data alignment: -8 */
	put_u8(block.machine == EM_X86_64 ? 16 : 30);
	put(data, n);
	if (block.machine == EM_X86_64)
		put((const uint8_t[]){ 0x0c, 7, 8, 0x90, 1 }, 5);
	else
		put((const uint8_t[]){ 0x0c, 31, 0 }, 3);
	close_entry(at);
	return at - 4;
}

static void
put_fde(uint64_t cie, uint64_t start, uint64_t len, const uint8_t *program, size_t n)
{
	uint64_t at = open_entry();

	put_u32(block.is_debug_frame ? cie : at - cie);
	put_u64(start);
	put_u64(len);
	if (block_bytes[cie + 9] == 'z')
		put_u8(0);
	put(program, n);
	close_entry(at);
}

/* One function of 64 bytes at TEXT with this program, which holds from its first byte on. */
static int
compile_one(uint16_t machine, const uint8_t *program, size_t n)
{
	sn_table_free(&table);
	begin(machine);
	put_fde(put_cie("", NULL, 0), TEXT, 64, program, n);
	return sn_table_compile(&block, &table);
}

static const struct sn_rule *
rule_at(uint64_t vaddr)
{
	const struct sn_rule *r = sn_table_find(&table, vaddr);

	ck_assert_ptr_nonnull(r);
	return r;
}

static void
expect_rule(uint64_t vaddr, struct sn_rule want)
{
	const struct sn_rule *r = rule_at(vaddr);

	sn_rule_mark(&want);
	ck_assert_int_eq(r->plain, want.plain);
	ck_assert_int_eq(r->cfa, want.cfa);
	ck_assert_int_eq(r->cfa_off, want.cfa_off);
	ck_assert_int_eq(r->aux, want.aux);
	ck_assert_int_eq(r->fp, want.fp);
	ck_assert_int_eq(r->fp_off, want.fp_off);
	ck_assert_int_eq(r->bx, want.bx);
	ck_assert_int_eq(r->bx_off, want.bx_off);
	ck_assert_int_eq(r->ra, want.ra);
	ck_assert_int_eq(r->ra_off, want.ra_off);
	ck_assert_int_eq(r->ra_signed, want.ra_signed);
}

/* Ordinary x86-64: CFA by a register, the return address below it. */
#define BY(reg, off, ...) \
	(struct sn_rule){ .cfa = (reg), .cfa_off = (off), .ra = SN_SAVED_CFA, .ra_off = -8, __VA_ARGS__ }
#define ONLY(kind) (struct sn_rule){ .cfa = (kind) }

#define EXPECT_X86(want, ...) do { \
	ck_assert_int_eq(compile_one(EM_X86_64, BYTES(__VA_ARGS__)), 0); \
	expect_rule(TEXT, want); \
	expect_rule(TEXT + 63, want); \
} while (0)

#define EXPECT_ARM(want, ...) do { \
	ck_assert_int_eq(compile_one(EM_AARCH64, BYTES(__VA_ARGS__)), 0); \
	expect_rule(TEXT, want); \
} while (0)

#endif

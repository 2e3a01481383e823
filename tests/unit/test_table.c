/* SPDX-License-Identifier: Apache-2.0
 *
 * test_table.c - compact unwind tables from call frame information made by hand, sound and hostile.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/table_known.h"
#include "collect/table_rows.h"
#include "unit/table_fixture.h"

static void
teardown(void)
{
	sn_table_free(&table);
}

START_TEST(table_instructions_that_set_the_cfa)
{
	EXPECT_X86(BY(SN_CFA_SP, 8), 0x00);
	EXPECT_X86(BY(SN_CFA_SP, 16), 0x0e, 16);			/* def_cfa_offset */
	EXPECT_X86(BY(SN_CFA_FP, 300), 0x0c, 6, 0xac, 0x02);		/* def_cfa */
	EXPECT_X86(BY(SN_CFA_FP, 8), 0x0d, 6);				/* def_cfa_register */
	EXPECT_X86(BY(SN_CFA_BX, 24), 0x12, 3, 0x7d);			/* def_cfa_sf: -3 * -8 */
	EXPECT_X86(BY(SN_CFA_SP, -8), 0x13, 1);				/* def_cfa_offset_sf */
	EXPECT_X86(BY(SN_CFA_REG, 0, .aux = 10), 0x0c, 10, 0);
	EXPECT_X86(BY(SN_CFA_SP, 16), 0x2e, 32, 0x0e, 16);		/* args_size changes nothing */
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x0c, 17, 8);			/* no such register */
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x0e, 0x80, 0x80, 0x80, 0x80, 0x08);	/* 2 GiB: not in 32 bits */
}
END_TEST

START_TEST(table_instructions_that_save_registers)
{
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_CFA, .fp_off = -16), 0x86, 2);
	EXPECT_X86(BY(SN_CFA_SP, 8, .bx = SN_SAVED_CFA, .bx_off = -24), 0x83, 3);
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_CFA, .fp_off = -16), 0x05, 6, 2);	/* offset_extended */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_CFA, .fp_off = 16), 0x11, 6, 0x7e);	/* offset_extended_sf */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_CFA, .fp_off = 16), 0x2f, 6, 2);	/* GNU_negative_offset */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_LOST), 0x14, 6, 2);			/* val_offset */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_LOST), 0x15, 6, 2);
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_LOST), 0x09, 6, 9);			/* register */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_LOST), 0x07, 6);			/* undefined */
	EXPECT_X86(BY(SN_CFA_SP, 8), 0x86, 2, 0x08, 6);					/* same_value */
	EXPECT_X86(BY(SN_CFA_SP, 8), 0x86, 2, 0xc6);					/* restore */
	EXPECT_X86(BY(SN_CFA_SP, 8), 0x86, 2, 0x06, 6);					/* restore_extended */
	EXPECT_X86(BY(SN_CFA_SP, 8), 0x8c, 2, 0x8d, 3, 0x11, 40, 1);		/* registers that nobody follows */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_LOST), 0x05, 6, 0x81, 0x20);	/* -32776: not in 16 bits */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_CFA, .fp_off = -32768), 0x05, 6, 0x80, 0x20);
}
END_TEST

START_TEST(table_expressions)
{
	/* DRAP: *(rbp - 8), and rbp itself saved at rbp; perlasm: *(rsp + 24) + 8; ld's PLT */
	EXPECT_X86(BY(SN_CFA_FP_DEREF, -8, .fp = SN_SAVED_FP, .bx = SN_SAVED_FP, .bx_off = -40),
		0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0, 0x10, 3, 2, 0x76, 0x58);
	EXPECT_X86(BY(SN_CFA_SP_DEREF, 24, .aux = 8), 0x0f, 5, 0x77, 24, 0x06, 0x23, 8);
	EXPECT_X86(BY(SN_CFA_PLT, 11), 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x32, 0x24, 0x22);
	EXPECT_X86(BY(SN_CFA_SP, 48), 0x0f, 2, 0x77, 48);			/* a register by way of an expression */
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x0f, 6, 0x77, 24, 0x06, 0x23, 0x80, 2);	/* + 256 */
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x0f, 3, 0x73, 24, 0x06);			/* *(rbx + 24) */
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x0f, 4, 0x77, 24, 0x06, 0x06);
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_LOST), 0x16, 6, 2, 0x76, 0);	/* val_expression */
	EXPECT_X86(BY(SN_CFA_SP, 8, .fp = SN_SAVED_LOST), 0x10, 6, 2, 0x77, 0);	/* by rsp */
	EXPECT_X86(BY(SN_CFA_SP, 16), 0x0f, 3, 0x76, 0x78, 0x06, 0x0c, 7, 16);	/* def_cfa ends it */
}
END_TEST

START_TEST(table_return_addresses)
{
	EXPECT_X86(ONLY(SN_CFA_END), 0x07, 16);
	EXPECT_X86(((struct sn_rule){ .cfa = SN_CFA_SP, .cfa_off = 8, .ra = SN_SAVED_REG, .ra_off = 5 }), 0x09, 16, 5);
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x08, 16);
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x09, 16, 16);
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x05, 16, 0x81, 0x20);	/* too far away */
	EXPECT_X86(ONLY(SN_CFA_BAD), 0x09, 7, 8);		/* longjmp: rsp is in r8, so the CFA says nothing */
	EXPECT_X86(BY(SN_CFA_SP, 8), 0x14, 7, 0);		/* rsp is the CFA: as always */
}
END_TEST

START_TEST(table_of_aarch64)
{
	struct sn_rule leaf = { .cfa = SN_CFA_SP }, frame = { .cfa = SN_CFA_FP, .cfa_off = 32, .fp = SN_SAVED_CFA,
		.fp_off = -32, .ra = SN_SAVED_CFA, .ra_off = -24 };

	EXPECT_ARM(leaf, 0x00);					/* the return address is in x30 */
	EXPECT_ARM(frame, 0x0c, 29, 32, 0x9d, 4, 0x9e, 3);
	frame.ra_signed = 1;
	EXPECT_ARM(frame, 0x2d, 0x0c, 29, 32, 0x9d, 4, 0x9e, 3);
	frame.ra_signed = 0;
	EXPECT_ARM(frame, 0x2d, 0x0c, 29, 32, 0x9d, 4, 0x9e, 3, 0x2c);
	leaf.cfa_off = 16;
	EXPECT_ARM(leaf, 0x0e, 16, 0x83, 2, 0x86, 2);		/* x3 and x6 are not followed there */
	EXPECT_ARM(ONLY(SN_CFA_END), 0x07, 30);
	ck_assert_int_eq(compile_one(EM_X86_64, BYTES(0x2d)), 0);
	ck_assert_uint_eq(table.bad_fdes, 1);			/* on x86-64 there is nothing to sign */
	expect_rule(TEXT, ONLY(SN_CFA_BAD));
}
END_TEST

START_TEST(table_advances_and_remembered_states)
{
	ck_assert_int_eq(compile_one(EM_X86_64, BYTES(0x41, 0x0e, 16, 0x86, 2,	/* +1 */
		0x02, 2, 0x0a, 0x0c, 6, 16,			/* +2, by 8 bits; remember */
		0x03, 3, 0, 0x0b,				/* +3, 16 bits; restore, the CFA too */
		0x04, 4, 0, 0, 0, 0x0e, 24,			/* +4, 32 bits */
		0x1d, 5, 0, 0, 0, 0, 0, 0, 0, 0x0e, 32,		/* +5, 64 bits */
		0x40, 0x0e, 40,					/* +0 */
		0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 0x0e, 48)), 0);	/* set_loc */
	expect_rule(TEXT, BY(SN_CFA_SP, 8));
	expect_rule(TEXT + 1, BY(SN_CFA_SP, 16, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 2, BY(SN_CFA_SP, 16, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 3, BY(SN_CFA_FP, 16, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 5, BY(SN_CFA_FP, 16, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 6, BY(SN_CFA_SP, 16, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 10, BY(SN_CFA_SP, 24, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 14, BY(SN_CFA_SP, 24, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 15, BY(SN_CFA_SP, 40, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 0x1f, BY(SN_CFA_SP, 40, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 0x20, BY(SN_CFA_SP, 48, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 63, BY(SN_CFA_SP, 48, .fp = SN_SAVED_CFA, .fp_off = -16));
	expect_rule(TEXT + 64, ONLY(SN_CFA_NONE));
	ck_assert_uint_eq(table.fdes, 1);
	ck_assert_uint_eq(table.bad_fdes, 0);
	ck_assert_uint_eq(table.text_bytes, 64);
	EXPECT_X86(BY(SN_CFA_SP, 8), 0x04, 0xff, 0xff, 0xff, 0xff, 0x0e, 16);	/* beyond the end: never in force */
}
END_TEST

START_TEST(table_programs_that_may_not_be_make_their_range_bad)
{
	static const struct {
		uint8_t n, program[20];
	} wrong[] = {
		{ 3, { 0x0e, 16, 0x3c } },			/* unknown instruction */
		{ 1, { 0x0b } },				/* restore without remember */
		{ 17, { 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a,
			0x0a } },				/* more than are kept */
		{ 2, { 0x0c, 7 } },				/* cut short */
		{ 3, { 0x0f, 9, 0x77 } },			/* an expression beyond the end */
		{ 2, { 0x0f, 0 } },				/* an empty one */
		{ 11, { 0x50, 0x01, 0x08, 0, 1, 0, 0, 0, 0, 0, 0 } },	/* set_loc backwards */
		{ 8, { 0x44, 0x0e, 16, 0x44, 0x0e, 24, 0x44, 0x0b } },	/* sound for a while: no row of it stays */
		{ 3, { 0x03, 1, 0x80 } },			/* an advance by 32769: ends it, in order */
		{ 12, { 0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1 } }, /* endless number */
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		sn_table_free(&table);
		begin(EM_X86_64);
		put_fde(put_cie("", NULL, 0), TEXT, 64, wrong[i].program, wrong[i].n);
		put_fde(0, TEXT + 64, 64, BYTES(0x0e, 16));
		ck_assert_int_eq(sn_table_compile(&block, &table), 0);
		if (wrong[i].program[0] == 0x03) {
			expect_rule(TEXT, BY(SN_CFA_SP, 8));
			continue;
		}
		expect_rule(TEXT, ONLY(SN_CFA_BAD));
		expect_rule(TEXT + 63, ONLY(SN_CFA_BAD));
		expect_rule(TEXT + 64, BY(SN_CFA_SP, 16));
		ck_assert_uint_eq(table.fdes, 1);
		ck_assert_uint_eq(table.bad_fdes, 1);
		ck_assert_uint_eq(table.text_bad, 64);
	}
}
END_TEST

START_TEST(table_gaps_and_equal_neighbours)
{
	uint64_t cie;

	begin(EM_X86_64);
	cie = put_cie("", NULL, 0);
	put_fde(cie, TEXT + 200, 40, BYTES(0x0e, 16));
	put_fde(cie, TEXT + 100, 50, BYTES(0x44, 0x0e, 16));
	put_fde(cie, TEXT + 165, 10, BYTES(0x0e, 16));		/* 15 bytes behind the one before */
	put_fde(cie, TEXT + 300, 0, BYTES(0x0e, 16));		/* no code at all */
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	expect_rule(TEXT, ONLY(SN_CFA_NONE));
	expect_rule(TEXT + 98, ONLY(SN_CFA_NONE));
	expect_rule(TEXT + 99, BY(SN_CFA_SP, 8));		/* the byte before a function is as its entry */
	expect_rule(TEXT + 103, BY(SN_CFA_SP, 8));
	expect_rule(TEXT + 104, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 163, ONLY(SN_CFA_NONE));
	expect_rule(TEXT + 164, BY(SN_CFA_SP, 8));
	expect_rule(TEXT + 165, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 175, ONLY(SN_CFA_NONE));
	expect_rule(TEXT + 239, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 240, ONLY(SN_CFA_NONE));
	expect_rule(TEXT + TEXT_BYTES - 1, ONLY(SN_CFA_NONE));
	ck_assert_ptr_null(sn_table_find(&table, TEXT + TEXT_BYTES));
	ck_assert_ptr_null(sn_table_find(&table, TEXT - 1));
	ck_assert_uint_eq(table.nrows, 10);			/* none, 8 and 16; none, 8, 16 twice; none */
	ck_assert_uint_eq(table.fdes, 3);
	ck_assert_uint_eq(table.bytes % SN_TABLE_ALIGN, 0);
}
END_TEST

START_TEST(table_signal_trampolines)
{
	uint64_t cie, plain;

	/* rt_sigreturn's: the CFA is *(rsp + 160) */
	begin(EM_X86_64);
	cie = put_cie("zS", BYTES(0));
	put_fde(cie, TEXT, 8, BYTES(0x0f, 4, 0x77, 0xa0, 0x01, 0x06));
	plain = put_cie("", NULL, 0);
	put_fde(plain, TEXT + 10, 8, BYTES(0x0e, 16));
	put_fde(cie, TEXT + 18, 8, BYTES(0x0e, 24));		/* says so and is none */
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	expect_rule(TEXT, ONLY(SN_CFA_SIGNAL));
	expect_rule(TEXT + 7, ONLY(SN_CFA_SIGNAL));
	expect_rule(TEXT + 8, ONLY(SN_CFA_NONE));	/* two bytes, but behind a trampoline nothing is padding */
	expect_rule(TEXT + 10, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 18, BY(SN_CFA_SP, 24));
	sn_table_free(&table);
	begin(EM_AARCH64);
	put_fde(put_cie("zS", BYTES(0)), TEXT, 8, BYTES(0x00));
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	expect_rule(TEXT, ONLY(SN_CFA_SIGNAL));
}
END_TEST

START_TEST(table_where_fdes_overlap_the_first_by_address_counts)
{
	uint64_t cie;

	begin(EM_X86_64);
	cie = put_cie("", NULL, 0);
	put_fde(cie, TEXT + 32, 64, BYTES(0x0e, 32, 0x60, 0x0e, 40));
	put_fde(cie, TEXT, 48, BYTES(0x0e, 16));
	put_fde(cie, TEXT, 200, BYTES(0x0e, 48));
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	expect_rule(TEXT, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 47, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 48, BY(SN_CFA_SP, 48));
	expect_rule(TEXT + 199, BY(SN_CFA_SP, 48));
	expect_rule(TEXT + 200, ONLY(SN_CFA_NONE));
	ck_assert_uint_eq(table.fdes, 1);
	ck_assert_uint_eq(table.bad_fdes, 2);
}
END_TEST

START_TEST(table_finds_the_same_rule_for_every_address_whatever_the_buckets_are)
{
	static const uint64_t spread[] = { 16, 48, 200, 1000, 4096, 5000 };
	unsigned shifts = 0;

	for (size_t k = 0; k < sizeof(spread) / sizeof(*spread); k++) {
		uint64_t cie, step = spread[k], count = TEXT_BYTES / step < 3000 ? TEXT_BYTES / step : 3000, wrong = 0;

		sn_table_free(&table);
		begin(EM_X86_64);
		block.text_hi = TEXT + step * count;
		cie = put_cie("", NULL, 0);
		for (uint64_t i = 0; i < count; i++)
			put_fde(cie, TEXT + i * step, step, BYTES(0x41, 0x0e, (uint8_t)(16 + i % 64), 0x49, 0x0e, 8));
		ck_assert_int_eq(sn_table_compile(&block, &table), 0);
		shifts |= 1u << table.shift;
		for (uint64_t at = 0; at < step * count; at++) {
			int32_t want = at % step == 0 || at % step >= 10 ? 8 : 16 + (int32_t)(at / step % 64);

			wrong += sn_table_find(&table, TEXT + at)->cfa_off != want;
		}
		ck_assert_uint_eq(wrong, 0);
	}
	ck_assert_uint_ne(shifts & (shifts - 1), 0);		/* not one size for all */
}
END_TEST

START_TEST(table_of_damaged_entries)
{
	uint64_t cie, ends;

	begin(EM_X86_64);
	cie = put_cie("", NULL, 0);
	put_fde(cie, TEXT, 64, BYTES(0x0e, 16));
	put_fde(cie + 1, TEXT + 64, 64, BYTES(0x0e, 16));	/* no CIE begins there */
	put_fde(block.bytes, TEXT + 64, 64, BYTES(0x0e, 16));	/* its own CIE */
	put_fde(cie, TEXT - 1, 64, BYTES(0x0e, 16));
	put_fde(cie, TEXT + TEXT_BYTES - 1, 64, BYTES(0x0e, 16));
	put_fde(cie, TEXT + 64, UINT64_MAX, BYTES(0x0e, 16));
	put_fde(cie, TEXT + 64, 1ull << 32, BYTES(0x0e, 16));
	put_u32(2);						/* too short for an id */
	put("ab", 2);
	ends = block.bytes;
	put_u32(0);						/* the end, and more behind it */
	put_fde(cie, TEXT + 128, 64, BYTES(0x0e, 24));
	put_u32(UINT32_MAX - 8);				/* longer than the rest */
	put_u64(0);
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	expect_rule(TEXT + 63, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 64, ONLY(SN_CFA_NONE));
	expect_rule(TEXT + 128, BY(SN_CFA_SP, 24));
	ck_assert_uint_eq(table.fdes, 2);
	ck_assert_uint_eq(table.bad_fdes, 8);
	ck_assert_uint_eq(sn_cfi_end(&block), ends);		/* where nothing says how long .eh_frame is */
}
END_TEST

START_TEST(table_every_prefix_and_every_spoilt_byte_of_a_block_ends)
{
	uint64_t cie, whole;
	uint8_t *exact;

	begin(EM_X86_64);
	cie = put_cie("zR", BYTES(1, 0));
	put_fde(cie, TEXT, 64, BYTES(0x0f, 3, 0x76, 0x78, 0x06, 0x42, 0x0a, 0x0e, 16, 0x44, 0x0b, 0x10, 6, 2, 0x76, 0));
	put_fde(put_cie("zPLR", BYTES(7, 3, 1, 2, 3, 4, 0, 0)), TEXT + 64, 64, BYTES(0x0e, 16));
	whole = block.bytes;
	for (uint64_t n = 0; n < whole; n++) {
		exact = malloc(n > 0 ? n : 1);			/* so that a sanitizer sees a byte too far */
		ck_assert_ptr_nonnull(exact);
		memcpy(exact, block_bytes, n);
		block.data = exact;
		block.bytes = n;
		if (sn_table_compile(&block, &table) == 0)
			sn_table_free(&table);
		free(exact);
	}
	block.data = block_bytes;
	block.bytes = whole;
	for (uint64_t at = 0; at < whole; at++) {
		for (unsigned v = 0; v < 256; v++) {
			uint8_t was = block_bytes[at];

			block_bytes[at] = (uint8_t)v;
			if (sn_table_compile(&block, &table) == 0)
				sn_table_free(&table);
			block_bytes[at] = was;
		}
	}
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	ck_assert_uint_eq(table.fdes, 2);
}
END_TEST

START_TEST(table_with_more_rules_than_numbers_has_bad_rows_for_the_rest)
{
	unsigned functions = 70000;
	uint64_t cie;

	begin(EM_X86_64);
	cie = put_cie("", NULL, 0);
	for (unsigned i = 0; i < functions; i++)
		put_fde(cie, TEXT + i * 8ull, 8, BYTES(0x0c, 7, (i & 0x7f) | 0x80, (i >> 7 & 0x7f) | 0x80, i >> 14));
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	ck_assert_uint_le(table.nrules, 65535);
	expect_rule(TEXT + 8, BY(SN_CFA_SP, 1));
	expect_rule(TEXT + 60000 * 8, BY(SN_CFA_SP, 60000));
	expect_rule(TEXT + (functions - 1) * 8, ONLY(SN_CFA_BAD));
	ck_assert_uint_ge(table.rows_bad, functions - 65535);
}
END_TEST

START_TEST(table_of_debug_frame)
{
	uint64_t cie, at;

	begin(EM_X86_64);
	block.is_debug_frame = true;
	cie = put_cie("", NULL, 0);
	put_fde(cie, TEXT, 64, BYTES(0x0e, 16));
	put_fde(cie, 0, 64, BYTES(0x0e, 16));			/* a function that the linker threw away: not counted */
	put_u32(UINT32_MAX);					/* 64-bit format: a CIE of version 4, then its FDE */
	at = block.bytes - 4;
	put_u64(8 + 1 + 1 + 2 + 3 + 5);
	put_u64(UINT64_MAX);
	put(BYTES(4, 0, 8, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1));
	put_u32(UINT32_MAX);
	put_u64(8 + 16 + 2);
	put_u64(at);
	put_u64(TEXT + 64);
	put_u64(64);
	put(BYTES(0x0e, 24));
	ck_assert_int_eq(sn_table_compile(&block, &table), 0);
	expect_rule(TEXT, BY(SN_CFA_SP, 16));
	expect_rule(TEXT + 64, BY(SN_CFA_SP, 24));
	ck_assert_uint_eq(table.fdes, 2);
	ck_assert_uint_eq(table.bad_fdes, 0);
}
END_TEST

START_TEST(table_that_cannot_be)
{
	begin(EM_X86_64);
	ck_assert_int_eq(sn_table_compile(&block, &table), -ENODATA);
	put_fde(put_cie("", NULL, 0), TEXT, 64, BYTES(0x00));
	block.text_hi = block.text_lo;
	ck_assert_int_eq(sn_table_compile(&block, &table), -ENODATA);
	block.text_hi = block.text_lo + (1ull << 32);
	ck_assert_int_eq(sn_table_compile(&block, &table), -E2BIG);
	block.text_hi = TEXT + 64;
	block.machine = EM_386;
	ck_assert_int_eq(sn_table_compile(&block, &table), -ENOTSUP);
	begin(EM_X86_64);
	put_fde(put_cie("eh", BYTES(0, 0, 0, 0, 0, 0, 0, 0)), TEXT, 64, BYTES(0x00));
	put_fde(put_cie("zQ", BYTES(0)), TEXT, 64, BYTES(0x00));
	ck_assert_int_eq(sn_table_compile(&block, &table), -ENODATA);
}
END_TEST

/* An image of code alone, at TEXT. */
static unsigned
known_of(uint16_t machine, const uint8_t *code, size_t n, bool is_sec, struct sn_known_code *known)
{
	Elf64_Phdr text = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = TEXT, .p_filesz = n, .p_memsz = n };
	Elf64_Shdr plt = { .sh_addr = TEXT, .sh_size = n };
	struct sn_image image = { .fd = -1, .memory = code, .file_bytes = n, .machine = machine, .phdr = &text,
		.phnum = 1 };

	return sn_known_code(&image, is_sec ? NULL : &plt, is_sec ? &plt : NULL, known);
}

START_TEST(table_plts_without_cfi_are_known_by_their_bytes)
{
	uint8_t lazy[64] = { 0xff, 0x35, 1, 2, 3, 4, 0xff, 0x25, 1, 2, 3, 4 };
	uint8_t ibt[32] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 1, 2, 3, 4 };
	uint32_t arm[12] = { 0xa9bf7bf0, 0x90000bd0, 0xf947fe11, 0x913fe210, 0xd61f0220, 0xd503201f, 0xd503201f,
		0xd503201f, 0xb0000bd0, 0xf9400211, 0x91000210, 0xd61f0220 };
	struct sn_known_code known[SN_KNOWN_MAX];

	for (size_t at = 16; at < sizeof(lazy); at += 16) {
		memcpy(lazy + at, (const uint8_t[]){ 0xff, 0x25, 1, 2, 3, 4, 0x68, 1, 0, 0, 0, 0xe9 }, 12);
	}
	ck_assert_uint_eq(known_of(EM_X86_64, lazy, sizeof(lazy), false, known), 1);
	ck_assert_uint_eq(known[0].nrows, 3);
	ck_assert_int_eq(known[0].row[2].rule.cfa, SN_CFA_PLT);
	ck_assert_int_eq(known[0].row[2].rule.cfa_off, 11);
	lazy[32] = 0x90;
	ck_assert_uint_eq(known_of(EM_X86_64, lazy, sizeof(lazy), false, known), 0);
	memcpy(ibt + 16, ibt, 16);
	ck_assert_uint_eq(known_of(EM_X86_64, ibt, sizeof(ibt), true, known), 1);
	ibt[20] = 0x50;
	ck_assert_uint_eq(known_of(EM_X86_64, ibt, sizeof(ibt), true, known), 0);
	ck_assert_uint_eq(known_of(EM_AARCH64, (const uint8_t *)arm, sizeof(arm), false, known), 1);
	ck_assert_uint_eq(known[0].row[1].at, 4);
	ck_assert_int_eq(known[0].row[1].rule.cfa_off, 16);
	ck_assert_uint_eq(known[0].row[2].at, 20);
	arm[8] = 0xd10043ff;	/* sub sp, sp, #16 */
	ck_assert_uint_eq(known_of(EM_AARCH64, (const uint8_t *)arm, sizeof(arm), false, known), 0);
}
END_TEST

START_TEST(table_of_the_compilers_end_code)
{
	/* as in programs that are not PIE: the function that is called, then the one of .fini_array */
	uint8_t code[] = { 0xb8, 1, 2, 3, 0, 0x48, 0x3d, 1, 2, 3, 0, 0x74, 0x13, 0xb8, 0, 0, 0, 0, 0x48, 0x85, 0xc0,
		0x74, 9, 0xbf, 1, 2, 3, 0, 0xff, 0xe0, 0x66, 0x90, 0xc3,
		0xf3, 0x0f, 0x1e, 0xfa, 0x80, 0x3d, 1, 2, 3, 0, 0, 0x75, 0x13, 0x55, 0x48, 0x89, 0xe5,
		0xe8, 0xc9, 0xff, 0xff, 0xff, 0xc6, 0x05, 1, 2, 3, 0, 1, 0x5d, 0xc3, 0x90, 0xc3 };
	const size_t end = 33;
	Elf64_Phdr text = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = TEXT, .p_filesz = sizeof(code) };
	struct sn_image image = { .fd = -1, .memory = code, .file_bytes = sizeof(code), .machine = EM_X86_64,
		.phdr = &text, .phnum = 1 };
	struct sn_known_code known[2];

	ck_assert_uint_eq(sn_known_crt(&image, TEXT + end, known), 2);
	ck_assert_uint_eq(known[0].limit, TEXT + sizeof(code));
	ck_assert_uint_eq(known[0].nrows, 3);
	ck_assert_uint_eq(known[0].row[1].at, 14);
	ck_assert_int_eq(known[0].row[1].rule.cfa_off, 16);
	ck_assert_int_eq(known[0].row[1].rule.fp, SN_SAVED_CFA);
	ck_assert_uint_eq(known[0].row[2].at, 30);
	ck_assert_uint_eq(known[1].start, TEXT);
	ck_assert_uint_eq(known[1].limit, TEXT + end);
	ck_assert_uint_eq(known[1].nrows, 1);
	code[0] = 0x50;			/* push %rax: not what the compiler writes */
	ck_assert_uint_eq(sn_known_crt(&image, TEXT + end, known), 1);
	code[end + 29] = 0x90;		/* no pop before ret */
	ck_assert_uint_eq(sn_known_crt(&image, TEXT + end, known), 0);
	ck_assert_uint_eq(sn_known_crt(&image, 0, known), 0);
}
END_TEST

START_TEST(table_of_the_vdso)
{
	struct sn_images all = { 0 };
	struct sn_image *vdso = sn_image_vdso(&all);

	ck_assert_ptr_nonnull(vdso);
	if (vdso->err == 0) {
		ck_assert_int_eq(sn_table_of_image(&all, vdso, &table), 0);
		ck_assert_uint_ge(table.fdes, 1);
		ck_assert_uint_eq(table.bad_fdes, 0);
	}
	sn_image_put(&all, vdso);
	ck_assert_uint_eq(all.held_bytes, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("table");
	TCase *t = tcase_create("table");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, table_instructions_that_set_the_cfa);
	tcase_add_test(t, table_instructions_that_save_registers);
	tcase_add_test(t, table_expressions);
	tcase_add_test(t, table_return_addresses);
	tcase_add_test(t, table_of_aarch64);
	tcase_add_test(t, table_advances_and_remembered_states);
	tcase_add_test(t, table_programs_that_may_not_be_make_their_range_bad);
	tcase_add_test(t, table_gaps_and_equal_neighbours);
	tcase_add_test(t, table_signal_trampolines);
	tcase_add_test(t, table_where_fdes_overlap_the_first_by_address_counts);
	tcase_add_test(t, table_finds_the_same_rule_for_every_address_whatever_the_buckets_are);
	tcase_add_test(t, table_of_damaged_entries);
	tcase_add_test(t, table_every_prefix_and_every_spoilt_byte_of_a_block_ends);
	tcase_add_test(t, table_with_more_rules_than_numbers_has_bad_rows_for_the_rest);
	tcase_add_test(t, table_of_debug_frame);
	tcase_add_test(t, table_that_cannot_be);
	tcase_add_test(t, table_plts_without_cfi_are_known_by_their_bytes);
	tcase_add_test(t, table_of_the_compilers_end_code);
	tcase_add_test(t, table_of_the_vdso);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

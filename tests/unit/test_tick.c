/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tick.c - what a timer's signal credits to the stack that it finds.
 */
#include <check.h>
#include <signal.h>
#include <sys/syscall.h>

#include "hot/hot.h"

#define MS 1000000ull
#define TICK (4 * MS)

/* So much is credited for that many overruns where a thread goes on behind a system call, or elsewhere. */
static uint64_t
credited(int overrun, bool behind_call, bool lets_in)
{
	struct sn_slot slot = { .state = SN_SLOT_ARMED };
	struct sn_segment_wishes wishes = { 0 };
	/* A period so long that nothing is walked. */
	struct sn_live_state live = { .options = { .tick_ns = TICK, .period_ns = 1000000 * MS } };
	ucontext_t uc = { 0 };
#if defined(__x86_64__)
	static const uint8_t code[] __attribute__((aligned(64))) = { 0x90, 0x90, 0x0f, 0x05, 0x90, 0x90, 0x90, 0x90 };

	uc.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(code + (behind_call ? 4 : 7));
	uc.uc_mcontext.gregs[REG_R10] = lets_in ? 8 : 0;
	uc.uc_mcontext.gregs[REG_RDI] = lets_in ? SIG_SETMASK : 3;
#else
	static const uint32_t code[] __attribute__((aligned(64))) = { 0xd503201f, 0xd4000001, 0xd503201f, 0xd503201f };

	uc.uc_mcontext.pc = (uintptr_t)(code + (behind_call ? 2 : 3));
	uc.uc_mcontext.regs[8] = lets_in ? SYS_rt_sigprocmask : SYS_read;
#endif
	live.segment.slots = &slot;
	live.segment.wishes = &wishes;
	live.segment.nslots = 1;
	sn_cpu_tick(&live, 0, overrun, &uc);
	return slot.credited_ns;
}

START_TEST(each_overrun_is_a_tick)
{
	ck_assert_uint_eq(credited(0, false, false), TICK);
	ck_assert_uint_eq(credited(2, false, false), 3 * TICK);
	ck_assert_uint_eq(credited(2, true, true), 3 * TICK);
}
END_TEST

START_TEST(late_ticks_are_nobodys_only_where_the_signal_was_blocked)
{
	ck_assert_uint_eq(credited(200, false, false), 8 * TICK);	/* the rest is its residual */
	ck_assert_uint_eq(credited(200, true, false), 8 * TICK);
	ck_assert_uint_eq(credited(200, true, true), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tick");
	TCase *tc = tcase_create("tick");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, each_overrun_is_a_tick);
	tcase_add_test(tc, late_ticks_are_nobodys_only_where_the_signal_was_blocked);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

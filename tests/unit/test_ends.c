/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ends.c - waiting for the file before a process dies or becomes another program: with a collector that writes,
 * that does not, that is gone, and with none.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "control/internal.h"

#define SECOND SN_NS_PER_SEC

/* ---- the rest of control/, as this file needs it ---- */

static struct sn_host host;
static bool runs, is_ending, is_sealed;
static int nudged, ended;
static int32_t writes;		/* the collector writes when it is nudged for this time */

struct sn_host *
sn_inside_host(void)
{
	return &host;
}

bool
sn_inside_runs(void)
{
	return runs;
}

bool
sn_inside_has_segment(void)
{
	return runs;
}

bool
sn_inside_is_ending(void)
{
	return is_ending;
}

bool
sn_control_is_sealed(void)
{
	return is_sealed;
}

void
sn_inside_end(void)
{
	ended++;
}

const char *
sn_inside_socket(void)
{
	return "";
}

int
sn_real_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	return sigaction(sig, new, old);
}

void
sn_nudge(const char *name)
{
	(void)name;
	if (__atomic_add_fetch(&nudged, 1, __ATOMIC_ACQ_REL) == writes)
		SN_STORE_RELEASE(&host.flush_done, host.flush_asked);
}

static void
begin(bool may_write)
{
	host = (struct sn_host){ .ready = 1, .options = { .file = "P.pb.gz", .exit_wait = 20 * SECOND } };
	runs = true;
	is_ending = is_sealed = false;
	nudged = ended = 0;
	writes = may_write ? 1 : 0;
	(void)signal(SIGTERM, SIG_DFL);		/* Check has its own */
}

/* ---- flushes ---- */

START_TEST(flush_waits_for_the_collector_and_says_why)
{
	begin(true);
	errno = EXDEV;
	ck_assert_int_eq(sn_control_flush_for_exec(), 0);
	ck_assert_uint_eq(host.flush_asked, 1);
	ck_assert_uint_eq(host.flush_how, SN_FLUSH_FILE);
	writes = 2;
	ck_assert_int_eq(sn_control_flush_for_death(), 0);
	ck_assert_uint_eq(host.flush_asked, 2);
	ck_assert_uint_eq(host.flush_how, SN_FLUSH_DYING);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(flush_where_nothing_collects_asks_nobody)
{
	begin(true);
	runs = false;			/* a child of fork or vfork */
	ck_assert_int_eq(sn_control_flush_for_exec(), -ENOTCONN);
	ck_assert_int_eq(sn_control_flush_for_death(), -ENOTCONN);
	runs = is_sealed = true;
	ck_assert_int_eq(sn_control_flush_for_exec(), -ENOTCONN);
	is_sealed = false;
	host.options.file = NULL;
	ck_assert_int_eq(sn_control_flush_for_exec(), 0);
	ck_assert_uint_eq(host.flush_asked, 0);
	ck_assert_int_eq(nudged, 0);
}
END_TEST

START_TEST(flush_gives_up_when_the_time_is_over)
{
	begin(false);
	host.options.exit_wait = SECOND / 10;
	ck_assert_int_eq(sn_control_flush_for_exec(), -ETIMEDOUT);
	ck_assert_int_eq(sn_control_flush_for_death(), -ETIMEDOUT);
	host.options.exit_wait = 0;
	ck_assert_int_eq(sn_control_flush_for_death(), -ETIMEDOUT);
	ck_assert_uint_eq(host.flush_asked, 3);		/* who survives gets it by and by */
	ck_assert_int_eq(nudged, 2);
}
END_TEST

START_TEST(flush_does_not_wait_for_a_collector_that_has_gone)
{
	begin(false);
	host.options.exit_wait = 3600 * (int64_t)SECOND;
	host.ready = 2;
	ck_assert_int_eq(sn_control_flush_for_death(), -ENOTCONN);
}
END_TEST

START_TEST(flush_during_exit_waits_for_the_last_file)
{
	begin(false);
	is_ending = true;
	ck_assert_int_eq(sn_control_flush_for_death(), 0);
	ck_assert_int_eq(ended, 1);
	ck_assert_uint_eq(host.flush_asked, 0);
}
END_TEST

static void *
die(void *arg)
{
	*(int *)arg = sn_control_flush_for_death();
	return NULL;
}

START_TEST(flush_of_two_threads_that_die_is_one)
{
	pthread_t thread[2];
	int result[2] = { 1, 1 };

	begin(false);
	ck_assert_int_eq(pthread_create(&thread[0], NULL, die, &result[0]), 0);
	while (SN_LOAD_ACQUIRE(&nudged) == 0)
		(void)usleep(1000);
	ck_assert_int_eq(pthread_create(&thread[1], NULL, die, &result[1]), 0);
	(void)usleep(20000);
	ck_assert_uint_eq(SN_LOAD_ACQUIRE(&host.flush_asked), 1);
	SN_STORE_RELEASE(&host.flush_done, 1u);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
		ck_assert_int_eq(result[i], 0);
	}
}
END_TEST

/* ---- actions ---- */

START_TEST(default_is_seen_where_our_handler_stands_and_the_flags_stay)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL, .sa_flags = SA_NODEFER }, own = { .sa_handler = SIG_IGN }, was;

	begin(true);
	host.options.socket = "off";
	sn_ends_begin(&host.options, true);
	ck_assert(sn_ends_watches(SIGTERM));
	ck_assert(!sn_ends_watches(SIGUSR1));
	ck_assert_int_eq(sigaction(SIGTERM, NULL, &was), 0);
	ck_assert(was.sa_handler != SIG_DFL);
	ck_assert(sn_ends_replaced(was.sa_handler) == SIG_DFL);
	ck_assert_int_eq(sn_ends_sigaction(SIGTERM, &dfl, &was), 0);
	ck_assert(was.sa_handler == SIG_DFL);
	ck_assert_int_eq(was.sa_flags & SA_NODEFER, 0);
	ck_assert_int_eq(sn_ends_sigaction(SIGTERM, &own, &was), 0);
	ck_assert(was.sa_handler == SIG_DFL);
	ck_assert_int_eq(was.sa_flags & SA_NODEFER, SA_NODEFER);
	ck_assert_int_eq(sn_ends_sigaction(SIGTERM, NULL, &was), 0);
	ck_assert(was.sa_handler == SIG_IGN);
	ck_assert_int_eq(sn_ends_sigaction(SIGTERM, &dfl, NULL), 0);
	sn_ends_seal();
	ck_assert_int_eq(sigaction(SIGTERM, NULL, &was), 0);
	ck_assert(was.sa_handler == SIG_DFL);
}
END_TEST

START_TEST(nothing_is_watched_where_nothing_is_written_or_removed)
{
	begin(true);
	host.options.socket = "off";
	host.options.file = NULL;
	sn_ends_begin(&host.options, true);
	ck_assert(!sn_ends_watches(SIGTERM));
	host.options.file = "P.pb.gz";
	sn_ends_begin(&host.options, false);		/* outside */
	ck_assert(!sn_ends_watches(SIGTERM));
}
END_TEST

static Suite *
ends_suite(void)
{
	Suite *s = suite_create("ends");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, flush_waits_for_the_collector_and_says_why);
	tcase_add_test(t, flush_where_nothing_collects_asks_nobody);
	tcase_add_test(t, flush_gives_up_when_the_time_is_over);
	tcase_add_test(t, flush_does_not_wait_for_a_collector_that_has_gone);
	tcase_add_test(t, flush_during_exit_waits_for_the_last_file);
	tcase_add_test(t, flush_of_two_threads_that_die_is_one);
	tcase_add_test(t, default_is_seen_where_our_handler_stands_and_the_flags_stay);
	tcase_add_test(t, nothing_is_watched_where_nothing_is_written_or_removed);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(ends_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

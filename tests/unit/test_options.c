/* SPDX-License-Identifier: Apache-2.0
 *
 * test_options.c - values, complaints and names of options.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

static struct sn_options options;
static struct sn_complaint why;
static char told[1024];			/* all lines about unknown names, one after the other */
static int told_count;

static void
setup(void)
{
	sn_options_default(&options);
	why.text[0] = '\0';
	told[0] = '\0';
	told_count = 0;
}

static void
tell(const char *line)
{
	told_count++;
	(void)snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s\n", line);
}

static int
read_one(const char *assignment)
{
	char *env[] = { (char *)assignment, NULL };

	return sn_options_from_env(&options, env, tell, &why);
}

#define ck_refused(assignment, value, allowed) do { \
	ck_assert_int_eq(read_one(assignment), -EINVAL); \
	ck_assert_ptr_nonnull(strstr(why.text, value)); \
	ck_assert_ptr_nonnull(strstr(why.text, allowed)); \
	ck_assert_ptr_null(strchr(why.text, '\n')); \
} while (0)

START_TEST(default_values_are_those_of_the_table)
{
	ck_assert_int_eq(options.mode, SN_MODE_ON);
	ck_assert_int_eq(options.kinds, SN_KIND_CPU);
	ck_assert_int_eq(options.hz, 100);
	ck_assert_int_eq(options.engine, SN_ENGINE_AUTO);
	ck_assert_int_eq(options.signal, SIGPROF);
	ck_assert_ptr_null(options.file);
	ck_assert_ptr_null(options.only);
	ck_assert_int_eq(options.depth, 512);
	ck_assert_int_eq(options.unwind, SN_UNWIND_AUTO);
	ck_assert_int_eq(options.symbolize, SN_SYMBOLIZE_LINES);
	ck_assert_int_eq(options.labels, SN_LABEL_THREAD);
	ck_assert_int_eq(options.memory, 64 << 20);
	ck_assert_ptr_null(options.log);
	ck_assert_int_eq(options.budget, 10000);
	ck_assert_uint_eq(options.named, 0);
}
END_TEST

START_TEST(accept_default_of_every_row_as_its_own_value)
{
	for (size_t i = 0; i < sn_option_count; i++) {
		const struct sn_option *row = &sn_option_table[i];

		ck_assert_msg(sn_option_set(&options, row, row->variable, row->def, &why) == 0, "%s", row->variable);
	}
}
END_TEST

START_TEST(read_percent_gives_parts_per_million)
{
	ck_assert_int_eq(read_one("SONDE_BUDGET=1"), 0);
	ck_assert_int_eq(options.budget, 10000);
	ck_assert_int_eq(read_one("SONDE_BUDGET=0.05"), 0);
	ck_assert_int_eq(options.budget, 500);
	ck_assert_int_eq(read_one("SONDE_BUDGET=2.0375"), 0);
	ck_assert_int_eq(options.budget, 20375);
	ck_assert_int_eq(read_one("SONDE_BUDGET=0.01"), 0);
	ck_assert_int_eq(options.budget, 100);
	ck_assert_int_eq(read_one("SONDE_BUDGET=100.0"), 0);
	ck_assert_int_eq(options.budget, 1000000);
	ck_assert_int_eq(read_one("SONDE_BUDGET=off"), 0);
	ck_assert_int_eq(options.budget, 0);
}
END_TEST

START_TEST(read_wrong_percent_is_refused_with_the_range)
{
	static const char *const wrong[] = { "0", "0.009", "100.0001", "101", "1%", "1.", ".5", "-1", "0.00001",
		"1.23456", "1,5", "1e1", " 1", "1.0.0", "none", "99999999999999999999" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char assignment[64];

		(void)snprintf(assignment, sizeof(assignment), "SONDE_BUDGET=%s", wrong[i]);
		ck_refused(assignment, assignment, "0.01 to 100 percent, as 0.05, 1 or 2.5, or off");
	}
	ck_assert_int_eq(options.budget, 10000);
}
END_TEST

START_TEST(options_that_were_set_are_named)
{
	ck_assert_int_eq(read_one("SONDE_HZ="), 0);		/* empty is unset */
	ck_assert_uint_eq(options.named, 0);
	ck_assert_int_eq(read_one("SONDE_HZ=100"), 0);		/* also to what it was */
	ck_assert_uint_eq(options.named, SN_NAMED(hz));
	ck_assert_int_eq(read_one("SONDE_BUDGET=off"), 0);
	ck_assert_uint_eq(options.named, SN_NAMED(hz) | SN_NAMED(budget));
}
END_TEST

START_TEST(read_choice_gives_its_index)
{
	ck_assert_int_eq(read_one("SONDE=off"), 0);
	ck_assert_int_eq(options.mode, SN_MODE_OFF);
	ck_assert_int_eq(read_one("SONDE_SYMBOLIZE=functions"), 0);
	ck_assert_int_eq(options.symbolize, SN_SYMBOLIZE_FUNCTIONS);
	ck_assert_int_eq(read_one("SONDE_UNWIND=libunwind"), 0);
	ck_assert_int_eq(options.unwind, SN_UNWIND_LIBUNWIND);
	ck_assert_int_eq(read_one("SONDE_ENGINE=timer"), 0);
	ck_assert_int_eq(options.engine, SN_ENGINE_TIMER);
}
END_TEST

START_TEST(read_wrong_choice_is_refused_with_the_choices)
{
	ck_refused("SONDE=on idle", "SONDE=on idle", "one of: on idle off");
	ck_refused("SONDE=ON", "SONDE=ON", "on idle off");
	ck_refused("SONDE=of", "SONDE=of", "on idle off");
	ck_refused("SONDE_ENGINE=clock", "SONDE_ENGINE=clock", "auto timer perf itimer");
	ck_assert_int_eq(options.mode, SN_MODE_ON);
}
END_TEST

START_TEST(read_list_gives_its_bits)
{
	ck_assert_int_eq(read_one("SONDE_LABELS=thread_id,thread"), 0);
	ck_assert_int_eq(options.labels, SN_LABEL_THREAD | SN_LABEL_THREAD_ID);
	ck_assert_int_eq(read_one("SONDE_LABELS=thread_id"), 0);
	ck_assert_int_eq(options.labels, SN_LABEL_THREAD_ID);
	ck_assert_int_eq(read_one("SONDE_LABELS=none"), 0);
	ck_assert_int_eq(options.labels, 0);
	ck_assert_int_eq(read_one("SONDE_KINDS=none"), 0);
	ck_assert_int_eq(options.kinds, 0);
}
END_TEST

START_TEST(read_wrong_list_is_refused_with_the_words)
{
	ck_refused("SONDE_LABELS=thread,", "thread,", "none, or a list of: thread thread_id");
	ck_refused("SONDE_LABELS=,thread", ",thread", "a list of");
	ck_refused("SONDE_LABELS=thread;thread_id", ";", "a list of");
	ck_refused("SONDE_LABELS=none,thread", "none,thread", "a list of");
	ck_refused("SONDE_LABELS=thread thread_id", "thread thread_id", "a list of");
	ck_refused("SONDE_KINDS=heap", "heap", "cpu");
	ck_assert_int_eq(options.labels, SN_LABEL_THREAD);
}
END_TEST

START_TEST(read_number_keeps_to_its_range)
{
	ck_assert_int_eq(read_one("SONDE_HZ=1"), 0);
	ck_assert_int_eq(options.hz, 1);
	ck_assert_int_eq(read_one("SONDE_HZ=10000"), 0);
	ck_assert_int_eq(options.hz, 10000);
	ck_assert_int_eq(read_one("SONDE_DEPTH=0016"), 0);
	ck_assert_int_eq(options.depth, 16);
	ck_refused("SONDE_HZ=0", "SONDE_HZ=0", "1 to 10000");
	ck_refused("SONDE_HZ=10001", "10001", "1 to 10000");
	ck_refused("SONDE_HZ=100Hz", "100Hz", "1 to 10000");
	ck_refused("SONDE_HZ=-1", "-1", "1 to 10000");
	ck_refused("SONDE_HZ=+100", "+100", "1 to 10000");
	ck_refused("SONDE_HZ= 100", " 100", "1 to 10000");
	ck_refused("SONDE_HZ=1e2", "1e2", "1 to 10000");
	ck_refused("SONDE_HZ=0x10", "0x10", "1 to 10000");
	ck_refused("SONDE_DEPTH=1025", "1025", "16 to 1024");
	ck_refused("SONDE_DEPTH=15", "15", "16 to 1024");
	ck_assert_int_eq(options.hz, 10000);
	ck_assert_int_eq(options.depth, 16);
}
END_TEST

START_TEST(read_number_beyond_64_bits_is_refused)
{
	ck_refused("SONDE_HZ=18446744073709551716", "18446744073709551716", "1 to 10000");
	ck_refused("SONDE_HZ=99999999999999999999999999999999999", "999", "1 to 10000");
	ck_refused("SONDE_MEMORY=18446744073709551616", "184", "4MiB");
}
END_TEST

START_TEST(read_size_understands_units)
{
	ck_assert_int_eq(read_one("SONDE_MEMORY=4194304"), 0);
	ck_assert_int_eq(options.memory, 4 << 20);
	ck_assert_int_eq(read_one("SONDE_MEMORY=8192KiB"), 0);
	ck_assert_int_eq(options.memory, 8 << 20);
	ck_assert_int_eq(read_one("SONDE_MEMORY=16MiB"), 0);
	ck_assert_int_eq(options.memory, 16 << 20);
	ck_assert_int_eq(read_one("SONDE_MEMORY=4GiB"), 0);
	ck_assert_int_eq(options.memory, (int64_t)4 << 30);
}
END_TEST

START_TEST(read_wrong_size_is_refused_with_the_range)
{
	ck_refused("SONDE_MEMORY=4194303", "4194303", "4MiB to 4096MiB");
	ck_refused("SONDE_MEMORY=5GiB", "5GiB", "4MiB to 4096MiB");
	ck_refused("SONDE_MEMORY=64MB", "64MB", "64MiB");
	ck_refused("SONDE_MEMORY=64M", "64M", "64MiB");
	ck_refused("SONDE_MEMORY=64 MiB", "64 MiB", "64MiB");
	ck_refused("SONDE_MEMORY=MiB", "MiB", "64MiB");
	ck_refused("SONDE_MEMORY=17179869185GiB", "17179869185GiB", "64MiB");	/* 1 GiB in 64 bits */
	ck_assert_int_eq(options.memory, 64 << 20);
}
END_TEST

START_TEST(read_signal_by_name_or_number_gives_its_number)
{
	ck_assert_int_eq(read_one("SONDE_SIGNAL=SIGRTMIN+3"), 0);
	ck_assert_int_eq(options.signal, SIGRTMIN + 3);
	ck_assert_int_eq(read_one("SONDE_SIGNAL=RTMAX-1"), 0);
	ck_assert_int_eq(options.signal, SIGRTMAX - 1);
	ck_assert_int_eq(read_one("SONDE_SIGNAL=PROF"), 0);
	ck_assert_int_eq(options.signal, SIGPROF);
	ck_assert_int_eq(read_one("SONDE_SIGNAL=64"), 0);
	ck_assert_int_eq(options.signal, 64);
}
END_TEST

START_TEST(read_dump_signal_is_none_or_one_that_programs_leave_to_others)
{
	ck_assert_int_eq(read_one("SONDE_DUMP_SIGNAL=SIGUSR2"), 0);
	ck_assert_int_eq(options.dump_signal, SIGUSR2);
	ck_assert_int_eq(read_one("SONDE_DUMP_SIGNAL=RTMIN+1"), 0);
	ck_assert_int_eq(options.dump_signal, SIGRTMIN + 1);
	ck_assert_int_eq(read_one("SONDE_DUMP_SIGNAL=none"), 0);
	ck_assert_int_eq(options.dump_signal, 0);
	ck_refused("SONDE_DUMP_SIGNAL=PROF", "PROF", "none, SIGUSR1");
	ck_refused("SONDE_DUMP_SIGNAL=TERM", "TERM", "none, SIGUSR1");
	ck_refused("SONDE_DUMP_SIGNAL=11", "11", "none, SIGUSR1");
	ck_refused("SONDE_SIGNAL=none", "none", "SIGPROF");
}
END_TEST

START_TEST(read_dump_signal_that_takes_samples_is_refused)
{
	char *env[] = { "SONDE_SIGNAL=SIGRTMIN+3", "SONDE_DUMP_SIGNAL=SIGRTMIN+3", NULL };

	sn_options_default(&options);
	ck_assert_int_eq(sn_options_from_env(&options, env, NULL, &why), -EINVAL);
	ck_assert_msg(strstr(why.text, "SONDE_DUMP_SIGNAL") != NULL, "%s", why.text);
}
END_TEST

START_TEST(read_signal_that_others_need_is_refused)
{
	ck_refused("SONDE_SIGNAL=SIGTERM", "SIGTERM", "SIGPROF or SIGRTMIN to SIGRTMAX");
	ck_refused("SONDE_SIGNAL=9", "9", "SIGRTMIN");
	ck_refused("SONDE_SIGNAL=32", "32", "SIGRTMIN");	/* the C library's own */
	ck_refused("SONDE_SIGNAL=33", "33", "SIGRTMIN");
	ck_refused("SONDE_SIGNAL=65", "65", "SIGRTMIN");
	ck_refused("SONDE_SIGNAL=SIGSIGPROF", "SIGSIGPROF", "SIGRTMIN");
	ck_assert_int_eq(options.signal, SIGPROF);
}
END_TEST

START_TEST(number_of_signal_text_is_the_kernel_s)
{
	ck_assert_int_eq(sn_signal_number("SIGTERM"), SIGTERM);
	ck_assert_int_eq(sn_signal_number("USR1"), SIGUSR1);
	ck_assert_int_eq(sn_signal_number("POLL"), SIGIO);
	ck_assert_int_eq(sn_signal_number("15"), SIGTERM);
	ck_assert_int_eq(sn_signal_number("SIGRTMIN"), SIGRTMIN);
	ck_assert_int_eq(sn_signal_number("SIGRTMAX"), SIGRTMAX);
	ck_assert_int_eq(sn_signal_number("RTMIN+0"), SIGRTMIN);
}
END_TEST

START_TEST(number_of_no_signal_is_negative)
{
	static const char *const none[] = {
		"", "0", "65", "15 ", "SIG", "sigterm", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+31", "RTMIN+1x",
		"RTMINX", "RTMIN+99999999999999999999", "99999999999999999999",
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_msg(sn_signal_number(none[i]) < 0, "%s", none[i]);
}
END_TEST

START_TEST(read_text_points_into_the_environment)
{
	char entry[] = "SONDE_FILE=/tmp/a=b.pb.gz";
	char *env[] = { entry, NULL };

	ck_assert_int_eq(sn_options_from_env(&options, env, tell, &why), 0);
	ck_assert_ptr_eq(options.file, entry + 11);
	ck_assert_str_eq(options.file, "/tmp/a=b.pb.gz");
}
END_TEST

START_TEST(read_empty_value_keeps_the_default)
{
	ck_assert_int_eq(read_one("SONDE_HZ="), 0);
	ck_assert_int_eq(read_one("SONDE_FILE="), 0);
	ck_assert_int_eq(read_one("SONDE="), 0);
	ck_assert_int_eq(options.hz, 100);
	ck_assert_ptr_null(options.file);
	ck_assert_int_eq(options.mode, SN_MODE_ON);
	ck_assert_int_eq(told_count, 0);
}
END_TEST

START_TEST(read_several_wrong_values_complains_of_the_first)
{
	char *env[] = { "PATH=/bin", "SONDE_HZ=x", "SONDE_DEPTH=y", "SONDE_WHAT=1", NULL };

	ck_assert_int_eq(sn_options_from_env(&options, env, tell, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "SONDE_HZ=x"));
	ck_assert_ptr_null(strstr(why.text, "SONDE_DEPTH"));
	ck_assert_int_eq(told_count, 1);
}
END_TEST

START_TEST(complain_of_control_characters_stays_one_harmless_line)
{
	ck_assert_int_eq(read_one("SONDE_HZ=1\n\033[2J"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "SONDE_HZ=1??[2J is not allowed"));
	ck_assert_int_eq(read_one("SONDE_A\nB=1"), 0);
	ck_assert_ptr_nonnull(strstr(told, "SONDE_A?B,"));
}
END_TEST

START_TEST(complain_of_long_value_keeps_what_is_allowed)
{
	char entry[2000] = "SONDE_MEMORY=";

	memset(entry + 13, 'x', sizeof(entry) - 14);
	ck_refused(entry, "SONDE_MEMORY=xxxx", "4MiB to 4096MiB");
	ck_assert_uint_lt(strlen(why.text), 300);
}
END_TEST

START_TEST(set_by_flag_complains_in_the_user_s_words)
{
	ck_assert_int_eq(sn_option_set(&options, sn_option_by_flag("hz", 2), "--hz", "fast", &why), -EINVAL);
	ck_assert_ptr_eq(strstr(why.text, "--hz=fast"), why.text);
}
END_TEST

START_TEST(read_unknown_name_tells_the_nearest)
{
	ck_assert_int_eq(read_one("SONDE_DEPHT=64"), 0);
	ck_assert_int_eq(told_count, 1);
	ck_assert_ptr_nonnull(strstr(told, "SONDE_DEPHT,"));
	ck_assert_ptr_nonnull(strstr(told, "SONDE_DEPTH;"));
	ck_assert_int_eq(read_one("SONDE_SIMBOLISE=none"), 0);
	ck_assert_ptr_nonnull(strstr(told, "nearest is SONDE_SYMBOLIZE;"));
	ck_assert_int_eq(read_one("SONDE_hz=1"), 0);
	ck_assert_ptr_nonnull(strstr(told, "nearest is SONDE_HZ;"));
	ck_assert_int_eq(options.depth, 512);
}
END_TEST

START_TEST(read_very_long_unknown_name_is_cut)
{
	char entry[600] = "SONDE_";

	memset(entry + 6, 'A', 500);
	entry[506] = '=';
	ck_assert_int_eq(read_one(entry), 0);
	ck_assert_int_eq(told_count, 1);
	ck_assert_uint_lt(strlen(told), 256);
}
END_TEST

START_TEST(read_names_of_others_says_nothing)
{
	static const char *const others[] = {
		"SONDER=1", "SONDEX_HZ=1", "sonde_hz=1", "XSONDE_HZ=1", "SONDE", "SONDE_HZ", "=SONDE", "",
		SN_ENV_COLLECTOR "=@abc",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_int_eq(read_one(others[i]), 0);
	ck_assert_int_eq(told_count, 0);
	ck_assert_int_eq(options.hz, 100);
}
END_TEST

START_TEST(read_names_of_kubernetes_says_nothing)
{
	static const char *const names[] = {
		"SONDE_PORT=tcp://10.0.0.1:80", "SONDE_PORT_80_TCP=tcp://10.0.0.1:80",
		"SONDE_PORT_80_TCP_ADDR=10.0.0.1",
		"SONDE_SERVICE_HOST=10.0.0.1", "SONDE_SERVICE_PORT=80", "SONDE_SERVICE_PORT_HTTP=80",
		"SONDE_WEB_SERVICE_HOST=10.0.0.1", "SONDE_WEB_PORT=tcp://10.0.0.1:80",
		"SONDE_WEB_PORT_80_TCP_PROTO=tcp",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_int_eq(read_one(names[i]), 0);
	ck_assert_msg(told_count == 0, "%s", told);
}
END_TEST

START_TEST(read_names_that_only_resemble_kubernetes_tells_them)
{
	ck_assert_int_eq(read_one("SONDE_PORTS=1"), 0);
	ck_assert_int_eq(read_one("SONDE_SERVICE=1"), 0);
	ck_assert_int_eq(read_one("SONDE_=1"), 0);
	ck_assert_int_eq(told_count, 3);
}
END_TEST

START_TEST(read_without_listener_passes_unknown_names_over)
{
	char *env[] = { "SONDE_WHAT=1", "SONDE_HZ=7", NULL };

	ck_assert_int_eq(sn_options_from_env(&options, env, NULL, &why), 0);
	ck_assert_int_eq(options.hz, 7);
	ck_assert_int_eq(sn_options_from_env(&options, NULL, NULL, &why), 0);
}
END_TEST

START_TEST(find_row_by_any_of_its_names_gives_the_same_row)
{
	for (size_t i = 0; i < sn_option_count; i++) {
		const struct sn_option *row = &sn_option_table[i];

		ck_assert_ptr_eq(sn_option_by_variable(row->variable, strlen(row->variable)), row);
		if (row->flag[0] != '\0')
			ck_assert_ptr_eq(sn_option_by_flag(row->flag, strlen(row->flag)), row);
		if (row->chr != 0)
			ck_assert_ptr_eq(sn_option_by_chr(row->chr), row);
	}
}
END_TEST

START_TEST(find_row_by_no_name_gives_none)
{
	ck_assert_ptr_null(sn_option_by_variable("SONDE_H", 7));
	ck_assert_ptr_null(sn_option_by_variable("", 0));
	ck_assert_ptr_null(sn_option_by_flag("", 0));
	ck_assert_ptr_null(sn_option_by_flag("h", 1));
	ck_assert_ptr_null(sn_option_by_chr(0));
	ck_assert_ptr_null(sn_option_by_chr('!'));
}
END_TEST

START_TEST(admit_by_default_all_but_shells_and_launchers)
{
	static const char *const launchers[] = {
		"sh", "dash", "bash", "env", "sudo", "su", "setpriv", "gosu", "tini", "dumb-init", "docker-init",
	};

	for (size_t i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++)
		ck_assert_msg(!sn_only_admits(NULL, launchers[i]), "%s", launchers[i]);
	ck_assert(sn_only_admits(NULL, "redis-server"));
	ck_assert(sn_only_admits(NULL, "zsh"));
	ck_assert(sn_only_admits(NULL, "bashful"));
}
END_TEST

START_TEST(admit_under_globs_what_any_of_them_matches)
{
	ck_assert(sn_only_admits("redis-*,nginx", "redis-server"));
	ck_assert(sn_only_admits("redis-*,nginx", "nginx"));
	ck_assert(sn_only_admits(",,ngin[xX],", "nginX"));
	ck_assert(sn_only_admits("*", "sh"));
	ck_assert(!sn_only_admits("redis-*,nginx", "sh"));
	ck_assert(!sn_only_admits("redis-*,nginx", "nginx2"));
	ck_assert(!sn_only_admits("redis-*,nginx", "xredis-"));
	ck_assert(!sn_only_admits(",", ""));
}
END_TEST

START_TEST(admit_under_glob_too_long_to_match_refuses)
{
	char glob[1000];

	memset(glob, '*', sizeof(glob));
	glob[sizeof(glob) - 1] = '\0';
	ck_assert(!sn_only_admits(glob, "x"));
	memcpy(glob + sizeof(glob) - 3, ",x", 3);
	ck_assert(sn_only_admits(glob, "x"));
}
END_TEST

static Suite *
options_suite(void)
{
	Suite *s = suite_create("options");
	TCase *t = tcase_create("options");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, default_values_are_those_of_the_table);
	tcase_add_test(t, accept_default_of_every_row_as_its_own_value);
	tcase_add_test(t, read_percent_gives_parts_per_million);
	tcase_add_test(t, read_wrong_percent_is_refused_with_the_range);
	tcase_add_test(t, options_that_were_set_are_named);
	tcase_add_test(t, read_choice_gives_its_index);
	tcase_add_test(t, read_wrong_choice_is_refused_with_the_choices);
	tcase_add_test(t, read_list_gives_its_bits);
	tcase_add_test(t, read_wrong_list_is_refused_with_the_words);
	tcase_add_test(t, read_number_keeps_to_its_range);
	tcase_add_test(t, read_number_beyond_64_bits_is_refused);
	tcase_add_test(t, read_size_understands_units);
	tcase_add_test(t, read_wrong_size_is_refused_with_the_range);
	tcase_add_test(t, read_signal_by_name_or_number_gives_its_number);
	tcase_add_test(t, read_dump_signal_is_none_or_one_that_programs_leave_to_others);
	tcase_add_test(t, read_dump_signal_that_takes_samples_is_refused);
	tcase_add_test(t, read_signal_that_others_need_is_refused);
	tcase_add_test(t, number_of_signal_text_is_the_kernel_s);
	tcase_add_test(t, number_of_no_signal_is_negative);
	tcase_add_test(t, read_text_points_into_the_environment);
	tcase_add_test(t, read_empty_value_keeps_the_default);
	tcase_add_test(t, read_several_wrong_values_complains_of_the_first);
	tcase_add_test(t, complain_of_control_characters_stays_one_harmless_line);
	tcase_add_test(t, complain_of_long_value_keeps_what_is_allowed);
	tcase_add_test(t, set_by_flag_complains_in_the_user_s_words);
	tcase_add_test(t, read_unknown_name_tells_the_nearest);
	tcase_add_test(t, read_very_long_unknown_name_is_cut);
	tcase_add_test(t, read_names_of_others_says_nothing);
	tcase_add_test(t, read_names_of_kubernetes_says_nothing);
	tcase_add_test(t, read_names_that_only_resemble_kubernetes_tells_them);
	tcase_add_test(t, read_without_listener_passes_unknown_names_over);
	tcase_add_test(t, find_row_by_any_of_its_names_gives_the_same_row);
	tcase_add_test(t, find_row_by_no_name_gives_none);
	tcase_add_test(t, admit_by_default_all_but_shells_and_launchers);
	tcase_add_test(t, admit_under_globs_what_any_of_them_matches);
	tcase_add_test(t, admit_under_glob_too_long_to_match_refuses);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(options_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

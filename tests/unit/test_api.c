/* SPDX-License-Identifier: Apache-2.0
 *
 * test_api.c - <sonde/profiler.h>: options from struct and environment, and the calls to the collector.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api_fake.h"
#include "control/exchange.h"
#include "profiler.h"

/* ---- options ---- */

/* Every row has its field (else this does not compile), and no field is without a row. */
START_TEST(options_struct_has_the_rows_of_the_table_and_no_other)
{
	size_t bytes = sizeof(size_t);		/* size */

#define SN_OPTION(field, ...) bytes += sizeof(((struct profiler_options *)0)->field);
#include "base/options.def"
#undef SN_OPTION
	ck_assert_uint_eq(bytes, sizeof(struct profiler_options));
	ck_assert_uint_eq(offsetof(struct profiler_options, size), 0);
}
END_TEST

static void
check_defaults(void)
{
	struct sn_options o;

	sn_options_default(&o);
	for (size_t i = 0; i < sn_option_count; i++) {
		const struct sn_option *row = &sn_option_table[i];
		const char *is = (const char *)&control.options + row->offset;
		const char *wanted = (const char *)&o + row->offset;

		if (row->type == SN_TYPE_TEXT)
			ck_assert_pstr_eq(*(const char *const *)is, *(const char *const *)wanted);
		else
			ck_assert_int_eq(*(const int64_t *)is, *(const int64_t *)wanted);
	}
}

START_TEST(start_without_options_or_with_zeroed_ones_takes_defaults)
{
	struct profiler_options o = { .size = sizeof(o) };

	ck_assert_int_eq(profiler_start(NULL), 0);
	check_defaults();
	ck_assert_int_eq(profiler_start(&o), 0);
	check_defaults();
	o.file = o.mode = o.keep = "";
	ck_assert_int_eq(profiler_start(&o), 0);
	check_defaults();
	ck_assert_int_eq(control.begun, 3);
}
END_TEST

START_TEST(start_takes_every_field)
{
	char file[] = "a.%p.gz";
	struct profiler_options o = {
		.size = sizeof(o), .mode = "idle", .kinds = "none", .engine = "timer", .file = file, .http = "0",
		.socket = "off", .token_file = "none", .keep = "30s", .exit_wait = "100ms", .only = "x*",
		.unwind = "fp",
		.symbolize = "functions", .labels = "thread,thread_id", .log = "/dev/null", .memory = 8 << 20,
		.hz = 250, .depth = 64, .signal = SIGRTMIN + 3, .dump_signal = SIGUSR2, .budget = "0.5",
	};
	const struct sn_options *is = &control.options;

	ck_assert_int_eq(profiler_start(&o), 0);
	memset(file, 'z', sizeof(file) - 1);	/* copied: the caller's text may go */
	ck_assert_int_eq(is->mode, SN_MODE_IDLE);
	ck_assert_int_eq(is->kinds, 0);
	ck_assert_int_eq(is->engine, SN_ENGINE_TIMER);
	ck_assert_str_eq(is->file, "a.%p.gz");
	ck_assert_str_eq(is->http, "0");
	ck_assert_str_eq(is->socket, "off");
	ck_assert_str_eq(is->token_file, "none");
	ck_assert_int_eq(is->keep, 30000000000);
	ck_assert_int_eq(is->exit_wait, 100000000);
	ck_assert_str_eq(is->only, "x*");
	ck_assert_int_eq(is->unwind, SN_UNWIND_FP);
	ck_assert_int_eq(is->symbolize, SN_SYMBOLIZE_FUNCTIONS);
	ck_assert_int_eq(is->labels, SN_LABEL_THREAD | SN_LABEL_THREAD_ID);
	ck_assert_str_eq(is->log, "/dev/null");
	ck_assert_int_eq(is->memory, 8 << 20);
	ck_assert_int_eq(is->hz, 250);
	ck_assert_int_eq(is->budget, 5000);
	ck_assert_uint_eq(is->named, (UINT64_C(1) << SN_ROWS) - 1);
	ck_assert_int_eq(is->depth, 64);
	ck_assert_int_eq(is->signal, SIGRTMIN + 3);
	ck_assert_int_eq(is->dump_signal, SIGUSR2);
}
END_TEST

START_TEST(start_lets_the_environment_as_it_began_win_over_the_struct)
{
	char hz[] = "SONDE_HZ=777", *env[] = { "PATH=/bin", hz, "SONDE_FILE=env.gz", "SONDER=1", NULL };
	struct profiler_options o = { .size = sizeof(o), .hz = 10, .depth = 99, .file = "struct.gz" };

	sn_api_keep_environment(env);
	memset(hz, 'x', sizeof(hz) - 1);	/* as nginx does */
	ck_assert_int_eq(profiler_start(&o), 0);
	ck_assert_int_eq(control.options.hz, 777);
	ck_assert_int_eq(control.options.depth, 99);
	ck_assert_str_eq(control.options.file, "env.gz");
}
END_TEST

START_TEST(start_when_the_environment_says_off_is_not_supported)
{
	char *env[] = { "SONDE=off", NULL };

	sn_api_keep_environment(env);
	ck_assert_int_eq(profiler_start(NULL), -ENOTSUP);
	ck_assert_int_eq(control.begun, 0);
}
END_TEST

/* A start that is refused, and the line in the log that says why. */
static void
refused(struct profiler_options *o, const char *word)
{
	char path[] = "/tmp/sonde-test-api-XXXXXX", line[1024];
	int fd = mkstemp(path);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	if (o->size == sizeof(*o))
		o->log = path;
	ck_assert_int_eq(profiler_start(o), -EINVAL);
	n = read(fd, line, sizeof(line) - 1);
	(void)close(fd);
	(void)unlink(path);
	ck_assert_int_eq(control.begun, 0);
	if (o->size != sizeof(*o))
		return;
	ck_assert_int_gt(n, 0);
	line[n] = '\0';
	ck_assert_msg(strstr(line, word) != NULL, "%s is not in: %s", word, line);
	ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
}

START_TEST(start_with_a_bad_value_names_the_field_in_the_log)
{
	static const struct {
		struct profiler_options o;
		const char *word;
	} bad[] = {
		{ { .hz = 10001 }, "profiler_options.hz=10001" },
		{ { .depth = 15 }, "profiler_options.depth=15" },
		{ { .signal = SIGTERM }, "profiler_options.signal=15" },
		{ { .signal = -1 }, "profiler_options.signal=-1" },
		{ { .memory = 4096 }, "profiler_options.memory=4096" },
		{ { .memory = ~0ull }, "profiler_options.memory=1844" },
		{ { .mode = "maybe" }, "profiler_options.mode=maybe" },
		{ { .kinds = "cpu,disk" }, "profiler_options.kinds=cpu,disk" },
		{ { .keep = "2h" }, "profiler_options.keep=2h" },
		{ { .hz = 20000, .depth = 2000 }, "profiler_options.hz=20000" },
		{ { .dump_signal = SIGTERM }, "profiler_options.dump_signal=15" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct profiler_options o = bad[i].o;

		o.size = sizeof(o);
		refused(&o, bad[i].word);
	}
}
END_TEST

START_TEST(start_with_a_struct_of_another_size_takes_what_both_know)
{
	struct {
		struct profiler_options o;
		unsigned char newer[64];
	} big;
	struct profiler_options *o = &big.o;

	memset(&big, 0, sizeof(big));
	o->hz = 50;
	o->size = sizeof(big);
	ck_assert_int_eq(profiler_start(o), 0);
	ck_assert_int_eq(control.options.hz, 50);
	control.begun = 0;
	big.newer[63] = 1;			/* set, and unknown here */
	refused(o, "");
	/* Older: what lies behind is not looked at, and a field that is there by half is not there. */
	memset(&o->engine, 0xff, sizeof(big) - offsetof(struct profiler_options, engine));
	o->kinds = "none";
	o->size = offsetof(struct profiler_options, engine) + 4;
	ck_assert_int_eq(profiler_start(o), 0);
	ck_assert_int_eq(control.options.kinds, 0);
	ck_assert_int_eq(control.options.engine, SN_ENGINE_AUTO);
	control.begun = 0;
	for (size_t size = 0; size < sizeof(size_t); size++) {
		o->size = size;
		refused(o, "");
	}
	o->size = SIZE_MAX;
	refused(o, "");
}
END_TEST

START_TEST(start_takes_over_what_the_environment_started_with_the_fields_of_the_program)
{
	struct profiler_options o = { .size = sizeof(o), .hz = 777 };

	(void)strcpy(control.collector, "inside");
	control.is_inside = true;
	ck_assert_int_eq(profiler_start(&o), 0);
	ck_assert_int_eq(control.joined, 1);
	ck_assert_int_eq(control.begun, 1);
	ck_assert_int_eq(control.options.hz, 777);
	(void)strcpy(control.collector, "inside");
	ck_assert_int_eq(profiler_start(&o), -EALREADY);	/* once */
	ck_assert_int_eq(control.joined, 1);
}
END_TEST

START_TEST(start_while_collected_is_already)
{
	(void)strcpy(control.collector, "somebody");
	ck_assert_int_eq(profiler_start(NULL), -EALREADY);
	ck_assert_int_eq(control.begun, 0);
	control.collector[0] = '\0';
	control.begin_error = -EALREADY;
	ck_assert_int_eq(profiler_start(NULL), -EALREADY);
}
END_TEST

static void
fork_and_start(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		control.during_begin = NULL;
		_exit(profiler_start(NULL) == 0 && profiler_stop() == 0 ? 7 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}

START_TEST(start_in_a_child_forked_while_another_starts_does_not_wait)
{
	control.during_begin = fork_and_start;
	ck_assert_int_eq(profiler_start(NULL), 0);
}
END_TEST

static atomic_int within, most_within;

static void
be_within(void)
{
	int now = atomic_fetch_add(&within, 1) + 1;

	if (now > atomic_load(&most_within))
		atomic_store(&most_within, now);
	(void)sched_yield();
	(void)atomic_fetch_sub(&within, 1);
}

static void *
start_and_stop(void *arg)
{
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(profiler_start(NULL), 0);
		ck_assert_int_eq(profiler_stop(), 0);
	}
	return arg;
}

START_TEST(start_and_stop_of_many_threads_wait_for_each_other)
{
	pthread_t thread[4];

	control.during_begin = be_within;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, start_and_stop, NULL), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	ck_assert_int_eq(control.begun, 2000);
	ck_assert_int_eq(atomic_load(&most_within), 1);
}
END_TEST

/* ---- calls ---- */

START_TEST(calls_without_a_collector_say_so)
{
	errno = EXDEV;
	ck_assert_int_eq(profiler_start(NULL), 0);
	ck_assert_int_eq(profiler_stop(), 0);
	ck_assert_int_eq(profiler_flush(), -ENOTCONN);
	ck_assert_int_eq(profiler_write("cpu", STDOUT_FILENO), -ENOTCONN);
	ck_assert_int_eq(profiler_serve("0"), -ENOTCONN);
	(void)strcpy(control.collector, "sonde-test-nobody-there");
	ck_assert_int_eq(profiler_flush(), -ECONNREFUSED);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(stop_asks_and_joins_inside_only)
{
	collector_starts(0, 0, -1);
	ck_assert_int_eq(profiler_stop(), 0);
	ck_assert_int_eq(control.joined, 0);
	check_asked(SN_ASK_STOP, "");
	collector_ends();

	control.is_inside = true;
	control.join_error = -EIO;
	collector_starts(-ENOSPC, 0, -1);
	ck_assert_int_eq(profiler_stop(), -ENOSPC);	/* the first error, and the thread is joined all the same */
	ck_assert_int_eq(control.joined, 1);
	collector_ends();
}
END_TEST

START_TEST(flush_and_serve_ask_and_give_the_answer)
{
	int before = open_descriptors();

	collector_starts(0, 0, -1);
	ck_assert_int_eq(profiler_flush(), 0);
	check_asked(SN_ASK_FLUSH, "");
	collector_ends();
	collector_starts(0, 40123, memory_file(1));	/* a descriptor that nobody wanted is closed */
	ck_assert_int_eq(profiler_serve("localhost:0"), 40123);
	check_asked(SN_ASK_SERVE, "localhost:0");
	collector_ends();
	collector_starts(-EADDRINUSE, 0, -1);
	ck_assert_int_eq(profiler_serve("6060"), -EADDRINUSE);
	collector_ends();
	collector_starts(0, 65536, -1);
	ck_assert_int_eq(profiler_serve("6060"), -EPROTO);
	collector_ends();
	collector_starts_with(0, 0, -1, sizeof(struct sn_welcome) - 1);
	ck_assert_int_eq(profiler_flush(), -EPROTO);
	collector_ends();
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(ask_with_too_long_a_text_is_refused_here)
{
	char longest[256];

	memset(longest, 'a', sizeof(longest));
	longest[255] = '\0';
	collector_starts(-EINVAL, 0, -1);
	ck_assert_int_eq(profiler_serve(longest), -EINVAL);
	check_asked(SN_ASK_SERVE, longest);
	collector_ends();
	{
		char longer[257];

		memset(longer, 'a', sizeof(longer));
		longer[256] = '\0';
		(void)strcpy(control.collector, "sonde-test-nobody-there");
		ck_assert_int_eq(profiler_serve(longer), -EINVAL);
		ck_assert_int_eq(profiler_write(longer, STDOUT_FILENO), -ENOENT);
	}
}
END_TEST

START_TEST(exchange_with_a_mute_collector_times_out)
{
	struct sn_hello hello = { .magic = SN_HELLO_MAGIC };
	struct sn_offer o;

	collector_starts_with(0, 0, -1, 0);
	ck_assert_int_eq(sn_exchange(control.collector, &hello, sizeof(hello), 20000000, &o), -ETIMEDOUT);
	ck_assert_int_eq(o.fd, -1);
	collector_ends();
}
END_TEST

START_TEST(write_copies_the_whole_profile_and_leaves_descriptors_alone)
{
	enum { BYTES = 300000 };
	char path[] = "/tmp/sonde-test-api-XXXXXX";
	int fd = mkstemp(path), before = open_descriptors();
	char *data = malloc(BYTES);

	ck_assert_int_ge(fd, 0);
	(void)unlink(path);
	collector_starts(0, BYTES, memory_file(BYTES));
	ck_assert_int_eq(profiler_write("cpu", fd), 0);
	check_asked(SN_ASK_WRITE, "cpu");
	collector_ends();
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), BYTES);
	ck_assert_int_eq(pread(fd, data, BYTES, 0), BYTES);
	check_bytes(data, BYTES);
	ck_assert_int_eq(open_descriptors(), before);
	free(data);
	(void)close(fd);
}
END_TEST

static void *
read_slowly(void *arg)
{
	int fd = *(int *)arg;
	char *data = malloc(1 << 20);
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, data + got, 1000)) > 0)
		got += (size_t)n;
	check_bytes(data, got);
	*(int *)arg = (int)got;
	free(data);
	return NULL;
}

START_TEST(write_into_a_full_pipe_that_does_not_block_waits_for_room)
{
	enum { BYTES = 250000 };
	pthread_t reader;
	int fds[2], got;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	got = fds[0];
	ck_assert_int_eq(pthread_create(&reader, NULL, read_slowly, &got), 0);
	collector_starts(0, BYTES, memory_file(BYTES));
	ck_assert_int_eq(profiler_write("cpu", fds[1]), 0);
	collector_ends();
	(void)close(fds[1]);
	ck_assert_int_eq(pthread_join(reader, NULL), 0);
	ck_assert_int_eq(got, BYTES);
	(void)close(fds[0]);
}
END_TEST

START_TEST(write_to_nobody_gives_an_error_and_no_signal)
{
	sigset_t pending;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	(void)close(fds[0]);
	collector_starts(0, 10, memory_file(10));
	ck_assert_int_eq(profiler_write("cpu", fds[1]), -EPIPE);	/* SIGPIPE would have ended us */
	collector_ends();
	(void)sigpending(&pending);
	ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
	(void)close(fds[1]);
	ck_assert_int_eq(profiler_write("cpu", -1), -EBADF);
	ck_assert_int_eq(profiler_write(NULL, 1), -EINVAL);
	collector_starts(0, 10, memory_file(10));
	ck_assert_int_eq(profiler_write("cpu", fds[1] + 500), -EBADF);
	collector_ends();
}
END_TEST

START_TEST(write_with_an_answer_that_lies_is_an_error)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), before = open_descriptors();

	collector_starts(-ENOENT, 0, -1);
	ck_assert_int_eq(profiler_write("heat", fd), -ENOENT);
	collector_ends();
	collector_starts(0, 10, -1);
	ck_assert_int_eq(profiler_write("cpu", fd), -EPROTO);
	collector_ends();
	collector_starts(0, 11, memory_file(10));	/* less in it than was said */
	ck_assert_int_eq(profiler_write("cpu", fd), -EIO);
	collector_ends();
	ck_assert_int_eq(open_descriptors(), before);
	(void)close(fd);
}
END_TEST

START_TEST(version_is_that_of_the_package)
{
	unsigned major, minor, patch;

	ck_assert_int_eq(sscanf(profiler_version(), "%u.%u.%u", &major, &minor, &patch), 3);
}
END_TEST

static Suite *
api_suite(void)
{
	Suite *s = suite_create("api");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, options_struct_has_the_rows_of_the_table_and_no_other);
	tcase_add_test(t, start_without_options_or_with_zeroed_ones_takes_defaults);
	tcase_add_test(t, start_takes_over_what_the_environment_started_with_the_fields_of_the_program);
	tcase_add_test(t, start_takes_every_field);
	tcase_add_test(t, start_lets_the_environment_as_it_began_win_over_the_struct);
	tcase_add_test(t, start_when_the_environment_says_off_is_not_supported);
	tcase_add_test(t, start_with_a_bad_value_names_the_field_in_the_log);
	tcase_add_test(t, start_with_a_struct_of_another_size_takes_what_both_know);
	tcase_add_test(t, start_while_collected_is_already);
	tcase_add_test(t, start_in_a_child_forked_while_another_starts_does_not_wait);
	tcase_add_test(t, start_and_stop_of_many_threads_wait_for_each_other);
	tcase_add_test(t, calls_without_a_collector_say_so);
	tcase_add_test(t, stop_asks_and_joins_inside_only);
	tcase_add_test(t, flush_and_serve_ask_and_give_the_answer);
	tcase_add_test(t, ask_with_too_long_a_text_is_refused_here);
	tcase_add_test(t, exchange_with_a_mute_collector_times_out);
	tcase_add_test(t, write_copies_the_whole_profile_and_leaves_descriptors_alone);
	tcase_add_test(t, write_into_a_full_pipe_that_does_not_block_waits_for_room);
	tcase_add_test(t, write_to_nobody_gives_an_error_and_no_signal);
	tcase_add_test(t, write_with_an_answer_that_lies_is_an_error);
	tcase_add_test(t, version_is_that_of_the_package);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	SRunner *r = srunner_create(api_suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

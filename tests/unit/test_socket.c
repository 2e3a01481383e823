/* SPDX-License-Identifier: Apache-2.0
 *
 * test_socket.c - the places of the Unix socket: made safely, swept, found again.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "deliver/socket.h"

static char base[64];			/* a folder of ours */
static char folder[96];			/* base/sonde */

static void
setup(void)
{
	strcpy(base, "/tmp/sonde-test-socket.XX" "XXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	(void)snprintf(folder, sizeof(folder), "%s/sonde", base);
}

static void
teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", base);
	ck_assert_int_eq(system(command), 0);
}

static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_mode;
}

static const char *
in_folder(const char *name)
{
	static char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static const char *
name_of(pid_t pid, const char *suffix)
{
	static char name[32];

	(void)snprintf(name, sizeof(name), "%d%s", (int)pid, suffix);
	return name;
}

/* A pid that no process has. */
static pid_t
dead_pid(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* A socket file that nobody listens on, or (live) whose listener is returned. */
static int
bind_at(const char *path, bool live)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_lt(strlen(path), sizeof(at.sun_path));
	strcpy(at.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (live) {
		ck_assert_int_eq(listen(fd, 5), 0);
		return fd;
	}
	(void)close(fd);
	return -1;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(folder_and_socket_are_for_their_user_alone)
{
	struct sn_socket s;
	mode_t was = umask(0);

	ck_assert_int_eq(sn_socket_make("auto", base, getpid(), &s), 0);
	(void)umask(was);
	ck_assert_str_eq(s.path, in_folder(name_of(getpid(), ".sock")));
	ck_assert_uint_eq(mode_of(folder), S_IFDIR | 0700);
	ck_assert_uint_eq(mode_of(s.path), S_IFSOCK | 0600);
	sn_socket_remove(&s);
	ck_assert(!is_there(in_folder(name_of(getpid(), ".sock"))));
	ck_assert_int_eq(s.fd, -1);
}
END_TEST

START_TEST(an_odd_umask_does_not_lock_us_out)
{
	struct sn_socket s;
	mode_t was = umask(0777);

	ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), 0);
	(void)umask(was);
	ck_assert_uint_eq(mode_of(folder), S_IFDIR | 0700);
	ck_assert_uint_eq(mode_of(s.path), S_IFSOCK | 0600);
	sn_socket_remove(&s);
}
END_TEST

START_TEST(off_makes_nothing)
{
	struct sn_socket s;

	ck_assert_int_eq(sn_socket_make("off", base, getpid(), &s), 0);
	ck_assert_int_eq(s.fd, -1);
	ck_assert_str_eq(s.path, "");
	ck_assert(!is_there(folder));
	sn_socket_remove(&s);
}
END_TEST

START_TEST(a_folder_open_to_others_is_refused)
{
	static const mode_t modes[] = { 0770, 0707, 0701, 0710, 0777 };
	struct sn_socket s;

	ck_assert_int_eq(mkdir(folder, 0700), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		ck_assert_int_eq(chmod(folder, modes[i]), 0);
		ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), -EPERM);
		ck_assert_int_eq(s.fd, -1);
		ck_assert(!is_there(in_folder(name_of(getpid(), ".sock"))));
	}
}
END_TEST

START_TEST(a_folder_of_somebody_else_is_refused)
{
	struct sn_socket s;

	if (geteuid() != 0)		/* /root or / of root: not ours */
		ck_assert_int_eq(sn_socket_make("/", NULL, getpid(), &s), -EPERM);
	else {
		ck_assert_int_eq(mkdir(folder, 0700), 0);
		ck_assert_int_eq(chown(folder, 12345, 12345), 0);
		ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), -EPERM);
	}
}
END_TEST

START_TEST(a_symbolic_link_is_refused)
{
	char to[96];
	struct sn_socket s;

	(void)snprintf(to, sizeof(to), "%s/other", base);
	ck_assert_int_eq(mkdir(to, 0700), 0);
	ck_assert_int_eq(symlink(to, folder), 0);
	ck_assert_int_lt(sn_socket_make(folder, NULL, getpid(), &s), 0);
	ck_assert_int_eq(s.fd, -1);
	ck_assert_int_eq(rmdir(to), 0);		/* still empty */
}
END_TEST

START_TEST(a_file_or_a_relative_name_is_no_folder)
{
	struct sn_socket s;

	write_file(folder, "");
	ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), -ENOTDIR);
	ck_assert_int_eq(sn_socket_make("sonde", NULL, getpid(), &s), -EINVAL);
}
END_TEST

START_TEST(what_the_dead_left_is_removed_and_nothing_else)
{
	pid_t dead = dead_pid();
	struct sn_socket s;

	ck_assert_int_eq(mkdir(folder, 0700), 0);
	(void)bind_at(in_folder(name_of(dead, ".sock")), false);
	write_file(in_folder(name_of(dead, ".http")), "127.0.0.1:1\n");
	write_file(in_folder(name_of(dead, ".tmp")), "");
	write_file(in_folder("notes"), "");
	write_file(in_folder("0.http"), "");
	write_file(in_folder(name_of(getppid(), ".http")), "");		/* alive */
	ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), 0);
	ck_assert(!is_there(in_folder(name_of(dead, ".sock"))));
	ck_assert(!is_there(in_folder(name_of(dead, ".http"))));
	ck_assert(!is_there(in_folder(name_of(dead, ".tmp"))));
	ck_assert(is_there(in_folder("notes")));
	ck_assert(is_there(in_folder("0.http")));
	ck_assert(is_there(in_folder(name_of(getppid(), ".http"))));
	sn_socket_remove(&s);
}
END_TEST

START_TEST(a_socket_that_answers_is_kept_though_its_pid_is_unknown_here)
{
	pid_t dead = dead_pid();	/* to us; it may live in another pid namespace */
	struct sn_socket s;
	int live;

	ck_assert_int_eq(mkdir(folder, 0700), 0);
	live = bind_at(in_folder(name_of(dead, ".sock")), true);
	write_file(in_folder(name_of(dead, ".http")), "127.0.0.1:1\n");
	ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), 0);
	ck_assert(is_there(in_folder(name_of(dead, ".sock"))));
	ck_assert(is_there(in_folder(name_of(dead, ".http"))));
	sn_socket_remove(&s);
	(void)close(live);
}
END_TEST

START_TEST(an_abandoned_socket_of_our_own_pid_is_replaced)
{
	struct sn_socket s;
	int fd;

	ck_assert_int_eq(mkdir(folder, 0700), 0);
	(void)bind_at(in_folder(name_of(getpid(), ".sock")), false);
	ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), 0);
	fd = sn_socket_connect(s.path);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	sn_socket_remove(&s);
}
END_TEST

START_TEST(a_live_socket_of_our_own_pid_is_left_and_the_next_place_taken)
{
	struct sn_socket first, second, third, fourth;
	char abstract[64];
	int fd;

	ck_assert_int_eq(sn_socket_make("auto", base, getpid(), &first), 0);
	ck_assert_int_eq(strncmp(first.path, folder, strlen(folder)), 0);
	ck_assert_int_eq(sn_socket_make("auto", base, getpid(), &second), 0);
	ck_assert_int_eq(strncmp(second.path, "/tmp/sonde-", 11), 0);
	ck_assert_int_eq(sn_socket_make("auto", base, getpid(), &third), 0);
	(void)snprintf(abstract, sizeof(abstract), "@sonde-%u-%d", (unsigned)geteuid(), (int)getpid());
	ck_assert_str_eq(third.path, abstract);
	ck_assert_int_eq(sn_socket_note_http(&third, "127.0.0.1:1"), 0);
	fd = sn_socket_connect(third.path);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(sn_socket_make("auto", base, getpid(), &fourth), -EADDRINUSE);
	ck_assert_int_eq(fourth.fd, -1);
	ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &fourth), -EADDRINUSE);
	ck_assert(is_there(first.path));
	sn_socket_remove(&third);
	sn_socket_remove(&second);
	sn_socket_remove(&first);
}
END_TEST

START_TEST(a_runtime_folder_that_is_not_ours_is_passed_over)
{
	static const char *const useless[] = { NULL, "", "relative", "/nonexistent" };
	struct sn_socket s;

	for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
		ck_assert_int_eq(sn_socket_make("auto", useless[i], getpid(), &s), 0);
		ck_assert_int_eq(strncmp(s.path, "/tmp/sonde-", 11), 0);
		sn_socket_remove(&s);
	}
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(base, 12345, 12345), 0);
		ck_assert_int_eq(sn_socket_make("auto", base, getpid(), &s), 0);
		ck_assert_int_eq(strncmp(s.path, "/tmp/sonde-", 11), 0);
		sn_socket_remove(&s);
	}
}
END_TEST

START_TEST(a_folder_too_long_falls_to_the_next_place)
{
	char deep[200];
	struct sn_socket s;

	(void)snprintf(deep, sizeof(deep), "%s/%0100d", base, 0);
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	ck_assert_int_eq(sn_socket_make("auto", deep, getpid(), &s), 0);
	ck_assert_int_eq(strncmp(s.path, "/tmp/sonde-", 11), 0);
	sn_socket_remove(&s);
	ck_assert_int_eq(sn_socket_make(deep, NULL, getpid(), &s), -ENAMETOOLONG);
}
END_TEST

START_TEST(the_address_stands_beside_the_socket)
{
	struct sn_buf b = { 0 };
	struct sn_socket s;

	ck_assert_int_eq(sn_socket_make(folder, NULL, getpid(), &s), 0);
	ck_assert_int_eq(sn_socket_note_http(&s, "127.0.0.1:6060"), 0);
	ck_assert_int_eq(sn_socket_note_http(&s, "[::1]:6061"), 0);
	ck_assert_int_eq(sn_buf_read_path(&b, in_folder(name_of(getpid(), ".http")), 100), 0);
	ck_assert_uint_eq(b.len, strlen("[::1]:6061\n"));
	ck_assert_int_eq(memcmp(b.data, "[::1]:6061\n", b.len), 0);
	ck_assert_uint_eq(mode_of(in_folder(name_of(getpid(), ".http"))), S_IFREG | 0600);
	ck_assert(!is_there(in_folder(name_of(getpid(), ".tmp"))));
	sn_buf_free(&b);
	ck_assert_int_eq(sn_socket_note_http(&s, ""), 0);
	ck_assert(!is_there(in_folder(name_of(getpid(), ".http"))));
	ck_assert_int_eq(sn_socket_note_http(&s, "x"), 0);
	sn_socket_remove(&s);
	ck_assert(!is_there(in_folder(name_of(getpid(), ".http"))));
}
END_TEST

START_TEST(a_long_path_is_connected_through_its_folder)
{
	char deep[200], path[256], cwd[200];
	int live, fd;

	(void)snprintf(deep, sizeof(deep), "%s/%0100d", base, 0);
	(void)snprintf(path, sizeof(path), "%s/1.sock", deep);
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	ck_assert_int_eq(chdir(deep), 0);
	live = bind_at("1.sock", true);
	ck_assert_int_eq(chdir(cwd), 0);
	fd = sn_socket_connect(path);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	(void)close(live);
	ck_assert_int_eq(sn_socket_connect(path), -ECONNREFUSED);
	ck_assert_int_eq(sn_socket_connect("/nonexistent/1.sock"), -ENOENT);
}
END_TEST

/* ---- finding ---- */

struct found {
	int count;
	struct sn_socket_found last;
	pid_t look_for;
	int looked_for;
	bool stop;
};

static int
note(void *ctx, const struct sn_socket_found *f)
{
	struct found *found = ctx;

	found->count++;
	found->last = *f;
	found->looked_for += f->pid == found->look_for;
	return found->stop;
}

START_TEST(a_socket_is_found_by_its_pid_and_among_all)
{
	struct found one = { 0 }, all = { .look_for = getpid() };
	struct sn_socket s;

	ck_assert_int_eq(sn_socket_make("auto", NULL, getpid(), &s), 0);
	ck_assert_int_eq(sn_socket_find(getpid(), note, &one), 1);
	ck_assert_int_eq(one.last.pid, getpid());
	ck_assert_int_eq(one.last.pid_inside, getpid());
	ck_assert_str_eq(one.last.path, s.path);
	ck_assert_int_ge(sn_socket_find(0, note, &all), 1);
	ck_assert_int_eq(all.looked_for, 1);
	sn_socket_remove(&s);
	one.count = 0;
	ck_assert_int_eq(sn_socket_find(getpid(), note, &one), 0);
	ck_assert_int_eq(one.count, 0);
}
END_TEST

/* A child with that environment and a socket made with choice; -1 when it could not be started. */
static pid_t
start_child(const char *variable, int *to_end)
{
	int ready[2], end[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(end), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)dup2(ready[1], 1);
		(void)dup2(end[0], 0);
		(void)close(end[1]);
		(void)close(ready[0]);
		(void)close(ready[1]);
		(void)execl("/usr/bin/env", "env", variable, "sh", "-c", "echo ready; read x", (char *)NULL);
		_exit(127);
	}
	(void)close(ready[1]);
	(void)close(end[0]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	*to_end = end[1];
	return pid;
}

START_TEST(the_folders_of_its_environment_are_looked_into)
{
	static const char *const names[] = { "SONDE_SOCKET", "XDG_RUNTIME_DIR" };

	for (int i = 0; i < 2; i++) {
		char variable[256];
		struct found f = { 0 };
		struct sn_socket s;
		int to_end;
		pid_t pid;

		(void)snprintf(variable, sizeof(variable), "%s=%s", names[i], i == 0 ? folder : base);
		pid = start_child(variable, &to_end);
		/* As the collector outside does it: for another process. */
		ck_assert_int_eq(sn_socket_make(i == 0 ? folder : "auto", i == 0 ? NULL : base, pid, &s), 0);
		ck_assert_int_eq(sn_socket_find(pid, note, &f), 1);
		ck_assert_str_eq(f.last.path, s.path);
		ck_assert_int_eq(f.last.pid, pid);
		sn_socket_remove(&s);
		(void)close(to_end);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
}
END_TEST

START_TEST(an_abstract_one_is_found_and_a_stale_file_before_it_is_not)
{
	struct sn_socket s, file, tmp;
	struct found f = { 0 };
	int to_end;
	pid_t pid = start_child("A=b", &to_end);

	ck_assert_int_eq(sn_socket_make("auto", NULL, pid, &tmp), 0);
	ck_assert_int_eq(sn_socket_make("auto", NULL, pid, &s), 0);
	ck_assert_int_eq(s.path[0], '@');
	file = tmp;
	(void)close(tmp.fd);			/* nobody listens there now */
	file.fd = -1;
	ck_assert_int_eq(sn_socket_find(pid, note, &f), 1);
	ck_assert_str_eq(f.last.path, s.path);
	sn_socket_remove(&s);
	sn_socket_remove(&file);
	(void)close(to_end);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(a_folder_that_others_could_write_is_not_believed)
{
	struct sn_socket s;
	struct found f = { 0 };
	int to_end, live;
	char variable[256];
	pid_t pid;

	(void)snprintf(variable, sizeof(variable), "SONDE_SOCKET=%s", folder);
	pid = start_child(variable, &to_end);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	live = bind_at(in_folder(name_of(pid, ".sock")), true);
	ck_assert_int_eq(chmod(folder, 0777), 0);
	ck_assert_int_eq(sn_socket_find(pid, note, &f), 0);
	ck_assert_int_eq(chmod(folder, 0700), 0);
	ck_assert_int_eq(sn_socket_find(pid, note, &f), 1);
	(void)close(live);
	(void)close(to_end);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(sn_socket_make("off", NULL, pid, &s), 0);
}
END_TEST

START_TEST(no_such_process_is_said)
{
	struct found f = { 0 };

	ck_assert_int_eq(sn_socket_find(dead_pid(), note, &f), -ESRCH);
	ck_assert_int_eq(sn_socket_find(-5, note, &f), -ESRCH);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("socket");
	TCase *make = tcase_create("make"), *find = tcase_create("find");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(make, setup, teardown);
	tcase_add_test(make, folder_and_socket_are_for_their_user_alone);
	tcase_add_test(make, an_odd_umask_does_not_lock_us_out);
	tcase_add_test(make, off_makes_nothing);
	tcase_add_test(make, a_folder_open_to_others_is_refused);
	tcase_add_test(make, a_folder_of_somebody_else_is_refused);
	tcase_add_test(make, a_symbolic_link_is_refused);
	tcase_add_test(make, a_file_or_a_relative_name_is_no_folder);
	tcase_add_test(make, what_the_dead_left_is_removed_and_nothing_else);
	tcase_add_test(make, a_socket_that_answers_is_kept_though_its_pid_is_unknown_here);
	tcase_add_test(make, an_abandoned_socket_of_our_own_pid_is_replaced);
	tcase_add_test(make, a_live_socket_of_our_own_pid_is_left_and_the_next_place_taken);
	tcase_add_test(make, a_runtime_folder_that_is_not_ours_is_passed_over);
	tcase_add_test(make, a_folder_too_long_falls_to_the_next_place);
	tcase_add_test(make, the_address_stands_beside_the_socket);
	tcase_add_test(make, a_long_path_is_connected_through_its_folder);
	tcase_add_checked_fixture(find, setup, teardown);
	tcase_add_test(find, a_socket_is_found_by_its_pid_and_among_all);
	tcase_add_test(find, the_folders_of_its_environment_are_looked_into);
	tcase_add_test(find, an_abstract_one_is_found_and_a_stale_file_before_it_is_not);
	tcase_add_test(find, a_folder_that_others_could_write_is_not_believed);
	tcase_add_test(find, no_such_process_is_said);
	suite_add_tcase(s, make);
	suite_add_tcase(s, find);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

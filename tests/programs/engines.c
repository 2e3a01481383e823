/* SPDX-License-Identifier: Apache-2.0
 *
 * engines.c - what the engines that drive sampling must cope with.
 *
 * Usage:    engines pingpong ROUNDS [MS]	after MS of work, two threads hand a byte to and fro;
 *					tells `switch NS CPU_NS`
 *           engines kernel MS		half of the CPU time in read(2)
 *           engines execs N US		burns US microseconds in each of N images of itself
 *           engines fds		tells which descriptors are open while it is sampled, closes all, goes on
 *           engines itimer		has an ITIMER_PROF of its own after a while; tells `ticks N MS`
 *           engines failedexec		execs what is not there, and goes on
 *           engines waits ROUNDS	waits in calls that a signal ends whatever SA_RESTART says; tells `early N`
 *           engines armed MS		the same all the while
 *           engines profil		is profiled by libc, as what gcc -pg makes is; tells `ticks N MS`
 * Tells:    `rusage NS` at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "burn.h"

static uint64_t turns_per_us;
static volatile sig_atomic_t ticks;

static NOINLINE uint64_t
work(uint64_t us)
{
	BURN(turns_per_us * us);
	return us + 1;
}

static void
until(uint64_t cpu_ns)
{
	while (process_cpu_ns() < cpu_ns)
		(void)work(100);
}

static int there[2], back[2];

static void *
echo(void *arg)
{
	char c;

	(void)arg;
	while (read(there[0], &c, 1) == 1)
		if (write(back[1], &c, 1) != 1)
			break;
	return NULL;
}

static int
pingpong(long rounds)
{
	pthread_t t;
	uint64_t began, cpu;
	char c = 0;

	if (pipe(there) < 0 || pipe(back) < 0 || pthread_create(&t, NULL, echo, NULL) != 0)
		return 1;
	began = clock_ns(CLOCK_MONOTONIC);
	cpu = process_cpu_ns();
	for (long i = 0; i < rounds; i++)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			return 1;
	began = clock_ns(CLOCK_MONOTONIC) - began;
	cpu = process_cpu_ns() - cpu;
	(void)close(there[1]);
	(void)pthread_join(t, NULL);
	(void)printf("switch %.1f %.1f\n", (double)began / (double)rounds / 2, (double)cpu / (double)rounds / 2);
	return 0;
}

static NOINLINE void
read_zeros(void)
{
	static char room[1 << 20];
	int fd = open("/dev/zero", O_RDONLY);

	for (int i = 0; i < 4; i++)
		if (read(fd, room, sizeof(room)) <= 0)
			break;
	(void)close(fd);
}

static int
kernel(long ms)
{
	uint64_t end = process_cpu_ns() + (uint64_t)ms * 1000000;

	while (process_cpu_ns() < end) {
		uint64_t t = thread_cpu_ns();

		read_zeros();
		(void)work((thread_cpu_ns() - t) / 1000);
	}
	return 0;
}

static int
execs(char **argv, long n, long us)
{
	char left[24];
	char *next[] = { argv[0], argv[1], left, argv[3], NULL };

	(void)work((uint64_t)us);
	if (n <= 1)
		return 0;
	(void)snprintf(left, sizeof(left), "%ld", n - 1);
	(void)execv("/proc/self/exe", next);
	return 1;
}

static void
tell_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	char target[256];
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		if (n < 0 || atoi(e->d_name) == dirfd(d))
			continue;
		target[n] = '\0';
		(void)printf("fd %s\n", strncmp(target, "anon_inode", 10) == 0 ? target : e->d_name);
	}
	if (d != NULL)
		(void)closedir(d);
}

static int
fds(void)
{
	until(300000000);
	tell_descriptors();
	for (int fd = 3; fd < 1024; fd++)
		(void)close(fd);
	until(800000000);
	return 0;
}

static void
on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static int
itimer(void)
{
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } }, was;
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	uint64_t cpu;

	until(200000000);
	if (getitimer(ITIMER_PROF, &was) < 0)
		return 1;
	(void)printf("before %ld %ld\n", (long)was.it_value.tv_usec, (long)was.it_interval.tv_usec);
	(void)sigaction(SIGPROF, &sa, NULL);
	cpu = process_cpu_ns();
	(void)setitimer(ITIMER_PROF, &every, NULL);
	until(cpu + 1000000000);
	(void)getitimer(ITIMER_PROF, &was);
	(void)printf("interval %ld\n", (long)was.it_interval.tv_usec);
	memset(&every, 0, sizeof(every));
	(void)setitimer(ITIMER_PROF, &every, NULL);
	(void)printf("ticks %d %llu\n", (int)ticks, (unsigned long long)((process_cpu_ns() - cpu) / 1000000));
	until(process_cpu_ns() + 200000000);
	return 0;
}

/* libc sets action and timer by calls of its own. */
static int
by_libc(void)
{
	static unsigned short counts[1 << 16];
	static unsigned short *volatile none;
	uint64_t cpu = process_cpu_ns();
	int n = 0;

	if (profil(counts, sizeof(counts), (size_t)(uintptr_t)work - sizeof(counts) / 2, 65536) < 0)
		return 1;
	until(cpu + 1000000000);
	(void)profil(none, 0, 0, 0);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		n += counts[i];
	(void)printf("ticks %d %llu\n", n, (unsigned long long)((process_cpu_ns() - cpu) / 1000000));
	until(process_cpu_ns() + 200000000);
	return 0;
}

static int
armed(uint64_t ms)
{
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } };
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };

	if (sigaction(SIGPROF, &sa, NULL) < 0 || setitimer(ITIMER_PROF, &every, NULL) < 0)
		return 1;
	until(ms * 1000000);
	return ticks == 0;
}

static int
failed_exec(char **argv)
{
	for (int i = 0; i < 10; i++) {
		until(process_cpu_ns() + 60000000);
		(void)execv("/nonexistent/program", argv);
	}
	return 0;
}

static int
waits(long rounds)
{
	struct timespec moment = { .tv_nsec = 1000 }, then;
	struct pollfd p = { .events = POLLIN };
	pthread_t t;
	sem_t sem;
	int early = 0;
	char c = 0;

	if (pipe(there) < 0 || pipe(back) < 0 || sem_init(&sem, 0, 0) < 0 || pthread_create(&t, NULL, echo, NULL) != 0)
		return 1;
	p.fd = back[0];
	for (long i = 0; i < rounds; i++) {
		if (write(there[1], &c, 1) != 1)
			return 1;
		while (poll(&p, 1, 10000) < 0)
			early += errno == EINTR;
		if (read(back[0], &c, 1) != 1)
			return 1;
		early += nanosleep(&moment, NULL) < 0;
		(void)clock_gettime(CLOCK_REALTIME, &then);
		then.tv_nsec = then.tv_nsec < 999990000 ? then.tv_nsec + 5000 : 999999999;
		early += sem_timedwait(&sem, &then) < 0 && errno == EINTR;
	}
	(void)close(there[1]);
	(void)pthread_join(t, NULL);
	(void)printf("early %d\n", early);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct rusage u;
	int err = 2;

	turns_per_us = strcmp(what, "execs") == 0 ? 1000 : burn_turns_per_us();
	if (strcmp(what, "pingpong") == 0 && argc > 3)
		until(strtoull(argv[3], NULL, 10) * 1000000);
	if (strcmp(what, "pingpong") == 0 && argc > 2)
		err = pingpong(atol(argv[2]));
	else if (strcmp(what, "kernel") == 0 && argc > 2)
		err = kernel(atol(argv[2]));
	else if (strcmp(what, "execs") == 0 && argc > 3)
		err = execs(argv, atol(argv[2]), atol(argv[3]));
	else if (strcmp(what, "fds") == 0)
		err = fds();
	else if (strcmp(what, "itimer") == 0)
		err = itimer();
	else if (strcmp(what, "armed") == 0 && argc > 2)
		err = armed(strtoull(argv[2], NULL, 10));
	else if (strcmp(what, "profil") == 0)
		err = by_libc();
	else if (strcmp(what, "waits") == 0 && argc > 2)
		err = waits(atol(argv[2]));
	else if (strcmp(what, "failedexec") == 0)
		err = failed_exec(argv);
	(void)getrusage(RUSAGE_SELF, &u);
	(void)printf("rusage %lld\n", (long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
		(long long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000);
	return err;
}

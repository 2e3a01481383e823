/* SPDX-License-Identifier: Apache-2.0
 *
 * profiled.c - a program that profiles itself.
 *
 *	cc -O2 -g profiled.c $(pkg-config --cflags --libs sonde) -o profiled
 *	./profiled cpu.pb.gz
 *	go tool pprof -top cpu.pb.gz
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sonde/profiler.h>

static unsigned
count_primes(unsigned below)
{
	unsigned n = 0;

	for (unsigned i = 2, k; i < below; i++) {
		for (k = 2; k * k <= i && i % k != 0; k++)
			;
		n += k * k > i;
	}
	return n;
}

/* Each function gives 0 or more, or a negative errno. */
static int
check(const char *what, int result)
{
	if (result < 0)
		fprintf(stderr, "%s: %s\n", what, strerror(-result));
	return result;
}

int
main(int argc, char **argv)
{
	struct profiler_options options = { .size = sizeof(options), .hz = 250 };
	int fd, port, err;

	if (argc != 2)
		return 1;
	/* Under `sonde run` it is profiled already, as who runs it wants; what SONDE_HZ and its like say goes first. */
	err = profiler_start(&options);
	if (err != -EALREADY && check("profiler_start", err) < 0)
		return 1;

	/* While it runs: http://localhost:PORT/debug/pprof/ in the browser, go tool pprof, Alloy, Parca. */
	port = check("profiler_serve", profiler_serve("localhost:0"));
	if (port < 0)
		return 1;
	printf("port %d\n", port);
	fflush(stdout);

	while (clock() < CLOCKS_PER_SEC)	/* a second of CPU time */
		if (count_primes(100000) != 9592)
			return 1;

	/* The profile so far, whenever the program likes, to any descriptor. */
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || check("profiler_write", profiler_write("cpu", fd)) < 0 || close(fd) < 0)
		return 1;
	printf("written\n");
	fflush(stdout);

	(void)getchar();			/* serves until there is a key, or no more input */
	return check("profiler_stop", profiler_stop()) < 0;
}

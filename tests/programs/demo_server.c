/* SPDX-License-Identifier: Apache-2.0
 *
 * demo_server.c - a small HTTP server on loopback that does visible CPU work, and a load for it.
 *
 * Usage:    demo_server [-p PORT] [-d SECONDS] [-w WORKERS] [-c]
 *           demo_server --load PORT SECONDS
 * Tells:    `port N` once it listens (a free port unless -p names one), `served N` at its end.
 * Routes:   /json /sort /hash /regex, each in functions of its own; all else is 404.
 * Ends after -d seconds or on SIGTERM or SIGINT, with status 0.  -c: a child is its load meanwhile.
 * Memory:   one fixed buffer a connection, at most MAX_FDS connections; more are closed at once.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

#define MAX_FDS		1024
#define MAX_WORKERS	8
#define REQUEST_BYTES	2048
#define BODY_BYTES	4096

struct connection {
	size_t have;
	char request[REQUEST_BYTES];
};

struct worker {
	pthread_t thread;
	unsigned number;
	int epoll_fd;
	uint64_t served;
};

static volatile sig_atomic_t stopping;
static struct connection *connections[MAX_FDS];
static int listen_fd = -1;

static void
on_stop(int sig)
{
	(void)sig;
	stopping = 1;
}

/* /json: numbers and strings into text, and the text read back. */
static inline __attribute__((always_inline)) char *
json_put_number(char *p, uint64_t n)
{
	char digits[20];
	int k = 0;

	do
		digits[k++] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	while (k > 0)
		*p++ = digits[--k];
	return p;
}

static NOINLINE size_t
json_encode(char *out, uint64_t seed)
{
	char *p = out;

	*p++ = '[';
	for (unsigned i = 0; i < 150; i++) {
		memcpy(p, "{\"id\":", 6);
		p = json_put_number(p + 6, seed * i % 1000000007u);
		*p++ = '}';
		*p++ = ',';
	}
	p[-1] = ']';
	return (size_t)(p - out);
}

static NOINLINE uint64_t
json_parse(const char *text, size_t len)
{
	uint64_t sum = 0, n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9') {
			n = n * 10 + (uint64_t)(text[i] - '0');
		} else {
			sum += n;
			n = 0;
		}
	}
	return sum;
}

static NOINLINE int
handle_json(char *body, uint64_t seed)
{
	static __thread char text[16384];
	uint64_t sum = 0;

	for (unsigned i = 0; i < 60; i++)
		sum += json_parse(text, json_encode(text, seed + i));
	return snprintf(body, BODY_BYTES, "{\"sum\":%llu}\n", (unsigned long long)sum);
}

/* /sort */
static int
sort_compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

static NOINLINE int
handle_sort(char *body, uint64_t seed)
{
	unsigned v[4096], x = (unsigned)seed;

	for (unsigned i = 0; i < 4096; i++)
		v[i] = x = x * 1664525u + 1013904223u;
	qsort(v, 4096, sizeof(v[0]), sort_compare);
	return snprintf(body, BODY_BYTES, "{\"median\":%u}\n", v[2048]);
}

/* /hash: FNV-1a over a block, many times. */
static inline __attribute__((always_inline)) uint64_t
hash_step(uint64_t h, unsigned char byte)
{
	return (h ^ byte) * 1099511628211u;
}

static NOINLINE uint64_t
hash_block(const unsigned char *p, size_t len, uint64_t h)
{
	for (size_t i = 0; i < len; i++)
		h = hash_step(h, p[i]);
	return h;
}

static NOINLINE int
handle_hash(char *body, uint64_t seed)
{
	unsigned char block[4096];
	uint64_t h = seed;

	memset(block, (int)(seed & 255), sizeof(block));
	for (unsigned i = 0; i < 60; i++)
		h = hash_block(block, sizeof(block), h);
	return snprintf(body, BODY_BYTES, "{\"hash\":\"%016llx\"}\n", (unsigned long long)h);
}

/* /regex */
static NOINLINE int
regex_matches(const regex_t *r, const char *text)
{
	int n = 0;
	regmatch_t m;

	for (; regexec(r, text, 1, &m, 0) == 0 && m.rm_eo > 0; text += m.rm_eo)
		n++;
	return n;
}

static NOINLINE int
handle_regex(char *body, uint64_t seed)
{
	static const char *text = "alpha=1; beta=22; gamma=333; delta=4444; epsilon=55555; zeta=666666; eta=7777777";
	regex_t r;
	int n = 0;

	(void)seed;
	if (regcomp(&r, "([a-z]+)=([0-9]+)", REG_EXTENDED) != 0)
		return snprintf(body, BODY_BYTES, "{}\n");
	for (unsigned i = 0; i < 20; i++)
		n += regex_matches(&r, text);
	regfree(&r);
	return snprintf(body, BODY_BYTES, "{\"matches\":%d}\n", n);
}

static const struct {
	const char *path;
	int (*handle)(char *body, uint64_t seed);
} routes[] = {
	{ "/json", handle_json }, { "/sort", handle_sort }, { "/hash", handle_hash }, { "/regex", handle_regex },
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static NOINLINE int
answer(const char *request, char *out, size_t size, uint64_t seed)
{
	char body[BODY_BYTES];
	const char *status = "404 Not Found";
	int len = 0;

	for (size_t i = 0; i < ROUTES; i++) {
		size_t n = strlen(routes[i].path);

		if (strncmp(request, "GET ", 4) == 0 && strncmp(request + 4, routes[i].path, n) == 0 &&
		    (request[4 + n] == ' ' || request[4 + n] == '?')) {
			len = routes[i].handle(body, seed);
			status = "200 OK";
			break;
		}
	}
	return snprintf(out, size, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%.*s",
		status, len, len, body);
}

static void
drop(int fd)
{
	free(connections[fd]);
	connections[fd] = NULL;
	(void)close(fd);
}

/* Bytes have come: answer every whole request among them.  False when the connection is over. */
static int
serve(struct worker *w, int fd)
{
	struct connection *c = connections[fd];
	char out[BODY_BYTES + 256], *end;
	ssize_t n = recv(fd, c->request + c->have, REQUEST_BYTES - 1 - c->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n <= 0)
		return 0;
	c->have += (size_t)n;
	c->request[c->have] = '\0';
	while ((end = strstr(c->request, "\r\n\r\n")) != NULL) {
		int len = answer(c->request, out, sizeof(out), w->served++);

		if (send(fd, out, (size_t)len, MSG_NOSIGNAL) != len)
			return 0;
		c->have -= (size_t)(end + 4 - c->request);
		memmove(c->request, end + 4, c->have + 1);
	}
	return c->have < REQUEST_BYTES - 1;
}

static void
take_connection(struct worker *w)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (fd >= MAX_FDS || (connections[fd] = calloc(1, sizeof(struct connection))) == NULL) {
		(void)close(fd);
		return;
	}
	e.data.fd = fd;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		drop(fd);
}

static void *
worker_loop(void *arg)
{
	struct worker *w = arg;
	struct epoll_event events[32];
	char name[16];

	(void)snprintf(name, sizeof(name), "worker-%u", w->number);
	(void)pthread_setname_np(pthread_self(), name);
	while (!stopping) {
		int n = epoll_wait(w->epoll_fd, events, 32, 100);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listen_fd)
				take_connection(w);
			else if (!serve(w, events[i].data.fd))
				drop(events[i].data.fd);
		}
	}
	return NULL;
}

static int
listen_on(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t len = sizeof(a);
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listen_fd < 0)
		return -1;
	(void)setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(listen_fd, 128) != 0 ||
	    getsockname(listen_fd, (struct sockaddr *)&a, &len) != 0)
		return -1;
	return ntohs(a.sin_port);
}

static int
connect_to(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval limit = { .tv_sec = 2 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* One request after the other on 16 connections, all routes in turn. */
static int
load(unsigned port, double seconds)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9), done = 0;
	char text[8192];
	int fds[16];

	for (unsigned i = 0; i < 16; i++)
		if ((fds[i] = connect_to(port)) < 0)
			return 1;
	while (clock_ns(CLOCK_MONOTONIC) < end) {
		for (unsigned i = 0; i < 16; i++) {
			int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
				routes[(done + i) % ROUTES].path);

			if (send(fds[i], text, (size_t)n, MSG_NOSIGNAL) != n)
				return 0;
		}
		for (unsigned i = 0; i < 16; i++)
			if (recv(fds[i], text, sizeof(text), 0) <= 0)
				return 0;	/* the server has ended */
		done += 16;
		if (done / 16 % ROUTES == 0)
			done++;
	}
	(void)fprintf(stderr, "requests %llu\n", (unsigned long long)done);
	return 0;
}

static pid_t
load_in_child(unsigned port, double seconds)
{
	char p[16], s[32];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)snprintf(p, sizeof(p), "%u", port);
	(void)snprintf(s, sizeof(s), "%.1f", seconds);
	(void)execl("/proc/self/exe", "demo_load", "--load", p, s, (char *)NULL);
	_exit(127);
}

static int
run_server(struct worker *w, unsigned workers, unsigned port, double seconds, int with_load)
{
	struct sigaction sa = { .sa_handler = on_stop };
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9), served = 0;
	struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	pid_t child = -1;
	int got = listen_on(port);

	if (got < 0) {
		perror("demo_server: listen");
		return 1;
	}
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)printf("port %d\n", got);
	(void)fflush(stdout);
	e.data.fd = listen_fd;
	for (unsigned i = 0; i < workers; i++) {
		w[i].number = i + 1;
		if ((w[i].epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
		    epoll_ctl(w[i].epoll_fd, EPOLL_CTL_ADD, listen_fd, &e) != 0 ||
		    pthread_create(&w[i].thread, NULL, worker_loop, &w[i]) != 0)
			return 1;
	}
	if (with_load)
		child = load_in_child((unsigned)got, seconds);
	while (!stopping && (seconds <= 0 || clock_ns(CLOCK_MONOTONIC) < end))
		(void)usleep(50000);
	stopping = 1;
	for (unsigned i = 0; i < workers; i++) {
		(void)pthread_join(w[i].thread, NULL);
		served += w[i].served;
	}
	if (child > 0) {
		(void)kill(child, SIGTERM);
		(void)waitpid(child, NULL, 0);
	}
	(void)printf("served %llu\n", (unsigned long long)served);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct worker w[MAX_WORKERS];
	unsigned workers = 3, port = 0;
	int c, with_load = 0;
	double seconds = 0;

	if (argc == 4 && strcmp(argv[1], "--load") == 0)
		return load((unsigned)atoi(argv[2]), atof(argv[3]));
	while ((c = getopt(argc, argv, "p:d:w:c")) != -1) {
		switch (c) {
		case 'p': port = (unsigned)atoi(optarg); break;
		case 'd': seconds = atof(optarg); break;
		case 'w': workers = (unsigned)atoi(optarg); break;
		case 'c': with_load = 1; break;
		default: return 2;
		}
	}
	if (workers < 1 || workers > MAX_WORKERS)
		return 2;
	return run_server(w, workers, port, seconds, with_load);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * perfmap.c - read /tmp/perf-PID.map (see perfmap.h): lines of START SIZE NAME, appended while the program runs.
 *
 * Runs in:  collector, for each profile with code in memory: the file grows.
 * Trust:    anybody may put a file there: it must be a plain one, of root, of our own user or of the process's owner,
 *           and have been written since the process began.  Lines that do not parse are passed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "symbol/perfmap.h"

#define BACK_MAX 64		/* lines that are looked at from an address down: few overlap */

/* A number of 16 digits at most, with or without 0x.  False: none is there. */
static bool
take_number(const char **at, const char *end, uint64_t *out)
{
	const char *s = *at, *first;
	uint64_t n = 0;

	while (s < end && *s == ' ')
		s++;
	if (end - s > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	for (first = s; s < end && s - first < 17; s++) {
		unsigned digit = *s >= '0' && *s <= '9' ? (unsigned)(*s - '0') : *s >= 'a' && *s <= 'f' ?
			(unsigned)(*s - 'a') + 10 : *s >= 'A' && *s <= 'F' ? (unsigned)(*s - 'A') + 10 : 16;

		if (digit == 16)
			break;
		n = n << 4 | digit;
	}
	*out = n;
	*at = s;
	return s > first && s - first <= 16 && s < end && *s == ' ';
}

static bool
parse_line(const char *text, const char *at, const char *end, struct sn_perfmap_line *out)
{
	uint64_t size;

	if (!take_number(&at, end, &out->start) || !take_number(&at, end, &size))
		return false;
	while (at < end && *at == ' ')
		at++;
	while (end > at && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	if (at == end || size == 0 || out->start + size < size)
		return false;
	out->limit = out->start + size;
	out->name = (uint32_t)(at - text);
	out->name_len = end - at < (long)SN_PERFMAP_NAME_MAX ? (uint32_t)(end - at) : SN_PERFMAP_NAME_MAX;
	return true;
}

static int
by_start(const void *left, const void *right)
{
	const struct sn_perfmap_line *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

int
sn_perfmap_parse(struct sn_perfmap *m, char *text, size_t bytes)
{
	size_t lines = 0;

	*m = (struct sn_perfmap){ .text = text, .bytes = bytes };
	if (bytes > SN_PERFMAP_BYTES_MAX)
		return -EFBIG;
	if (bytes == 0)
		return 0;
	for (const char *s = text; (s = memchr(s, '\n', bytes - (size_t)(s - text))) != NULL; s++)
		lines++;
	m->line = calloc(lines + 1, sizeof(*m->line));
	if (m->line == NULL)
		return -ENOMEM;
	/* A last line without its newline is still being written. */
	for (const char *s = text, *end; (end = memchr(s, '\n', bytes - (size_t)(s - text))) != NULL; s = end + 1) {
		m->line[m->count].order = (uint32_t)m->count;
		m->count += parse_line(text, s, end, &m->line[m->count]);
	}
	qsort(m->line, m->count, sizeof(*m->line), by_start);
	return 0;
}

void
sn_perfmap_free(struct sn_perfmap *m)
{
	free(m->text);
	free(m->line);
	*m = (struct sn_perfmap){ .text = NULL };
}

const struct sn_perfmap_line *
sn_perfmap_find(const struct sn_perfmap *m, uint64_t addr)
{
	const struct sn_perfmap_line *best = NULL;
	size_t lo = 0, n = m->count;

	while (n > 0) {
		size_t half = n / 2;
		bool right = m->line[lo + half].start <= addr;

		lo = right ? lo + half + 1 : lo;
		n = right ? n - half - 1 : half;
	}
	for (size_t i = lo; i > 0 && lo - i < BACK_MAX; i--) {
		const struct sn_perfmap_line *l = &m->line[i - 1];

		if (addr < l->limit && (best == NULL || l->order > best->order))
			best = l;
	}
	return best;
}

/* The number of the process where it lives itself: the last one of NSpid. */
static pid_t
inner_pid(pid_t pid)
{
	char path[64], line[256];
	long inner = pid;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "NSpid:", 6) == 0) {
			const char *tab = strrchr(line, '\t');

			inner = tab != NULL ? strtol(tab, NULL, 10) : inner;
			break;
		}
	}
	if (f != NULL)
		(void)fclose(f);
	return inner > 0 && inner < INT32_MAX ? (pid_t)inner : pid;
}

/* CLOCK_REALTIME, in seconds, when a process with that start time began; a second early: both are rounded. */
static int64_t
began_at(uint64_t start_time)
{
	long ticks = sysconf(_SC_CLK_TCK);
	uint64_t now = sn_clock_ns(CLOCK_REALTIME), up = sn_clock_ns(CLOCK_BOOTTIME);
	uint64_t began = ticks > 0 ? start_time / (uint64_t)ticks : 0;

	return now > up ? (int64_t)((now - up) / SN_NS_PER_SEC + began) - 1 : 0;
}

static int
judge(int fd, pid_t pid, uint64_t start_time, uint64_t most)
{
	char path[64];
	struct stat st, process;

	if (fstat(fd, &st) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid() &&
	    (stat(path, &process) < 0 || process.st_uid != st.st_uid)))
		return -EPERM;
	if (start_time != 0 && st.st_mtim.tv_sec < began_at(start_time))
		return -EPERM;
	return (uint64_t)st.st_size > (most != 0 ? most : SN_PERFMAP_BYTES_MAX) ? -EFBIG : 0;
}

static int
open_map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

int
sn_perfmap_read(struct sn_perfmap *m, pid_t pid, uint64_t start_time, uint64_t most)
{
	struct sn_buf text = { 0 };
	char path[96];
	int fd, err;

	*m = (struct sn_perfmap){ .text = NULL };
	(void)snprintf(path, sizeof(path), "/proc/%d/root/tmp/perf-%d.map", (int)pid, (int)inner_pid(pid));
	fd = open_map(path);
	if (fd < 0) {				/* it has ended */
		(void)snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)pid);
		fd = open_map(path);
	}
	if (fd < 0)
		return fd;
	err = judge(fd, pid, start_time, most);
	if (err == 0)
		err = sn_buf_read_fd(&text, fd, most != 0 ? most : SN_PERFMAP_BYTES_MAX);
	(void)close(fd);
	if (err < 0) {
		sn_buf_free(&text);
		return err;
	}
	err = sn_perfmap_parse(m, (char *)text.data, text.len);
	if (err < 0)
		sn_perfmap_free(m);
	return err;
}

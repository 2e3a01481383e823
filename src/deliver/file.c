/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c - profiles as files (see file.h).
 *
 * Runs in:  collector and tools, in the thread that wants the file.
 * Memory:   names on the stack, at most PATH_MAX; no allocation.
 * When the disk is full: the error comes back and what we began is removed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/shield.h"
#include "deliver/file.h"

#define PROBE_BYTES	4096		/* what a disk must still take before we begin */
#define NAME_TRIES	100

/* ---- names ---- */

/* A text that grows to the right and remembers that it did not fit. */
struct name {
	char *out;
	size_t size, len;
	int err;
};

static void
put(struct name *n, const char *text, size_t len)
{
	if (n->err < 0)
		return;
	if (len >= n->size - n->len) {
		n->err = -ENAMETOOLONG;
		return;
	}
	memcpy(n->out + n->len, text, len);
	n->len += len;
	n->out[n->len] = '\0';
}

static void
put_number(struct name *n, int64_t number)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)number);

	put(n, digits, (size_t)len);
}

/* A name that the program chose: it must not lead into another folder. */
static void
put_exe(struct name *n, const char *exe)
{
	for (; exe != NULL && *exe != '\0'; exe++) {
		unsigned char c = (unsigned char)*exe;

		put(n, c == '/' || c < ' ' || c == 0x7f ? "_" : exe, 1);
	}
}

static void
put_word(struct name *n, char letter, const struct sn_file_words *w)
{
	switch (letter) {
	case 'p':
		put_number(n, w->pid);
		break;
	case 'e':
		put_exe(n, w->exe);
		break;
	case 't':
		put_number(n, w->start_s);
		break;
	case 'k':
		put_exe(n, w->kind);
		break;
	case 'c':
		if (w->add_pid) {
			put(n, "_", 1);
			put_number(n, w->pid);
		}
		break;
	case '%':
		put(n, "%", 1);
		break;
	default:
		n->err = n->err < 0 ? n->err : -EINVAL;
	}
}

static bool
has_pid(const char *pattern)
{
	for (const char *p = strchr(pattern, '%'); p != NULL && p[1] != '\0'; p = strchr(p + 2, '%'))
		if (p[1] == 'p' || p[1] == 'c')
			return true;
	return false;
}

/*
 * Where ".PID" goes: before .pb.gz, else before the last .xyz of the file's own name, else at its
 * end.  A suffix is literal text: what a letter stands for may have dots of its own.
 */
static size_t
pid_position(const char *pattern)
{
	const char *slash = strrchr(pattern, '/');
	const char *base = slash != NULL ? slash + 1 : pattern;
	size_t len = strlen(base);
	const char *dot = strrchr(base, '.');

	if (len > 6 && strcmp(base + len - 6, ".pb.gz") == 0)
		return (size_t)(base - pattern) + len - 6;
	if (dot == NULL || dot == base || dot[1] == '\0' || strchr(dot, '%') != NULL)
		return strlen(pattern);
	return (size_t)(dot - pattern);
}

int
sn_file_name(const char *pattern, const struct sn_file_words *w, char *out, size_t size)
{
	struct name n = { .out = out, .size = size, .err = size == 0 ? -ENAMETOOLONG : 0 };
	size_t len = strlen(pattern), pid_at = pid_position(pattern);
	/* "-" and folders are nobody's file: they stay what they are, for sn_file_check to refuse. */
	bool add_pid = w->add_pid && !has_pid(pattern) && len > 0 && pattern[len - 1] != '/' &&
		strcmp(pattern, "-") != 0;

	put(&n, "", 0);
	for (size_t i = 0; i <= len; i++) {
		if (add_pid && i == pid_at) {
			put(&n, ".", 1);
			put_number(&n, w->pid);
		}
		if (pattern[i] == '%')
			put_word(&n, pattern[++i], w);
		else if (i < len)
			put(&n, &pattern[i], 1);
	}
	return len == 0 && n.err == 0 ? -EINVAL : n.err;
}

/* ---- files ---- */

/*
 * May something of this name be replaced?  Renaming over /dev/null or /dev/stdout would take them
 * away from everybody, over a link would cut it: only regular files are replaced.
 */
static int
check_target(const char *path)
{
	size_t len = strlen(path);
	struct stat st;

	if (len == 0)
		return -ENOENT;
	if (strcmp(path, "-") == 0)
		return -EINVAL;
	if (path[len - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
		return -EISDIR;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

/* A name beside path that nobody has; short, so that path may be as long as names can be. */
static int
temporary_name(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash + 1 - path) : 0;
	uint64_t number;
	int len;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number)) {
		struct timespec now;		/* early at boot; O_EXCL catches what this repeats */

		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		number = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec << 20 ^ (uint64_t)getpid();
	}
	len = snprintf(out, size, "%.*s.sonde.%016llx", folder, path, (unsigned long long)number);
	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* Not mkstemp: its mode is 0600, and the umask cannot be read without setting it for all threads. */
static int
open_temporary(const char *path, char *out, size_t size)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		int err = temporary_name(path, out, size);
		int fd;

		if (err < 0)
			return err;
		fd = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST && errno != EINTR)
			return -errno;
	}
	return -EEXIST;
}

static int
write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Some file systems have no fsync and say EINVAL or ENOSYS: then the data is where it will be. */
static int
sync_file(int fd)
{
	int status;

	do
		status = fsync(fd);
	while (status < 0 && errno == EINTR);
	return status < 0 && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP ? -errno : 0;
}

/* Write a temporary file beside path; its name in part, or nothing left behind. */
static int
write_temporary(const char *path, const void *data, size_t len, char *part, size_t size)
{
	int fd = open_temporary(path, part, size);
	int err;

	if (fd < 0)
		return fd;
	err = write_all(fd, data, len);
	if (err == 0)
		err = sync_file(fd);
	if (close(fd) < 0 && err == 0)
		err = -errno;
	if (err < 0)
		(void)unlink(part);	/* best effort; err is the news */
	return err;
}

int
sn_file_check(const char *path)
{
	static const char probe[PROBE_BYTES];
	char part[PATH_MAX];
	struct sn_shield shield;
	int err = check_target(path);

	if (err < 0)
		return err;
	sn_shield_raise(&shield);
	err = write_temporary(path, probe, sizeof(probe), part, sizeof(part));
	if (err == 0 && unlink(part) < 0)
		err = -errno;
	sn_shield_lower(&shield);
	return err;
}

int
sn_file_write(const char *path, const void *data, size_t len)
{
	char part[PATH_MAX];
	struct sn_shield shield;
	int err = check_target(path);

	if (err < 0)
		return err;
	sn_shield_raise(&shield);
	err = write_temporary(path, data, len, part, sizeof(part));
	if (err == 0 && rename(part, path) < 0) {
		err = -errno;
		(void)unlink(part);	/* best effort; err is the news */
	}
	sn_shield_lower(&shield);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c - one line to people (see log.h).
 *
 * Memory:   the path of the log file, static.
 * When the log cannot be written: the line is dropped; a log must not stop a program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define LINE_MAX_BYTES 1000

static char log_path[4096];
static int kept = -1;			/* open all the time; -1: opened for each line */

static void
write_line(int fd, const char *line, size_t len)
{
	while (write(fd, line, len) < 0 && errno == EINTR)
		;
}

int
sn_log_open(const char *path)
{
	size_t at;
	int fd;

	log_path[0] = '\0';
	kept = -1;			/* whose table it was in is gone */
	if (path == NULL || *path == '\0')
		return 0;
	/* A relative one is of now: programs change their folder. */
	if (path[0] != '/' && (getcwd(log_path, sizeof(log_path)) == NULL || log_path[0] != '/'))
		log_path[0] = '\0';
	at = strlen(log_path);
	log_path[0] = '\0';
	if (at + 1 + strlen(path) >= sizeof(log_path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	if (at > 0) {
		log_path[0] = '/';
		log_path[at++] = '/';
	}
	strcpy(log_path + at, path);
	return 0;
}

void
sn_log_keep(void)
{
	if (log_path[0] != '\0')
		kept = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

void
sn_log(enum sn_log_to to, const char *fmt, ...)
{
	int saved = errno;
	char line[LINE_MAX_BYTES + 2];
	size_t len = 7;
	va_list ap;
	int n;

	memcpy(line, "sonde: ", 7);
	va_start(ap, fmt);
	n = vsnprintf(line + len, LINE_MAX_BYTES - len, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n < LINE_MAX_BYTES - len ? (size_t)n : LINE_MAX_BYTES - len - 1;
	line[len++] = '\n';

	if (to == SN_LOG_STDERR)
		write_line(STDERR_FILENO, line, len);
	if (kept >= 0) {
		write_line(kept, line, len);
	} else if (log_path[0] != '\0') {
		int fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

		if (fd >= 0) {
			write_line(fd, line, len);
			(void)close(fd);
		}
	}
	errno = saved;
}

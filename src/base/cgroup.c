/* SPDX-License-Identifier: Apache-2.0
 *
 * cgroup.c - the memory limit of our control group, of either version.
 *
 * Runs in:  the collector, once; the tools.
 * Memory:   what is read is freed again.
 * Doubtful: a file that is not there, or says no number, is no limit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cgroup.h"

#define PATH_BYTES 4352
#define UNLIMITED (1ll << 60)		/* version 1 says so by a number near the largest */

static uint64_t
limit_in(const char *path)
{
	struct sn_buf b = { 0 };
	long long n = 0;

	if (sn_buf_read_path(&b, path, 4096) == 0) {
		sn_buf_put(&b, "", 1);
		n = b.err == 0 ? strtoll((const char *)b.data, NULL, 10) : 0;
	}
	sn_buf_free(&b);
	return n > 0 && n < UNLIMITED ? (uint64_t)n : 0;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The group and all above it; in a container its own group is the root of what is mounted. */
static uint64_t
along(const char *mount, const char *group, const char *file)
{
	char path[PATH_BYTES], name[PATH_BYTES / 2];
	uint64_t found = 0;
	char *slash;

	(void)snprintf(name, sizeof(name), "%s", group);
	do {
		slash = strrchr(name, '/');
		if (slash != NULL && slash[1] == '\0')
			*slash = '\0';
		(void)snprintf(path, sizeof(path), "%s%s/%s", mount, name, file);
		found = least(found, limit_in(path));
		slash = strrchr(name, '/');
		if (slash != NULL)
			*slash = '\0';
	} while (slash != NULL);
	return found;
}

/* One line: NUMBER:CONTROLLERS:PATH. */
static uint64_t
of_line(char *line, const char *sys)
{
	char *controllers = strchr(line, ':'), *group, mount[PATH_BYTES / 2], *save = NULL;

	if (controllers == NULL || (group = strchr(++controllers, ':')) == NULL)
		return 0;
	*group++ = '\0';
	if (*controllers == '\0') {
		(void)snprintf(mount, sizeof(mount), "%s/unified", sys);
		return least(along(sys, group, "memory.max"), along(mount, group, "memory.max"));
	}
	for (char *c = strtok_r(controllers, ",", &save); c != NULL; c = strtok_r(NULL, ",", &save))
		if (strcmp(c, "memory") == 0) {
			(void)snprintf(mount, sizeof(mount), "%s/memory", sys);
			return along(mount, group, "memory.limit_in_bytes");
		}
	return 0;
}

uint64_t
sn_cgroup_memory(const char *proc, const char *sys)
{
	struct sn_buf b = { 0 };
	uint64_t found = 0;
	char *save = NULL;

	if (sn_buf_read_path(&b, proc, 64 << 10) == 0) {
		sn_buf_put(&b, "", 1);
		for (char *line = b.err == 0 ? strtok_r((char *)b.data, "\n", &save) : NULL; line != NULL;
		    line = strtok_r(NULL, "\n", &save))
			found = least(found, of_line(line, sys));
	}
	sn_buf_free(&b);
	return found;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * library.c - where libsonde.so.1 and its module lie.
 *
 * Runs in:  the sonde command.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/tools.h"

static bool
is_library(const char *folder, const char *below, char *out, size_t size)
{
	char path[PATH_MAX], real[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s", folder, below) >= (int)sizeof(path) || realpath(path, real) == NULL)
		return false;
	return snprintf(out, size, "%s/" SN_LIBRARY, real) < (int)size && access(out, R_OK) == 0;
}

int
sn_library_find(char *out, size_t size, char *why, size_t why_size)
{
	char exe[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (slash != NULL)
		*slash = '\0';
	if (!is_library(exe, "/../src/.libs", out, size) &&
	    !(strcmp(exe, SN_BINDIR) == 0 && is_library(SN_LIBDIR, "", out, size)) &&
	    !is_library(exe, "/../lib", out, size) && !is_library(SN_LIBDIR, "", out, size)) {
		(void)snprintf(why, why_size, "cannot find " SN_LIBRARY " beside %s nor in " SN_LIBDIR, exe);
		return -ENOENT;
	}
	if (strpbrk(out, " :") != NULL) {
		(void)snprintf(why, why_size, "%s: LD_PRELOAD takes no path with a space or colon; install sonde "
			"elsewhere", out);
		return -EINVAL;
	}
	return 0;
}

int
sn_module_find(const char *library, char *out, size_t size)
{
	static const char *const below[] = { "", "/sonde" };
	const char *slash = strrchr(library, '/');

	for (size_t i = 0; slash != NULL && i < sizeof(below) / sizeof(below[0]); i++)
		if (snprintf(out, size, "%.*s%s/" SN_MODULE, (int)(slash - library), library, below[i]) < (int)size &&
		    access(out, R_OK) == 0)
			return 0;
	if (snprintf(out, size, "%s/" SN_MODULE, SN_PKGLIBDIR) < (int)size && access(out, R_OK) == 0)
		return 0;
	return -ENOENT;
}

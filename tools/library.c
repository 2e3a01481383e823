/* SPDX-License-Identifier: Apache-2.0
 *
 * library.c - where libsonde.so.1 and its module lie.
 *
 * Runs in:  the sonde command.
 */
#include <dlfcn.h>
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
	/* Anything else behind a dollar sign is a name like others to the loader. */
	if (strstr(out, "$LIB") != NULL || strstr(out, "$ORIGIN") != NULL || strstr(out, "$PLATFORM") != NULL ||
	    strstr(out, "${") != NULL) {
		(void)snprintf(why, why_size, "%s: the loader would take a part of this path for a variable; install "
			"sonde elsewhere", out);
		return -EINVAL;
	}
	return 0;
}

/* What this loader makes of a path with $LIB in it: it says so of a file that is there, but is no library. */
static bool
expand(const char *folder, char *out, size_t size)
{
	static const char here[] = "/here";
	char path[PATH_MAX];
	const char *why, *end;

	if (snprintf(path, sizeof(path), "%s%s", folder, here) >= (int)sizeof(path) || dlopen(path, RTLD_LAZY) != NULL)
		return false;
	why = dlerror();
	end = why != NULL && why[0] == '/' ? strstr(why, "/here:") : NULL;
	return end != NULL && snprintf(out, size, "%.*s", (int)(end - why), why) < (int)size;
}

void
sn_library_preload(const char *library, char *out, size_t size)
{
	const char *slash = strrchr(library, '/');
	char folder[PATH_MAX], expanded[PATH_MAX], found[PATH_MAX + 32], a[PATH_MAX], b[PATH_MAX];

	(void)snprintf(out, size, "%s", library);
	if (slash == NULL || strchr(library, '$') != NULL || snprintf(folder, sizeof(folder), "%.*s/sonde/$LIB",
		(int)(slash - library), library) >= (int)sizeof(folder) || !expand(folder, expanded, sizeof(expanded)))
		return;
	(void)snprintf(found, sizeof(found), "%s/" SN_LIBRARY, expanded);
	if (realpath(found, a) != NULL && realpath(library, b) != NULL && strcmp(a, b) == 0 &&
	    strlen(folder) + sizeof("/" SN_LIBRARY) <= size)
		(void)snprintf(out, size, "%s/" SN_LIBRARY, folder);
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

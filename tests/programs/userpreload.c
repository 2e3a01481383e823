/* SPDX-License-Identifier: Apache-2.0
 *
 * userpreload.c - libuserpreload.so: a library that the user preloads; says LD_PRELOAD as it finds it.
 */
#include <stdio.h>
#include <stdlib.h>

static __attribute__((constructor)) void
say(void)
{
	const char *to = getenv("USERPRELOAD_FILE"), *p = getenv("LD_PRELOAD");
	FILE *f = to != NULL ? fopen(to, "w") : NULL;

	if (f != NULL) {
		(void)fprintf(f, "%s\n", p != NULL ? p : "");
		(void)fclose(f);
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * modules.c - libraries that come and go, one in the place of the other: their constructors, lazily bound calls through
 * their PLTs, callbacks through them, their destructors.
 *
 * Usage:    modules LIBRARY...
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static volatile uint64_t sink;

static int
callback(int n)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", n);
	sink += (uint64_t)text[0];
	return n + 1;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		void *h = dlopen(argv[i], RTLD_LAZY | RTLD_LOCAL);
		int (*enter)(int (*)(int), int);

		if (h == NULL) {
			(void)fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		enter = (int (*)(int (*)(int), int))(uintptr_t)dlsym(h, "plug_enter");
		if (enter == NULL)
			return 1;
		sink += (uint64_t)enter(callback, i);
		(void)dlclose(h);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * framehost.c - a program without libgcc_s that opens, for itself alone, a library that needs it and registers call
 * frame information (jitcode.c as a library).  Before and after, it registers some of its own if it finds that it can.
 *
 * Usage:    framehost LIBRARY MODE CPU_MILLISECONDS
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

extern void __register_frame(void *begin) __attribute__((weak));
extern void __deregister_frame(void *begin) __attribute__((weak));

/* A CIE, and the zero that ends the section. */
static unsigned char block[32] __attribute__((aligned(8))) = {
	20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1,
};

int
main(int argc, char **argv)
{
	int (*run)(int, char **);
	void *h, *symbol;
	int status;

	if (argc < 4)
		return 2;
	if (&__register_frame != NULL)
		__register_frame(block);
	h = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	symbol = h != NULL ? dlsym(h, "main") : NULL;
	if (symbol == NULL)
		return 77;
	memcpy(&run, &symbol, sizeof(run));
	status = run(argc - 1, argv + 1);
	/* libgcc_s is there by now, and ends a program that takes back what it was never told of. */
	if (&__deregister_frame != NULL)
		__deregister_frame(block);
	(void)printf("status %d, error %s\n", status, dlerror() != NULL ? "left" : "none");
	return status;
}

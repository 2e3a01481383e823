/* SPDX-License-Identifier: Apache-2.0
 *
 * opener.c - libopener.so: a library that opens others; what it finds depends on its RUNPATH, so on who calls.
 */
#include <dlfcn.h>

void *opener_open(const char *name, int new_namespace);

__attribute__((visibility("default"))) void *
opener_open(const char *name, int new_namespace)
{
	void *handle = new_namespace ? dlmopen(LM_ID_NEWLM, name, RTLD_NOW) : dlopen(name, RTLD_NOW);

	__asm__ volatile("" : "+r"(handle));	/* no tail call: the caller's address must be in this library */
	return handle;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * frames.c - __register_frame and __deregister_frame of libgcc, by which JIT compilers make their code known to the
 * unwinder: the real ones do it, and we take a copy.
 *
 * Runs in:  application threads.
 * Where:    libgcc_s need not be among the libraries that the program began with, nor visible to all: what a plugin
 *           would have found without us is looked for as the loader would.  A program without any may believe that it
 *           has these functions now: then they do nothing, and what they were told is never told to a libgcc_s that
 *           came later, which would abort at a block that it does not know.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"
#include "control/control.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))

typedef void frame_fn(void *begin);

SN_EXPORT void __register_frame(void *begin);
SN_EXPORT void __deregister_frame(void *begin);

enum real { REAL_REGISTER, REAL_DEREGISTER, REAL_COUNT };

static const char *const names[REAL_COUNT] = { "__register_frame", "__deregister_frame" };
static void *functions[REAL_COUNT];

/* What a library that is there already, and what it needs, have under this name. */
static void *
find_in(const char *library, enum real which)
{
	void *handle = library != NULL && *library != '\0' ? dlopen(library, RTLD_LAZY | RTLD_NOLOAD) : NULL;
	void *fn = handle != NULL ? dlsym(handle, names[which]) : NULL;

	if (handle != NULL)
		(void)dlclose(handle);		/* gives the count back */
	return fn != (void *)__register_frame && fn != (void *)__deregister_frame ? fn : NULL;
}

static frame_fn *
real(enum real which, const void *caller)
{
	void *fn = sn_preload_next(&functions[which], names[which]);
	Dl_info info;

	if (fn != NULL)
		return (frame_fn *)fn;
	if (dladdr(caller, &info) != 0)
		fn = find_in(info.dli_fname, which);
	if (fn == NULL)
		fn = find_in("libgcc_s.so.1", which);
	if (fn == NULL)
		fn = find_in("libunwind.so.1", which);
	(void)dlerror();
	return (frame_fn *)fn;
}

void
sn_preload_resolve_frames(void)
{
	for (int i = 0; i < REAL_COUNT; i++)
		if (sn_preload_next(&functions[i], names[i]) == NULL)
			(void)dlerror();
}

void
__register_frame(void *begin)
{
	frame_fn *fn = real(REAL_REGISTER, __builtin_return_address(0));

	if (fn != NULL)
		fn(begin);
	sn_control_frames_registered(begin, fn == NULL);
}

void
__deregister_frame(void *begin)
{
	frame_fn *fn = real(REAL_DEREGISTER, __builtin_return_address(0));

	if (sn_control_frames_leave(begin) && fn != NULL)
		fn(begin);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * interpose.c - the functions of libc that libsonde answers for: each does its line and calls
 * the real one.
 *
 * Runs in:  application threads.
 * Order:    the constructor looks up all real functions first (dlsym would clear an error that the
 *           program has not read yet, and is not signal-safe); another library's constructor may
 *           call one before that: then it is looked up there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/control.h"
#include "hot/find_object.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))

enum real { REAL_PTHREAD_CREATE, REAL_DLOPEN, REAL_DLMOPEN, REAL_DLCLOSE, REAL_COUNT };

static const char *const real_name[REAL_COUNT] = { "pthread_create", "dlopen", "dlmopen", "dlclose" };
static void *real_function[REAL_COUNT];

void *
sn_preload_next(void **cache, const char *name)
{
	void *fn = SN_LOAD_RELAXED(cache);

	if (fn == NULL) {
		fn = dlsym(RTLD_NEXT, name);
		SN_STORE_RELAXED(cache, fn);
	}
	return fn;
}

static void *
real(enum real which)
{
	return sn_preload_next(&real_function[which], real_name[which]);
}

void
sn_preload_resolve(void)
{
	for (int i = 0; i < REAL_COUNT; i++)
		(void)real((enum real)i);
	sn_find_object = (sn_find_object_fn *)dlsym(RTLD_DEFAULT, "_dl_find_object");	/* glibc 2.35 */
	sn_preload_resolve_alone();
	sn_preload_resolve_sealed();
	sn_preload_resolve_ends();
	sn_preload_resolve_signals();
	sn_preload_resolve_waits();
	sn_preload_resolve_exec();
	sn_preload_resolve_gmon();
	sn_preload_resolve_frames();
}

SN_EXPORT int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	sn_create_fn *create = (sn_create_fn *)real(REAL_PTHREAD_CREATE);

	return create != NULL ? sn_control_create_thread(create, thread, attr, fn, arg) : EAGAIN;
}

/* dlopen and dlmopen are in dlopen_ARCH.S, because they must leave by a jump: this gives them where to. */
void *
sn_dlopen_begin(void)
{
	sn_control_modules_changed();
	return real(REAL_DLOPEN);
}

void *
sn_dlmopen_begin(void)
{
	sn_control_modules_changed();
	return real(REAL_DLMOPEN);
}

SN_EXPORT int
dlclose(void *handle)
{
	int (*close_it)(void *) = (int (*)(void *))real(REAL_DLCLOSE);
	void *token = sn_control_modules_leave();
	int err = close_it != NULL ? close_it(handle) : -1;

	sn_control_modules_left(token);
	return err;
}

SN_EXPORT void
_exit(int status)
{
	sn_control_exit();
	for (;;)
		(void)sn_syscall1(SYS_exit_group, status);
}

SN_EXPORT void
_Exit(int status)
{
	_exit(status);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * interpose.c - the functions of libc that libsonde answers for: each does its line and calls
 * the real one.
 *
 * Runs in:  application threads.
 * Order:    another constructor may call these before ours has run: the real function is
 *           looked up at the first call, from any thread (the result is the same for all).
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/control.h"

#define SN_EXPORT __attribute__((visibility("default")))

static void *
real_of(void **cache, const char *name)
{
	void *fn = SN_LOAD_RELAXED(cache);

	if (fn == NULL) {
		fn = dlsym(RTLD_NEXT, name);
		SN_STORE_RELAXED(cache, fn);
	}
	return fn;
}

SN_EXPORT int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static void *cache;
	sn_create_fn *real = (sn_create_fn *)real_of(&cache, "pthread_create");

	return real != NULL ? sn_control_create_thread(real, thread, attr, fn, arg) : EAGAIN;
}

/*
 * dlopen itself is in dlopen_ARCH.S: glibc takes RUNPATH and namespace from the return address,
 * so the wrapper must leave by a jump.  This gives it where to.
 */
__attribute__((visibility("hidden"))) void *sn_dlopen_begin(void);

void *
sn_dlopen_begin(void)
{
	static void *cache;

	sn_control_modules_changed();
	return real_of(&cache, "dlopen");
}

SN_EXPORT int
dlclose(void *handle)
{
	static void *cache;
	int (*real)(void *) = (int (*)(void *))real_of(&cache, "dlclose");
	int err;

	err = real != NULL ? real(handle) : -1;
	sn_control_modules_changed();
	return err;
}

SN_EXPORT int
sigaction(int sig, const struct sigaction *restrict new, struct sigaction *restrict old)
{
	return sn_control_sigaction(sig, new, old);
}

SN_EXPORT __sighandler_t
signal(int sig, __sighandler_t handler)
{
	struct sigaction new = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;

	(void)sigemptyset(&new.sa_mask);
	if (handler == SIG_ERR || sigaddset(&new.sa_mask, sig) < 0) {
		errno = EINVAL;
		return SIG_ERR;
	}
	return sn_control_sigaction(sig, &new, &old) < 0 ? SIG_ERR : old.sa_handler;
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

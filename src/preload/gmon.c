/* SPDX-License-Identifier: Apache-2.0
 *
 * gmon.c - the profiler of libc (gcc -pg, profil): it sets action and timer of SIGPROF by calls that nobody sees, and
 * would count our ticks as its own.
 *
 * Runs in:  application threads; before main and in exit handlers of programs that were built with -pg.
 */
#include <stddef.h>
#include <sys/gmon.h>
#include <unistd.h>

#include "control/control.h"
#include "preload/preload.h"

#define SN_EXPORT __attribute__((visibility("default")))

struct prof;

enum real { REAL_MONSTARTUP, REAL_MONCONTROL, REAL_MCLEANUP, REAL_PROFIL, REAL_SPROFIL, REAL_COUNT };

static const char *const names[REAL_COUNT] = { "__monstartup", "moncontrol", "_mcleanup", "profil", "sprofil" };
static void *functions[REAL_COUNT];

void
sn_preload_resolve_gmon(void)
{
	for (int i = 0; i < REAL_COUNT; i++)
		(void)sn_preload_next(&functions[i], names[i]);
}

static void *
real(enum real which)
{
	return sn_preload_next(&functions[which], names[which]);
}

SN_EXPORT void
__monstartup(unsigned long low, unsigned long high)
{
	uint64_t mask = sn_control_unseen_begin();

	((void (*)(unsigned long, unsigned long))real(REAL_MONSTARTUP))(low, high);
	sn_control_unseen_end(mask);
}

extern __typeof(__monstartup) monstartup SN_EXPORT __attribute__((alias("__monstartup")));

void moncontrol(int mode) SN_EXPORT;

void
moncontrol(int mode)
{
	uint64_t mask = sn_control_unseen_begin();

	((void (*)(int))real(REAL_MONCONTROL))(mode);
	sn_control_unseen_end(mask);
}

SN_EXPORT void
_mcleanup(void)
{
	uint64_t mask = sn_control_unseen_begin();

	((void (*)(void))real(REAL_MCLEANUP))();
	sn_control_unseen_end(mask);
}

SN_EXPORT int
profil(unsigned short *counts, size_t bytes, size_t offset, unsigned scale)
{
	uint64_t mask = sn_control_unseen_begin();
	int (*fn)(unsigned short *, size_t, size_t, unsigned) =
	    (int (*)(unsigned short *, size_t, size_t, unsigned))real(REAL_PROFIL);
	int ret = fn(counts, bytes, offset, scale);

	sn_control_unseen_end(mask);
	return ret;
}

int sprofil(struct prof *regions, int count, struct timeval *period, unsigned flags) SN_EXPORT;

int
sprofil(struct prof *regions, int count, struct timeval *period, unsigned flags)
{
	uint64_t mask = sn_control_unseen_begin();
	int ret = ((int (*)(struct prof *, int, struct timeval *, unsigned))real(REAL_SPROFIL))(regions, count, period,
		flags);

	sn_control_unseen_end(mask);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * ends.c - abort(): it runs no exit handler, so the file that was asked for is written before.
 *
 * Runs in:  any application thread, also in a signal handler.  Owns nothing.
 * Why a flush, not an end: a handler of SIGABRT may jump away, and the program goes on.  An abort of libc's own
 *           (assert, fortify, a damaged heap) does not come by here.
 */
#include <stdlib.h>

#include "base/syscall.h"
#include "control/control.h"
#include "preload/preload.h"

static void *real_abort;

void
sn_preload_resolve_ends(void)
{
	(void)sn_preload_next(&real_abort, "abort");
}

__attribute__((visibility("default"))) void
abort(void)
{
	void (*fn)(void) = (void (*)(void))sn_preload_next(&real_abort, "abort");

	(void)sn_control_flush_for_death();
	if (fn != NULL)
		fn();
	for (;;)
		(void)sn_syscall1(SYS_exit_group, 127);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * preload.c - the constructor and the exit hook of libsonde.so.
 *
 * Runs in:  the program's first thread, before main and after exit().
 */
#include <errno.h>

#include "control/control.h"
#include "control/gperf.h"
#include "preload/preload.h"

__attribute__((constructor)) static void
begin(int argc, char **argv, char **envp)
{
	int saved = errno;

	(void)argc;
	sn_preload_resolve();
	sn_api_keep_environment(envp);
	sn_gperf_read_environment(envp);
	sn_control_start(argv, envp);
	errno = saved;
}

__attribute__((destructor)) static void
end(void)
{
	sn_gperf_exit();
	sn_control_exit();
}

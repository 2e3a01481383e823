/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - the collector as a module of the program: its entry, and what its loop must know.
 *
 * Runs in:  the collector's thread.
 */
#ifndef SN_SERVICE_INSIDE_H
#define SN_SERVICE_INSIDE_H

#include <stdbool.h>

#include "segment/host.h"

/* Serve until host->stop; called on a thread that is ready for it.  0 or negative errno. */
int sn_service_run_inside(struct sn_host *host);

/*
 * Are we the only thread left?  (The zombie of a main thread that called pthread_exit does not count.)  Threads that
 * were there before a late profiler_start() are not seen off by libsonde.so: then the loop must end by itself.
 */
bool sn_inside_is_alone(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * service.h - the collector's event loop: who asks for a segment, drain ticks, ends, files.
 *
 * Runs in:  the `sonde` process.  One thread, one libevent loop; each profile is symbolized and
 *           written in a child of its own, so that neither a large nor a damaged file can hold up
 *           or take down the rest.
 */
#ifndef SN_SERVICE_SERVICE_H
#define SN_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/options.h"
#include "segment/host.h"

struct sn_service;

/* What became of the command and its profile. */
struct sn_service_result {
	int wait_status;	/* as of waitpid */
	bool profiled;		/* the command itself was sampled */
	int error;		/* 0, or why its profile could not be written */
	uint64_t samples, lost;
	double cpu_s;
	char file[4096];	/* of the command's profile */
	uint32_t other_files;	/* written for programs that it started */
	int other_error;	/* first error in writing those */
	uint32_t still_running;	/* programs that are profiled on in the background */
	bool is_background;	/* we are the process that stays with them: say nothing more */
};

#define SN_WHY_MAX 400

/*
 * Opens the socket that the tree's processes ask, and the TCP address of SONDE_HTTP.  file: pattern
 * (deliver/file.h), NULL for none.  host: NULL outside.  NULL: *err is negative, why has a line for people.
 */
struct sn_service *sn_service_new(const struct sn_options *o, const char *file, struct sn_host *host,
	char why[SN_WHY_MAX], int *err);
void sn_service_free(struct sn_service *s);

/* Name of the abstract socket, for SONDE_COLLECTOR. */
const char *sn_service_socket(const struct sn_service *s);

/*
 * Serve until the command (a child of ours, just started) has ended and all profiles are written.
 * signal_fd: a signalfd with SIGCHLD and the signals to pass on to the command; ours from now on.
 * Programs that outlive the command are left to a copy of this process in the background.
 */
int sn_service_run(struct sn_service *s, pid_t command, int signal_fd, struct sn_service_result *result);

#endif

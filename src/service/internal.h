/* SPDX-License-Identifier: Apache-2.0
 *
 * internal.h - what the files of service/ share.
 */
#ifndef SN_SERVICE_INTERNAL_H
#define SN_SERVICE_INTERNAL_H

#include <event2/event.h>

#include "collect/process.h"
#include "service/service.h"

/* A process of the tree and the events that belong to it. */
struct sn_guest {
	struct sn_service *service;
	struct sn_process *process;
	int pidfd;			/* -1 where the kernel has none: looked at every second */
	struct event *ended;
	uint64_t own_cpu_ns;		/* what we spent on it */
	struct sn_guest *next;
};

/* A profile on its way into a file. */
struct sn_job {
	struct sn_process *process;
	enum sn_symbolize how;		/* lowered when a child dies of it */
	char file[4096];
	struct sn_job *next;
};

/* A child that writes some of them, one after the other: what it has looked up once it knows. */
struct sn_worker {
	pid_t pid;			/* 0: idle */
	int result_fd;			/* the child writes one int a job: 0 or -errno */
	struct sn_job *jobs;
};
#define SN_WORKERS_MAX 2
#define SN_JOBS_MAX 64			/* of one worker */

struct sn_service {
	struct sn_options options;
	const char *file;
	struct event_base *base;
	int listener;
	char socket[64];
	struct event *accepting, *ticking, *signalled;
	int signal_fd;
	struct sn_images images;
	struct sn_guest *guests;
	struct sn_job *waiting;
	uint32_t waiting_count;
	uint64_t waiting_since_ns;
	struct sn_worker workers[SN_WORKERS_MAX];
	uint32_t connections;
	uint64_t next_scan_ns, tick_ns;

	pid_t command;
	bool command_ended;
	uint64_t command_ended_ns;
	struct sn_service_result *result;
};

/* welcome.c */
int sn_welcome_open(struct sn_service *s);

/* service.c */
struct sn_guest *sn_guest_find(struct sn_service *s, pid_t pid);
struct sn_guest *sn_guest_by_cookie(struct sn_service *s, uint64_t cookie);
struct sn_guest *sn_guest_new(struct sn_service *s, pid_t pid);

/* worker.c */

/* Write the profile of a process that has ended; takes the process over. */
void sn_worker_add(struct sn_service *s, struct sn_process *p);
/* Start children for what waits, if it has waited long enough to make one worth while. */
void sn_workers_start(struct sn_service *s);
/* A child has changed state: was it a worker? */
void sn_workers_reap(struct sn_service *s);
/* Is a profile waiting or being written? */
bool sn_workers_busy(const struct sn_service *s);

#endif

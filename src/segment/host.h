/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h - what the collector inside gets from the program that it runs in, and its one entry.
 *
 * Runs in:  the struct is made by control/ in the program, read by the module libsonde-collect.so on
 *           the collector's thread.  Outside there is no host: the collector is given NULL.
 * Memory:   the struct, and all that it points to, is the program's and lasts as long as the process.
 */
#ifndef SN_SEGMENT_HOST_H
#define SN_SEGMENT_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"
#include "segment/layout.h"

/* Equal in libsonde.so and its module, or the module is not used. */
#define SN_HOST_STAMP	"0.1.0+11"

/* What the program wants of the collector's thread; written by application threads (release). */
enum sn_host_stop {
	SN_HOST_RUN,
	SN_HOST_PAUSE,		/* return at once; what was sampled is kept for the next run (unshare, setns) */
	SN_HOST_END,		/* write the file that was asked for, then return */
};

/* Why the file is wanted though the collector goes on. */
enum sn_host_flush {
	SN_FLUSH_FILE,		/* exec comes, and may fail */
	SN_FLUSH_DYING,		/* as far as we know the process is about to die: its socket goes, too */
};

struct sn_host {
	uint32_t bytes;				/* sizeof(struct sn_host) of the program */
	char stamp[32];
	const struct sn_segment *segment;	/* ring_chunk[] and shared->slots_ready grow */
	struct sn_options options;		/* strings live as long as the process */
	uint32_t is_late;			/* started by a call: what the process used before is in no profile */
	uint32_t is_forked;			/* the process is a child of one that has files by the same pattern */
	char program[4096];			/* path of libsonde.so's `sonde` command, "" when there is none */

	/* Calls back into the program: raw system calls only, any thread. */
	int (*arm)(int32_t tid);		/* begin to sample a thread of this process that has no slot */
	void (*set_sampling)(bool on);		/* arm, or disarm, all threads that have a slot */
	void (*recheck)(void);			/* is the program's handler in the place of ours? */
	void (*set_tables)(const uint8_t *base, uint32_t bytes);	/* the store of unwind tables; NULL: no more */
	void (*end)(void);			/* application threads, at exit: tell the collector, wait */

	uint32_t stop;				/* enum sn_host_stop */
	uint32_t flush_asked;			/* so many times (release); then it is nudged */
	uint32_t flush_how;			/* enum sn_host_flush, of the newest */
	uint64_t image;				/* one number for as long as this image runs */

	/* Written by the collector's thread. */
	uint32_t ready;				/* 1: serving (release); 2: it has returned.  A futex word. */
	uint32_t flush_done;			/* of flush_asked: files are there, or cannot be; a futex word */
	int32_t error;				/* why it returned, 0 or negative errno */
	char complaint[400];			/* … a line for people, "" when there is none */
	char collector[64];			/* the abstract socket that processes of the tree and API calls ask */
	void *kept;				/* the module's, between SN_HOST_PAUSE and the next run */
};

/*
 * Run the collector until host->stop, on a thread that blocks all signals.  Takes an own descriptor
 * table and own root and working folder first, drops capabilities.  0 or negative errno.
 */
typedef int sn_collector_fn(struct sn_host *host);
#define SN_COLLECTOR_ENTRY	"sn_collector_run"
#define SN_COLLECTOR_STAMP	"sn_collector_stamp"	/* const char[]: SN_HOST_STAMP of the module */
int sn_collector_run(struct sn_host *host);
extern const char sn_collector_stamp[];

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake.h - how a process of the tree gets its segment from the collector.
 *
 * One SOCK_SEQPACKET exchange on the abstract socket named by SONDE_COLLECTOR: hello, then
 * welcome with the memfd as SCM_RIGHTS.  Who asks is known by SO_PEERCRED, not by what it says.
 */
#ifndef SN_SEGMENT_HANDSHAKE_H
#define SN_SEGMENT_HANDSHAKE_H

#include <stdint.h>

#define SN_HELLO_MAGIC	0x6c6c6568u

enum sn_hello_kind {
	SN_HELLO_EXEC = 1,	/* a program has started: the constructor asks */
	SN_HELLO_MORE = 3,	/* the same descriptor again, to map more rings; cookie: of the segment */
	SN_HELLO_FORK = 2,	/* a child was forked: its modules are those of its parent */
	SN_HELLO_NUDGE = 4,	/* look at your wishes now; nothing is answered */
	SN_HELLO_ASK = 5,	/* a call of the API: struct sn_ask follows in the same message */
};

struct sn_hello {
	uint32_t magic;
	uint32_t version;	/* SN_SEGMENT_VERSION of the library */
	uint32_t kind;		/* enum sn_hello_kind */
	uint32_t max_slots;	/* at most so many (address space is short); 0: as the collector likes */
	uint64_t cookie;	/* SN_HELLO_FORK: of the parent's segment; SN_HELLO_MORE: of the own one */
};

/* The calls of the API that the collector answers; one message each way. */
enum sn_ask_op {
	SN_ASK_STOP = 1,	/* stop sampling, write the file */
	SN_ASK_FLUSH = 2,	/* write the file, go on */
	SN_ASK_WRITE = 3,	/* text: kind.  Answer: a memfd with the gzip'd profile, its length in bytes */
	SN_ASK_SERVE = 4,	/* text: address.  Answer: the port in bytes */
	SN_ASK_MARK = 5,	/* a span begins now; what is idle is sampled.  -EALREADY: one has begun */
	SN_ASK_SPAN = 6,	/* the profile of the span up to now, as SN_ASK_WRITE; it goes on */
	SN_ASK_UNMARK = 7,	/* the span is over, and its rows are not needed any more */
	SN_ASK_TOGGLE = 8,	/* begin a span; or end it: its profile goes into the file, with .0, .1 … appended */
};

struct sn_ask {
	uint32_t op;
	char text[256];
};

struct sn_welcome {
	uint32_t magic;
	int32_t status;		/* 0 and a descriptor, or a negative errno and none */
	uint64_t bytes;		/* of the segment; for SN_HELLO_ASK see there */
	uint64_t base_bytes;	/* of what comes before the rings */
};

#endif

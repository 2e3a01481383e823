/* SPDX-License-Identifier: Apache-2.0
 *
 * connect.c - get a segment from the collector.
 *
 * Runs in:  constructor and, in a forked child, the handler: raw system calls only (no cancellation point, no
 *           allocation, no lock that a vanished thread may hold).
 * Memory:   the mapping belongs to the process until it ends; it is not inherited by fork.
 * When the collector does not answer within a second (a forked child: 100 ms), the program runs unprofiled.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "control/control.h"
#include "control/exchange.h"
#include "control/internal.h"

#define WAIT_NS		SN_NS_PER_SEC
#define TABLES_LEAST	(1u << 20)
#define WAIT_IN_HANDLER_NS (SN_NS_PER_SEC / 10)	/* a forked child asks from its handler: it must go on */

/* Ask, and insist on a descriptor, which the caller closes. */
static long
ask(const char *name, const struct sn_hello *hello, struct sn_offer *o)
{
	uint64_t wait_ns = hello->kind == SN_HELLO_EXEC ? WAIT_NS : WAIT_IN_HANDLER_NS;
	long err = sn_exchange(name, hello, sizeof(*hello), wait_ns, o);

	return err == 0 && o->fd < 0 ? -EPROTO : err;
}

static void
drop_offer(const struct sn_offer *o)
{
	if (o->fd >= 0)
		(void)sn_syscall1(SYS_close, o->fd);
	if (o->tables_fd >= 0)
		(void)sn_syscall1(SYS_close, o->tables_fd);
}

void
sn_nudge(const char *name)
{
	struct sn_hello hello = {
		.magic = SN_HELLO_MAGIC, .version = SN_SEGMENT_VERSION, .kind = SN_HELLO_NUDGE,
	};

	sn_tell(name, &hello, sizeof(hello));	/* when that fails: it looks by itself, ten times a second */
}

static long
map_shared(int fd, int prot, uint64_t offset, uint64_t bytes)
{
	long at = sn_syscall6(SYS_mmap, 0, (long)bytes, prot, MAP_SHARED | MAP_NORESERVE, fd, (long)offset);

	if (at > 0 || at < -4095) {
		(void)sn_syscall3(SYS_madvise, at, bytes, MADV_DONTFORK);
		(void)sn_syscall3(SYS_madvise, at, bytes, MADV_DONTDUMP);
	}
	return at;
}

/* Map a part of the segment.  Negative errno, or its address. */
static long
map_part(int fd, uint64_t offset, uint64_t bytes)
{
	if (bytes > sn_memory_room(RLIMIT_AS))
		return -ENOMEM;
	return map_shared(fd, PROT_READ | PROT_WRITE, offset, bytes);
}

static bool
is_error(long at)
{
	return at < 0 && at >= -4095;
}

static int
map_chunk(int fd, struct sn_segment *s, uint32_t n)
{
	uint64_t bytes, offset = sn_segment_chunk(s, n, &bytes);
	long at = bytes > 0 ? map_part(fd, offset, bytes) : -ENOSPC;

	if (is_error(at))
		return (int)at;
	s->ring_chunk[n] = (uint8_t *)at;
	return 0;
}

/*
 * The store, to read: all that it may ever become, for it grows behind what is mapped.  Where address space is short
 * a part of it, or nothing: then stacks are copied.
 */
static void
map_tables(int fd, struct sn_segment *s)
{
	uint64_t room = sn_memory_room(RLIMIT_AS), bytes = SN_TABLES_WINDOW;
	long at;

	if (fd < 0 || s->header->options.way == SN_WAY_COPY || s->header->options.way == SN_WAY_FP)
		return;
	while (bytes > room && bytes > TABLES_LEAST)
		bytes /= 2;
	at = bytes > room ? -ENOMEM : map_shared(fd, PROT_READ, 0, bytes);
	if (is_error(at))
		return;
	s->tables_bytes = (uint32_t)bytes;
	s->tables = (const uint8_t *)at;
}

static int
map_segment(const struct sn_offer *o, struct sn_segment *out)
{
	uint64_t bytes = o->welcome.base_bytes;
	long at = map_part(o->fd, 0, bytes);
	struct sn_segment s;		/* until it is whole, what was there stays */
	int err;

	if (is_error(at))
		return (int)at;
	err = sn_segment_open(&s, (void *)at, bytes);
	if (err == 0)
		err = map_chunk(o->fd, &s, 0);
	if (err < 0) {
		(void)sn_syscall2(SYS_munmap, at, bytes);
		return err;
	}
	sn_segment_bequeath(&s);
	map_tables(o->tables_fd, &s);
	*out = s;
	return 0;
}

void
sn_segment_bequeath(struct sn_segment *s)
{
	/* Where pages are larger than ours the others would go along: then nothing does. */
	if (sn_syscall3(SYS_madvise, s->kin, SN_PAGE, MADV_DOFORK) < 0)
		s->kin = NULL;
}

static uint32_t
fewer(uint32_t slots)
{
	switch (slots) {
	case 0:
		return SN_SLOTS_FEW;
	case SN_SLOTS_FEW:
		return 64;
	case 64:
		return 4;
	default:
		return 1;
	}
}

int
sn_connect(const char *name, uint32_t kind, uint64_t parent_cookie, struct sn_segment *out)
{
	struct sn_hello hello = {
		.magic = SN_HELLO_MAGIC,
		.version = SN_SEGMENT_VERSION,
		.kind = kind,
		.cookie = parent_cookie,
	};
	long err = 0;

	/* Where address space (ulimit -v) or the size of files (ulimit -f) is short, fewer slots do. */
	for (uint32_t slots = 0;; slots = fewer(slots)) {
		struct sn_offer o;

		hello.max_slots = slots;
		err = ask(name, &hello, &o);
		if (err == 0)
			err = map_segment(&o, out);
		drop_offer(&o);
		if ((err != -ENOMEM && err != -EFBIG) || slots == 1)
			return (int)err;
	}
}

int
sn_connect_more(const char *name, struct sn_segment *s)
{
	struct sn_hello hello = {
		.magic = SN_HELLO_MAGIC,
		.version = SN_SEGMENT_VERSION,
		.kind = SN_HELLO_MORE,
		.cookie = s->cookie,
	};
	uint32_t ready = SN_LOAD_RELAXED(&s->shared->slots_ready);
	struct sn_offer o;
	long err;

	if (ready >= s->nslots)
		return -ENOSPC;
	err = ask(name, &hello, &o);
	if (err == 0)
		err = map_chunk(o.fd, s, sn_chunk_of(ready));
	drop_offer(&o);
	if (err == 0)
		SN_STORE_RELEASE(&s->shared->slots_ready, sn_segment_ready_after(s, ready));
	return (int)err;
}

/* How much of the text was there, at most room; negative errno. */
static long
copy_maps(uint8_t *to, uint64_t room)
{
	uint64_t got = 0;
	long fd = sn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	long n = 0;

	if (fd < 0)
		return fd;
	while (got < room && (n = sn_syscall3(SYS_read, fd, to + got, room - got)) > 0)
		got += (uint64_t)n;
	(void)sn_syscall1(SYS_close, fd);
	return n < 0 ? n : (long)got;
}

int
sn_snapshot_maps(const struct sn_segment *s, bool at_exit)
{
	long got = copy_maps(s->maps + (at_exit ? s->maps_bytes : 0), s->maps_bytes);

	if (got < 0)
		return (int)got;
	/* A text that was cut ends in half a line; the reader drops it. */
	SN_STORE_RELEASE(at_exit ? &s->shared->maps_exit_len : &s->shared->maps_start_len, (uint64_t)got);
	return 0;
}

void
sn_snapshot_leave(const struct sn_segment *s, uint32_t generation)
{
	uint32_t n = SN_ADD_RELAXED(&s->shared->next_leave, 1) % SN_LEAVES, idle = 0;
	struct sn_segment_leave *l = &s->shared->leaves[n];
	long got;

	if (!SN_CAS_ACQ_REL(&l->writing, &idle, 1))
		return;				/* eight threads at it: one has to do without */
	(void)__atomic_fetch_add(&l->turn, 1, __ATOMIC_SEQ_CST);
	got = copy_maps(sn_segment_leave_text(s, n), SN_LEAVE_BYTES);
	l->generation = generation;
	l->len = got > 0 && got < (long)SN_LEAVE_BYTES ? (uint32_t)got : 0;
	(void)__atomic_fetch_add(&l->turn, 1, __ATOMIC_SEQ_CST);
	SN_STORE_RELEASE(&l->writing, 0u);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.c - a segment of the process's own, for the collector inside.
 *
 * Runs in:  constructor, profiler_start(), and (rings) whatever thread makes a thread.  Raw system calls.
 * Memory:   shared anonymous mappings, not inherited by fork, not in core dumps: the part before the rings, then
 *           rings in chunks as threads need them.  Kept until the process ends.
 * When full: short address space (ulimit -v) gets fewer slots; threads without one go unsampled, and are counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "control/internal.h"

uint64_t
sn_memory_room(int limit)
{
	struct rlimit rl;
	char text[128];
	uint64_t used = 0;
	const char *s = text;
	long fd, n = 0;

	if (sn_syscall4(SYS_prlimit64, 0, limit, NULL, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	fd = sn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		n = sn_syscall3(SYS_read, fd, text, sizeof(text) - 1);
		(void)sn_syscall1(SYS_close, fd);
	}
	text[n > 0 ? n : 0] = '\0';
	/* Pages: all of them first, data and stack sixth. */
	for (int field = 1; limit == RLIMIT_DATA && field < 6 && s != NULL; field++)
		s = strchr(s + 1, ' ');
	if (s != NULL)
		used = strtoull(s, NULL, 10) * SN_PAGE;
	return rl.rlim_cur > used ? (rl.rlim_cur - used) / 8 : 0;
}

static void *
map(uint64_t bytes)
{
	long at;

	if (bytes > sn_memory_room(RLIMIT_AS))
		return NULL;
	at = sn_syscall6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at < 0 && at >= -4095)
		return NULL;
	/* A child that could write here would answer for its parent's threads. */
	if (sn_syscall3(SYS_madvise, at, bytes, MADV_DONTFORK) < 0) {
		(void)sn_syscall2(SYS_munmap, at, bytes);
		return NULL;
	}
	(void)sn_syscall3(SYS_madvise, at, bytes, MADV_DONTDUMP);
	return (void *)at;
}

uint64_t
sn_own_stat(unsigned wanted)
{
	char text[1024];
	long fd = sn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
	const char *s;
	long n;

	if (fd < 0)
		return 0;
	n = sn_syscall3(SYS_read, fd, text, sizeof(text) - 1);
	(void)sn_syscall1(SYS_close, fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	s = strrchr(text, ')');		/* field 2 may hold anything */
	for (unsigned field = 2; s != NULL && field < wanted; field++)
		s = strchr(s + 1, ' ');
	return s != NULL ? strtoull(s, NULL, 10) : 0;
}

static void
fill_header(struct sn_segment_header *h)
{
	long n;

	h->pid = (int32_t)sn_syscall0(SYS_getpid);
	h->start_time = sn_own_stat(22);	/* tells a reused pid */
	h->mono_ns = sn_clock_mono_ns();
	h->real_ns = sn_clock_ns(CLOCK_REALTIME);
	n = sn_syscall4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", h->exe, sizeof(h->exe) - 1);
	h->exe[n > 0 ? n : 0] = '\0';
}

static uint32_t
new_cookie(void)
{
	uint32_t cookie = 0;

	while (cookie == 0)
		if (sn_syscall3(SYS_getrandom, &cookie, sizeof(cookie), GRND_NONBLOCK) < 0)
			cookie = (uint32_t)sn_clock_mono_ns() | 1;
	return cookie;
}

static int
map_chunk(struct sn_segment *s, uint32_t n)
{
	uint64_t bytes;
	void *at;

	(void)sn_segment_chunk(s, n, &bytes);
	at = bytes > 0 ? map(bytes) : NULL;
	if (at == NULL)
		return -ENOMEM;
	s->ring_chunk[n] = at;
	return 0;
}

static int
make(const struct sn_options *o, uint32_t nslots, struct sn_segment *s)
{
	uint32_t ring_bytes = o->unwind == SN_UNWIND_LIBUNWIND ? SN_RING_INSIDE : SN_RING_FRAMES;
	uint64_t rings = sn_segment_size(nslots, ring_bytes) - (uint64_t)nslots * ring_bytes;
	struct sn_segment_options so;
	void *base = map(rings);
	int err;

	if (base == NULL)
		return -ENOMEM;
	sn_segment_options_from(&so, o);
	sn_segment_format(base, nslots, ring_bytes, new_cookie(), &so);
	fill_header(base);
	err = sn_segment_open(s, base, rings);
	if (err == 0)
		err = map_chunk(s, 0);
	if (err < 0)
		(void)sn_syscall2(SYS_munmap, base, rings);
	else
		sn_segment_bequeath(s);
	return err;
}

int
sn_memory_segment(const struct sn_options *o, struct sn_segment *s)
{
	static const uint32_t sizes[] = { SN_SLOTS_DEFAULT, SN_SLOTS_FEW, 64, 4, 1 };
	int err = -ENOMEM;

	for (size_t i = 0; err == -ENOMEM && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		err = make(o, sizes[i], s);
	return err;
}

int
sn_memory_more(struct sn_segment *s)
{
	uint32_t ready = SN_LOAD_RELAXED(&s->shared->slots_ready);
	int err;

	if (ready >= s->nslots)
		return -ENOSPC;
	err = map_chunk(s, sn_chunk_of(ready));
	if (err == 0)
		SN_STORE_RELEASE(&s->shared->slots_ready, sn_segment_ready_after(s, ready));
	return err;
}

void
sn_memory_release(struct sn_segment *s)
{
	for (uint32_t n = 0; n < SN_CHUNKS_MAX; n++) {
		uint64_t bytes;

		(void)sn_segment_chunk(s, n, &bytes);
		if (s->ring_chunk[n] != NULL)
			(void)sn_syscall2(SYS_munmap, s->ring_chunk[n], bytes);
	}
	(void)sn_syscall2(SYS_munmap, s->base, s->bytes);
	memset(s, 0, sizeof(*s));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * threads.c - the threads that were there before us, and what the collector inside wants of all.
 *
 * Runs in:  the constructor; sn_threads_arm and sn_threads_set_sampling on any thread.
 * Memory:   /proc/self/task is read with getdents64, without opendir: no allocation before the
 *           program's own allocator is ready.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "source/source.h"

struct dirent64_head {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static pid_t
parse_tid(const char *s)
{
	int64_t v = 0;

	for (; *s >= '0' && *s <= '9' && v < INT32_MAX; s++)
		v = v * 10 + (*s - '0');
	return *s == '\0' && v < INT32_MAX ? (pid_t)v : 0;
}

static void
adopt(const struct sn_live_state *live, pid_t tid)
{
	uint32_t slot = sn_slot_claim(&live->segment);

	if (slot != SN_NO_SLOT)
		(void)sn_slot_begin(live, slot, tid);		/* refused: counted there */
}

void
sn_threads_adopt(const struct sn_live_state *live, pid_t self)
{
	char buf[4096] __attribute__((aligned(8)));
	long fd = sn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return;
	while ((n = sn_syscall3(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent64_head *d = (const void *)(buf + at);
			pid_t tid = parse_tid(d->name);

			if (tid > 0 && tid != self)
				adopt(live, tid);
			at += d->reclen;
		}
	}
	(void)sn_syscall1(SYS_close, fd);
}

int
sn_threads_arm(const struct sn_live_state *live, pid_t tid)
{
	return sn_slot_adopt(live, tid);
}

void
sn_threads_set_sampling(struct sn_live_state *live, bool on)
{
	SN_STORE_RELEASE(&live->segment.wishes->sampling, on ? 1u : 0u);
	sn_sampling_obey(live);
}

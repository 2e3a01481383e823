/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.c - the module's entry: make the thread one that can do the program no harm, then serve.
 *
 * Runs in:  the collector's thread, in a name space of its own; the destructor in a thread that exits.
 * Why here: descriptors, working folder, capabilities and privileges are the kernel thread's, not the
 *           process's; each is given up before the first file is opened.
 * When it fails: descriptors that cannot be parted from the program's end it, with that errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <locale.h>
#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "service/inside.h"

#define SN_EXPORT __attribute__((visibility("default")))
#define FDS_MAX (1u << 20)

SN_EXPORT const char sn_collector_stamp[] = SN_HOST_STAMP;

static struct sn_host *served;

/*
 * libdw's constructor opens libdebuginfod, and with it curl and a TLS library: nothing in a program goes to the
 * network for us, so nothing is there to be opened.  Found before libc's, because the module is
 * first in its name space.
 */
SN_EXPORT void *dlopen(const char *file, int mode);

SN_EXPORT void *
dlopen(const char *file, int mode)
{
	(void)file;
	(void)mode;
	return NULL;
}

/* A kernel before 5.9 has no close_range: one by one. */
static int
close_all(void)
{
	struct rlimit rl;
	rlim_t end = 1024;

	if (unshare(CLONE_FILES) < 0)
		return -errno;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max > end)
		end = rl.rlim_max;
	for (unsigned fd = 0; fd < (end < FDS_MAX ? end : FDS_MAX); fd++)
		(void)close((int)fd);
	return 0;
}

/* An empty table of our own: nothing of the program's is held open, nothing of ours is seen there. */
static int
part_descriptors(void)
{
	int err = 0, fd;

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
	if (syscall(SYS_close_range, 0, ~0u, 1u << 1 /* CLOSE_RANGE_UNSHARE */) < 0)
		err = close_all();
	if (err < 0)
		return err;
	fd = open("/dev/null", O_RDWR);		/* 0, 1 and 2: what writes there by mistake harms nobody */
	if (fd < 0)
		fd = eventfd(0, 0);
	for (int to = 0; to <= 2 && fd >= 0; to++)
		if (to != fd)
			(void)dup2(fd, to);
	return 0;
}

/* All capabilities but two, which let this thread follow the program's setuid() and setgid(): see control/ids.c. */
static void
drop_privileges(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct has[2] = { 0 }, kept[2] = { 0 };

	(void)syscall(SYS_capget, &head, has);
	kept[0].effective = has[0].effective & (1u << CAP_SETUID | 1u << CAP_SETGID);
	kept[0].permitted = has[0].permitted & (1u << CAP_SETUID | 1u << CAP_SETGID);
	(void)syscall(SYS_capset, &head, kept);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* exit(): the module's destructors come before those of its libraries; no thread may be in them by then. */
__attribute__((destructor)) static void
end(void)
{
	if (served != NULL)
		served->end();		/* which knows whether this is our process at all */
}

SN_EXPORT int
sn_collector_run(struct sn_host *host)
{
	int err;

	/* A thread that another libc made has no tables for isalpha() and its like. */
	(void)uselocale(LC_GLOBAL_LOCALE);
	if (host->bytes != sizeof(*host) || memcmp(host->stamp, SN_HOST_STAMP, sizeof(SN_HOST_STAMP)) != 0)
		return -EPROTO;
	(void)mallopt(M_ARENA_MAX, 1);		/* one thread at a time: no 64 MiB of addresses for another arena */
	err = part_descriptors();
	if (err < 0)
		return err;
	(void)unshare(CLONE_FS);		/* refused: we never change the working folder anyway */
	drop_privileges();
	(void)sn_log_open(host->options.log);
	sn_log_keep();
	served = host;
	return sn_service_run_inside(host);
}

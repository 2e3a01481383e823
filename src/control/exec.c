/* SPDX-License-Identifier: Apache-2.0
 *
 * exec.c - a new image is about to run: it must find our signal as the program believes it to be.
 *
 * Runs in:  application threads, children of fork and vfork: raw system calls.  A vfork child has a mask and actions
 *           of its own, and writes no memory that its parent has.
 * Why:      a mask and SIG_IGN are inherited, handlers are not.  Timers die with the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/internal.h"
#include "hot/hot.h"

/* Not a vfork child, which has our memory but neither our threads nor our events. */
static bool
is_sampled(const struct sn_live_state *live)
{
	return live != NULL && live->segment.shared->pid_inside == (uint64_t)sn_syscall0(SYS_getpid);
}

/* Who searches PATH by itself asks for many files that are not there: this image goes on. */
static bool
is_missing(const char *path)
{
	long err = path != NULL ? sn_syscall3(SYS_faccessat, AT_FDCWD, path, F_OK) : 0;

	return err == -ENOENT || err == -ENOTDIR;
}

/* This image ends here: its file is written, and no late signal may meet the next one. */
static void
part(struct sn_exec *e, const char *path)
{
	struct sn_live_state *live = sn_live();
	int saved = errno;

	if (!is_sampled(live))
		return;
	if (!is_missing(path))
		(void)sn_control_flush_for_exec();	/* logged by the collector */
	sn_engine_before_exec(live, &e->engine);
	e->parted = true;
	errno = saved;
}

void
sn_control_exec_begin(struct sn_exec *e, const char *path, bool is_spawn)
{
	uint64_t mask;

	*e = (struct sn_exec){ 0 };
	if (!is_spawn && !sn_control_is_sealed())
		part(e, path);
	if (SN_LOAD_ACQUIRE(&sn_own_signal) == 0 || sn_control_is_sealed())
		return;
	if (sn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &e->mask, sizeof(e->mask)) == 0) {
		mask = sn_mask_to_program(e->mask);
		e->masked = mask != e->mask &&
		    sn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask)) == 0;
	}
	if (sn_foreign_action()->sa_handler == SIG_IGN && sn_signals_is_ours()) {
		e->ignored = true;
		sn_signals_ignore();
	}
}

void
sn_control_exec_failed(struct sn_exec *e)
{
	int saved = errno;

	if (e->parted)
		sn_engine_exec_failed(sn_control_state(), &e->engine);
	if (e->ignored)
		sn_signals_heed();
	if (e->masked)
		(void)sn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &e->mask, NULL, sizeof(e->mask));
	errno = saved;
}

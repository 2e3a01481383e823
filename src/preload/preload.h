/* SPDX-License-Identifier: Apache-2.0
 *
 * preload.h - what the files of preload/ share.
 */
#ifndef SN_PRELOAD_PRELOAD_H
#define SN_PRELOAD_PRELOAD_H

/* Look up every function that we answer for. */
void sn_preload_resolve(void);

/* The next definition of a name after ours; found once. */
void *sn_preload_next(void **cache, const char *name);
void sn_preload_resolve_alone(void);
void sn_preload_resolve_sealed(void);
void sn_preload_resolve_ends(void);
void sn_preload_resolve_signals(void);
void sn_preload_resolve_waits(void);
void sn_preload_resolve_exec(void);
void sn_preload_resolve_gmon(void);
void sn_preload_resolve_frames(void);

/* For syscall_ARCH.S, which must leave by a jump. */
extern __attribute__((visibility("hidden"))) void *sn_real_syscall;
__attribute__((visibility("hidden"))) long sn_syscall_slow(long n, long a, long b, long c, long d, long e, long f);

/* Called by dlopen_ARCH.S: notes that the modules change; the real dlopen or dlmopen, or NULL. */
__attribute__((visibility("hidden"))) void *sn_dlopen_begin(void);
__attribute__((visibility("hidden"))) void *sn_dlmopen_begin(void);

#endif

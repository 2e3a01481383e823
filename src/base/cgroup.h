/* SPDX-License-Identifier: Apache-2.0
 *
 * cgroup.h - what the control group allows.
 *
 * Runs in:  the collector, the tools.
 */
#ifndef SN_BASE_CGROUP_H
#define SN_BASE_CGROUP_H

#include <stdint.h>

/*
 * The least memory limit, in bytes, of the group that proc (as /proc/self/cgroup) names and of those above it:
 * memory.max of version 2, memory.limit_in_bytes of version 1, under sys (as /sys/fs/cgroup).  0: none, or it cannot be
 * read.
 */
uint64_t sn_cgroup_memory(const char *proc, const char *sys);

#endif

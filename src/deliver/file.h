/* SPDX-License-Identifier: Apache-2.0
 *
 * file.h - profiles as files: names from patterns, whole or not at all.
 *
 * Runs in:  collector and tools.
 */
#ifndef SN_DELIVER_FILE_H
#define SN_DELIVER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the letters of a pattern stand for. */
struct sn_file_words {
	pid_t pid;		/* %p */
	const char *exe;	/* %e: base name of the executable; '/' and control characters become '_' */
	int64_t start_s;	/* %t: seconds since 1970 */
	const char *kind;	/* %k */
	/*
	 * ".PID" before the suffix (.pb.gz, else the last .xyz), unless %p or %c is in the pattern.  %c is "_PID" if
	 * this is set, else nothing: control/gperf_env.c makes such patterns, as gperftools names children's files.
	 */
	bool add_pid;
};

/* Expand a pattern into out.  0, -EINVAL (unknown letter after %), -ENAMETOOLONG. */
int sn_file_name(const char *pattern, const struct sn_file_words *w, char *out, size_t size);

/*
 * Can a file of this pattern be written?  Refuses "-" (-EINVAL), a folder (-EISDIR), a missing (-ENOENT)
 * or unwritable (-EACCES, -EROFS) parent, a full disk (-ENOSPC, tried with a temporary file), and what a
 * rename would take away: a symbolic link (-ELOOP), a device, pipe or socket (-EINVAL).  0 if it can be.
 */
int sn_file_check(const char *path);

/*
 * Write len bytes: temporary name in the same folder, fsync, rename.  Mode 0666 less the
 * umask, as any output file.  0 or -errno; on error nothing of ours stays behind and a previous file
 * of that name is whole.  SIGXFSZ and SIGPIPE are blocked meanwhile.
 */
int sn_file_write(const char *path, const void *data, size_t len);

#endif

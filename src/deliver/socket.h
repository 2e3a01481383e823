/* SPDX-License-Identifier: Apache-2.0
 *
 * socket.h - where the Unix socket of a profiled process lies, for those who make it and those who look for it.
 *
 * Runs in:  collector and tools.
 * Places:   $XDG_RUNTIME_DIR/sonde/PID.sock, else /tmp/sonde-UID/PID.sock, else the abstract name
 *           @sonde-UID-PID; SONDE_SOCKET=off none, SONDE_SOCKET=FOLDER that folder.  PID is the pid in the
 * process's own namespace.
 * Trust:    a folder is used only if it is a folder (no symbolic link), ours (or root's, for root), mode 0700.
 */
#ifndef SN_DELIVER_SOCKET_H
#define SN_DELIVER_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sn_socket {
	int fd;			/* listening, close-on-exec, non-blocking; -1 none */
	char path[108];		/* "" for none; begins with '@' when abstract */
};

/*
 * Make the socket of process pid.  choice: SONDE_SOCKET (`auto`, `off`, a folder).  runtime_dir: XDG_RUNTIME_DIR
 * or NULL.
 * Removes sockets (and .http files) of dead pids in the folder first.  0 (also for `off`, fd -1) or -errno.
 */
int sn_socket_make(const char *choice, const char *runtime_dir, pid_t pid, struct sn_socket *out);
/* Write the TCP address in force beside it, as PID.http; "" removes it.  Nothing to do for an abstract one. */
int sn_socket_note_http(const struct sn_socket *s, const char *address);
void sn_socket_remove(struct sn_socket *s);	/* closes, unlinks socket and note */

/* One socket that was found. */
struct sn_socket_found {
	pid_t pid;		/* as seen from here */
	pid_t pid_inside;	/* as its name has it */
	char path[4096];	/* openable from here, through /proc/PID/root where needed; '@…' when abstract */
};
/*
 * Find the sockets of all processes that we may see (pid 0) or of one, through /proc/PID/root and NSpid.
 * fn returns non-zero to stop.  Number found, or -errno.
 */
int sn_socket_find(pid_t pid, int (*fn)(void *ctx, const struct sn_socket_found *f), void *ctx);

/* A connection to it.  Descriptor, or -errno. */
int sn_socket_connect(const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_name.c - accept4 without the names of Unix clients.
 *
 * Runs in:  the collector.  Found before libc's by libevent, because who has this file is first in its name space.
 * Why:      libevent copies the address of a client into 28 bytes and asserts that it fits (seen in 2.1.12 as Debian 12
 *           came; its security update has more room): anybody who may connect and binds a longer name first would
 *           end the process.  Nobody here wants the name: who asks is known by SO_PEERCRED.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deliver/http_parts.h"

void
sn_hide_peer_names(void)
{
}

__attribute__((visibility("default"))) int
accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
	int got = (int)syscall(SYS_accept4, fd, address, len, flags);

	if (got >= 0 && address != NULL && len != NULL && *len > sizeof(address->sa_family) &&
	    address->sa_family == AF_UNIX)
		*len = sizeof(address->sa_family);	/* as of a client without a name */
	return got;
}

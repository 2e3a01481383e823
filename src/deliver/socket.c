/* SPDX-License-Identifier: Apache-2.0
 *
 * socket.c - the Unix socket of a profiled process: its place, its note, its end (see socket.h).
 *
 * Runs in:  collector (make, note, remove) and tools (connect).
 * Memory:   names on the stack; opendir's buffer while a folder is swept.
 * When no place is left: the error of the last one that was tried comes back.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "deliver/socket.h"

#define BACKLOG		64
#define SWEPT_MAX	10000		/* entries of a folder that are looked at */

/* ---- addresses ---- */

/* '@' begins an abstract name.  0 or -ENAMETOOLONG. */
static int
address_of(const char *path, struct sockaddr_un *at, socklen_t *size)
{
	size_t len = strlen(path);

	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len == 0 || len >= sizeof(at->sun_path))
		return -ENAMETOOLONG;
	memcpy(at->sun_path, path, len);
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (path[0] == '@')
		at->sun_path[0] = '\0';
	else
		(*size)++;
	return 0;
}

static int
connect_short(const char *path)
{
	struct sockaddr_un at;
	socklen_t size;
	int fd, err = address_of(path, &at, &size);

	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Not blocking: a full backlog is EAGAIN, not a wait for a server that never accepts. */
	if (connect(fd, (struct sockaddr *)&at, size) < 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return fd;
}

int
sn_socket_connect(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX], shorter[NAME_MAX + 64];
	int fd, dir;

	if (path[0] == '@' || slash == NULL || strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return connect_short(path);
	if ((size_t)(slash - path) >= sizeof(folder) || strlen(slash) > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	(void)snprintf(shorter, sizeof(shorter), "/proc/thread-self/fd/%d%s", dir, slash);
	fd = connect_short(shorter);
	(void)close(dir);
	return fd;
}

/* Nobody listens there: neither of this pid namespace nor of another. */
static bool
is_abandoned(const char *path)
{
	int fd = connect_short(path);

	if (fd >= 0)
		(void)close(fd);
	return fd == -ECONNREFUSED || fd == -ENOENT;
}

/* ---- folders ---- */

/* The folder, made if it is missing.  A descriptor, or what forbids to use it. */
static int
open_folder(const char *path)
{
	struct stat st;
	int fd, err = 0;

	if (path[0] != '/')
		return -EINVAL;
	if (mkdir(path, 0700) == 0)		/* with an odd umask it is not even ours to enter */
		err = fchmodat(AT_FDCWD, path, 0700, 0) < 0 ? -errno : 0;
	else if (errno != EEXIST)
		err = -errno;
	if (err < 0)
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (st.st_uid != geteuid() || (st.st_mode & 0077) != 0)
		err = -EPERM;
	if (err < 0)
		(void)close(fd);
	return err < 0 ? err : fd;
}

/* The pid of "PID" SUFFIX, 0 for any other name. */
static pid_t
pid_of_name(const char *name, const char *suffix)
{
	char *end;
	long pid;

	if (name[0] < '1' || name[0] > '9')
		return 0;
	errno = 0;
	pid = strtol(name, &end, 10);
	return errno == 0 && pid <= INT_MAX && strcmp(end, suffix) == 0 ? (pid_t)pid : 0;
}

static bool
is_dead(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

static void
sweep_entry(const char *folder, int dir, const char *name)
{
	pid_t pid = pid_of_name(name, ".sock");
	bool is_socket = pid > 0;
	char path[PATH_MAX];

	if (!is_socket)
		pid = pid_of_name(name, ".http");
	if (pid == 0)
		pid = pid_of_name(name, ".tmp");
	if (pid == 0 || !is_dead(pid))
		return;
	/* A pid that is dead here may live in a container that shares the folder: its socket answers then. */
	if (snprintf(path, sizeof(path), "%s/%d.sock", folder, (int)pid) >= (int)sizeof(path) || !is_abandoned(path))
		return;
	(void)unlinkat(dir, name, 0);
}

/* What dead processes left. */
static void
sweep(const char *folder, int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	for (int i = 0; d != NULL && i < SWEPT_MAX && (e = readdir(d)) != NULL; i++)
		sweep_entry(folder, dir, e->d_name);
	if (d != NULL)
		(void)closedir(d);
	else if (copy >= 0)
		(void)close(copy);
}

/* ---- binding ---- */

static int
bind_and_listen(const char *path)
{
	struct sockaddr_un at;
	socklen_t size;
	int fd, err = address_of(path, &at, &size);

	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The file takes the mode of the descriptor, so that there is no moment with another one. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&at, size) < 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return fd;
}

/* Is it really in the folder that was checked?  The way to it could have been changed meanwhile. */
static int
settle(int fd, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return -EPERM;
	if ((st.st_mode & 0777) != 0600 && fchmodat(dir, name, 0600, 0) < 0)
		return -errno;
	return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static int
make_in(const char *folder, pid_t pid, struct sn_socket *out)
{
	char path[sizeof(out->path)], name[32];
	int dir, fd, err;

	(void)snprintf(name, sizeof(name), "%d.sock", (int)pid);
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	dir = open_folder(folder);
	if (dir < 0)
		return dir;
	sweep(folder, dir);
	/* A live one under our own pid is that of another pid namespace. */
	if (is_abandoned(path))
		(void)unlinkat(dir, name, 0);
	fd = bind_and_listen(path);
	err = fd < 0 ? fd : settle(fd, dir, name);
	(void)close(dir);
	if (err < 0 && fd >= 0)
		(void)close(fd);
	if (err < 0)
		return err;
	out->fd = fd;
	memcpy(out->path, path, sizeof(path));
	return 0;
}

static int
make_abstract(pid_t pid, struct sn_socket *out)
{
	int fd;

	(void)snprintf(out->path, sizeof(out->path), "@sonde-%u-%d", (unsigned)geteuid(), (int)pid);
	fd = bind_and_listen(out->path);
	if (fd >= 0 && listen(fd, BACKLOG) < 0) {
		int err = -errno;

		(void)close(fd);
		fd = err;
	}
	if (fd < 0)
		out->path[0] = '\0';
	out->fd = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

/* $XDG_RUNTIME_DIR survives su and sudo: it counts only if it is ours. */
static bool
is_our_runtime_dir(const char *path)
{
	struct stat st;

	return path != NULL && path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid();
}

static int
make_auto(const char *runtime_dir, pid_t pid, struct sn_socket *out)
{
	char folder[sizeof(out->path)];

	if (is_our_runtime_dir(runtime_dir) &&
	    snprintf(folder, sizeof(folder), "%s/sonde", runtime_dir) < (int)sizeof(folder) &&
	    make_in(folder, pid, out) == 0)
		return 0;
	(void)snprintf(folder, sizeof(folder), "/tmp/sonde-%u", (unsigned)geteuid());
	if (make_in(folder, pid, out) == 0)
		return 0;
	return make_abstract(pid, out);
}

int
sn_socket_make(const char *choice, const char *runtime_dir, pid_t pid, struct sn_socket *out)
{
	*out = (struct sn_socket){ .fd = -1 };
	if (choice == NULL || *choice == '\0' || strcmp(choice, "auto") == 0)
		return make_auto(runtime_dir, pid, out);
	if (strcmp(choice, "off") == 0)
		return 0;
	return make_in(choice, pid, out);
}

/* ---- the note, the end ---- */

/* The name of a file beside the socket; false when there is no folder. */
static bool
beside(const struct sn_socket *s, const char *suffix, char *out, size_t size)
{
	size_t len = strlen(s->path);

	if (s->path[0] != '/' || len < sizeof(".sock"))
		return false;
	return snprintf(out, size, "%.*s%s", (int)(len - strlen(".sock")), s->path, suffix) < (int)size;
}

static int
write_line(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[300];
	int err = 0, len;
	ssize_t n;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%.256s\n", line);
	n = write(fd, text, (size_t)len);
	if (n != len)
		err = n < 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && err == 0)
		err = -errno;
	return err;
}

int
sn_socket_note_http(const struct sn_socket *s, const char *address)
{
	char note[sizeof(s->path) + 8], tmp[sizeof(s->path) + 8];
	int err;

	if (!beside(s, ".http", note, sizeof(note)) || !beside(s, ".tmp", tmp, sizeof(tmp)))
		return 0;
	if (address == NULL || *address == '\0')
		return unlink(note) < 0 && errno != ENOENT ? -errno : 0;
	err = write_line(tmp, address);
	if (err == 0 && rename(tmp, note) < 0)	/* readers never see half an address */
		err = -errno;
	if (err < 0)
		(void)unlink(tmp);
	return err;
}

void
sn_socket_remove(struct sn_socket *s)
{
	(void)sn_socket_note_http(s, "");
	if (s->path[0] == '/')
		(void)unlink(s->path);
	if (s->fd >= 0)
		(void)close(s->fd);
	*s = (struct sn_socket){ .fd = -1 };
}

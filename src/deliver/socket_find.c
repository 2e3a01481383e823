/* SPDX-License-Identifier: Apache-2.0
 *
 * socket_find.c - find the Unix sockets of profiled processes, also of those in containers (see socket.h).
 *
 * Runs in:  tools.
 * Trust:    names and links under /proc/PID/root and the texts of /proc/PID are the other process's: links are
 *           followed inside its root only, folders must be its user's with mode 0700, texts are read up to a bound.
 * Memory:   one environ at a time, at most ENVIRON_MAX; 16 bytes a socket found.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "deliver/socket.h"

#define STATUS_MAX	(64u << 10)
#define UID_MAP_MAX	(64u << 10)
#define ENVIRON_MAX	(8u << 20)
#define UID_LINES_MAX	340		/* as the kernel */

/* One process and what its names are made of. */
struct target {
	pid_t pid, pid_inside;
	uid_t uid, uid_inside;		/* of its effective user, as seen from here and as it sees it */
	uid_t root_uid;			/* its root as seen from here: servers drop privileges after their start */
	int root;			/* O_PATH of its root; our own root when that is closed to us */
	bool same_root;			/* then paths go without /proc/PID/root */
	bool is_closed;			/* we may not look at its root */
	struct sn_buf environ;
};

/* Which file: two pids may lead to the same one. */
struct identity {
	uint64_t dev, ino;
};

struct search {
	int (*fn)(void *ctx, const struct sn_socket_found *f);
	void *ctx;
	struct sn_buf seen;		/* struct identity each */
	int count;
	bool stop;
};

/* ---- what /proc says ---- */

static int
read_text(struct sn_buf *b, pid_t pid, const char *file, size_t max)
{
	char path[64];
	int err;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	err = sn_buf_read_path(b, path, max);
	sn_buf_put(b, "", 1);
	return b->err < 0 ? b->err : err;
}

/* The words after a key of /proc/PID/status, or NULL. */
static const char *
status_line(const struct sn_buf *b, const char *key)
{
	const char *at = strstr((const char *)b->data, key);

	return at == NULL ? NULL : at + strlen(key);
}

static int
read_status(struct target *t)
{
	struct sn_buf b = { 0 };
	int err = read_text(&b, t->pid, "status", STATUS_MAX);
	const char *uid, *pids;
	unsigned real, effective;

	if (err < 0) {
		sn_buf_free(&b);
		return err == -ENOENT ? -ESRCH : err;
	}
	uid = status_line(&b, "\nUid:");
	pids = status_line(&b, "\nNSpid:");
	if (uid == NULL || sscanf(uid, "%u %u", &real, &effective) != 2)
		err = -EPROTO;
	else
		t->uid = t->uid_inside = effective;
	t->pid_inside = t->pid;
	while (pids != NULL && *pids == '\t') {		/* the last is that of its own namespace */
		char *end;
		long pid = strtol(pids + 1, &end, 10);

		if (end == pids + 1 || pid <= 0 || pid > INT_MAX)
			break;
		t->pid_inside = (pid_t)pid;
		pids = end;
	}
	sn_buf_free(&b);
	return err;
}

/* In a user namespace of its own the process has another number for the same user. */
static void
read_uid_map(struct target *t)
{
	struct sn_buf b = { 0 };
	const char *line;

	if (read_text(&b, t->pid, "uid_map", UID_MAP_MAX) == 0) {
		line = (const char *)b.data;
		for (int i = 0; line != NULL && i < UID_LINES_MAX; i++) {
			unsigned inside, outside, count;

			if (sscanf(line, "%u %u %u", &inside, &outside, &count) != 3)
				break;
			if (t->uid >= outside && t->uid - outside < count)
				t->uid_inside = inside + (t->uid - outside);
			if (inside == 0)
				t->root_uid = outside;
			line = strchr(line, '\n');
			line = line == NULL ? NULL : line + 1;
		}
	}
	sn_buf_free(&b);
}

/* Its environment as it was started; a longer one is cut. */
static const char *
environ_value(const struct target *t, const char *key)
{
	const char *at = (const char *)t->environ.data;
	const char *end = at + t->environ.len;
	size_t len = strlen(key);

	while (at != NULL && at < end) {
		size_t n = strnlen(at, (size_t)(end - at));

		if (n > len && n < (size_t)(end - at) && memcmp(at, key, len) == 0 && at[len] == '=')
			return at + len + 1;
		at += n + 1;
	}
	return NULL;
}

static bool
same_link(pid_t pid, const char *name)
{
	char path[64], ours[64];
	struct stat a, b;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	(void)snprintf(ours, sizeof(ours), "/proc/self/%s", name);
	return stat(path, &a) == 0 && stat(ours, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int
target_open(struct target *t, pid_t pid)
{
	char path[64];
	int err;

	*t = (struct target){ .pid = pid, .root = -1 };
	err = read_status(t);
	if (err < 0)
		return err;
	read_uid_map(t);
	(void)read_text(&t->environ, pid, "environ", ENVIRON_MAX);
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	t->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->is_closed = t->root < 0;
	/* Processes that changed user or are not dumpable hide their root: most have ours. */
	t->same_root = t->is_closed || (same_link(pid, "root") && same_link(pid, "ns/mnt"));
	if (t->is_closed)
		t->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return t->root < 0 ? -errno : 0;
}

static void
target_close(struct target *t)
{
	if (t->root >= 0)
		(void)close(t->root);
	sn_buf_free(&t->environ);
}

/* ---- candidates ---- */

/* Whose folder or server is believed to be the process's: its user's, or that of a root it may have been. */
static bool
is_its_user(const struct target *t, uid_t uid)
{
	return uid == t->uid || uid == t->root_uid || uid == 0 || uid == geteuid();
}

/* The folder inside that root, or -errno when it is not to be trusted.  Links stay inside the root. */
static int
open_folder_in(const struct target *t, const char *folder)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	struct stat st;
	int fd = (int)syscall(SYS_openat2, t->root, folder, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))	/* before Linux 5.6, or in an old sandbox */
		fd = openat(t->root, folder + strspn(folder, "/"), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !is_its_user(t, st.st_uid) || (st.st_mode & 0077) != 0) {
		(void)close(fd);
		return -EPERM;
	}
	return fd;
}

static bool
was_seen(struct search *s, const struct identity *id)
{
	for (size_t i = 0; i + sizeof(*id) <= s->seen.len; i += sizeof(*id))
		if (memcmp(s->seen.data + i, id, sizeof(*id)) == 0)
			return true;
	sn_buf_put(&s->seen, id, sizeof(*id));
	return false;
}

static void
report(struct search *s, const struct sn_socket_found *f, const struct identity *id)
{
	if (was_seen(s, id))
		return;
	s->count++;
	s->stop = s->fn(s->ctx, f) != 0;
}

/* True when a server, or something that we may not reach, is there: no further place is tried then. */
static bool
try_folder(struct search *s, const struct target *t, const char *folder, pid_t pid)
{
	struct sn_socket_found f = { .pid = t->pid, .pid_inside = pid };
	struct identity id;
	struct stat st;
	char name[32], root[64] = "";
	int dir, fd;

	(void)snprintf(name, sizeof(name), "%d.sock", (int)pid);
	if (!t->same_root)
		(void)snprintf(root, sizeof(root), "/proc/%d/root", (int)t->pid);
	if (folder[0] != '/' || snprintf(f.path, sizeof(f.path), "%s%s/%s", root, folder, name) >= (int)sizeof(f.path))
		return false;
	dir = open_folder_in(t, folder);
	if (dir < 0)
		return false;
	fd = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
	(void)close(dir);
	if (fd < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = sn_socket_connect(f.path);
	if (fd >= 0)
		(void)close(fd);
	if (fd == -ECONNREFUSED || fd == -ENOENT)	/* left by a dead process of that pid */
		return false;
	id = (struct identity){ st.st_dev, st.st_ino };
	report(s, &f, &id);
	return true;
}

/* Anybody may take an abstract name: who listens must be the process's user, root or us. */
static bool
try_abstract(struct search *s, const struct target *t, uid_t uid, pid_t pid)
{
	struct sn_socket_found f = { .pid = t->pid, .pid_inside = pid };
	struct identity id = { UINT64_MAX, ((uint64_t)uid << 32) | (uint32_t)pid };
	struct ucred peer;
	socklen_t len = sizeof(peer);
	bool ours;
	int fd;

	(void)snprintf(f.path, sizeof(f.path), "@sonde-%u-%d", (unsigned)uid, (int)pid);
	fd = sn_socket_connect(f.path);
	if (fd < 0)
		return false;
	ours = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && is_its_user(t, peer.uid);
	(void)close(fd);
	if (ours)
		report(s, &f, &id);
	return ours;
}

static bool
try_user(struct search *s, const struct target *t, uid_t uid, pid_t pid)
{
	char folder[64];

	(void)snprintf(folder, sizeof(folder), "/run/user/%u/sonde", (unsigned)uid);
	if (try_folder(s, t, folder, pid))
		return true;
	(void)snprintf(folder, sizeof(folder), "/tmp/sonde-%u", (unsigned)uid);
	return try_folder(s, t, folder, pid);
}

/* All places under one root and one pid. */
static bool
try_root(struct search *s, const struct target *t, pid_t pid)
{
	const char *chosen = environ_value(t, "SONDE_SOCKET");
	const char *runtime = environ_value(t, "XDG_RUNTIME_DIR");
	char folder[PATH_MAX];

	if (chosen != NULL && try_folder(s, t, chosen, pid))
		return true;
	if (runtime != NULL && snprintf(folder, sizeof(folder), "%s/sonde", runtime) < (int)sizeof(folder) &&
	    try_folder(s, t, folder, pid))
		return true;
	/* Programs write over their environment (nginx): who started it may have started us. */
	runtime = t->same_root ? getenv("XDG_RUNTIME_DIR") : NULL;
	if (runtime != NULL && snprintf(folder, sizeof(folder), "%s/sonde", runtime) < (int)sizeof(folder) &&
	    try_folder(s, t, folder, pid))
		return true;
	return try_user(s, t, t->uid_inside, pid) || try_user(s, t, t->uid, pid) || try_user(s, t, 0, pid);
}

/*
 * The process's own place first; then ours, where the `sonde run` that started it may have put its socket
 * before it went into a container.
 */
static void
try_target(struct search *s, const struct target *t)
{
	struct target here = *t;

	if (try_root(s, t, t->pid_inside))
		return;
	here.same_root = true;
	here.uid_inside = t->uid;
	here.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (here.root >= 0) {
		bool found = (!t->same_root || t->pid != t->pid_inside) && try_root(s, &here, t->pid);

		(void)close(here.root);
		if (found)
			return;
	}
	if (!t->is_closed && !same_link(t->pid, "ns/net"))
		return;			/* abstract names end at the network namespace */
	if (!try_abstract(s, t, t->uid_inside, t->pid_inside) && !try_abstract(s, t, 0, t->pid_inside))
		(void)try_abstract(s, t, t->uid, t->pid);
}

static int
find_one(struct search *s, pid_t pid)
{
	struct target t;
	int before = s->count;
	int err = target_open(&t, pid);

	if (err == 0) {
		try_target(s, &t);
		if (s->count == before && t.is_closed && t.uid != geteuid())
			err = -EACCES;
	}
	target_close(&t);
	return err;
}

static int
find_all(struct search *s)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int err = 0;

	if (d == NULL)
		return -errno;
	while (!s->stop && (e = readdir(d)) != NULL) {
		char *end;
		long pid = strtol(e->d_name, &end, 10);

		if (*end != '\0' || pid <= 0 || pid > INT_MAX)
			continue;
		err = find_one(s, (pid_t)pid);
		if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
			break;
		err = 0;		/* it ended meanwhile, or is not ours to see */
	}
	(void)closedir(d);
	return err;
}

int
sn_socket_find(pid_t pid, int (*fn)(void *ctx, const struct sn_socket_found *f), void *ctx)
{
	struct search s = { .fn = fn, .ctx = ctx };
	int err;

	if (pid < 0)
		return -ESRCH;
	err = pid > 0 ? find_one(&s, pid) : find_all(&s);
	if (err == 0)
		err = s.seen.err;
	sn_buf_free(&s.seen);
	return err < 0 ? err : s.count;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * earlier.c - the file of an earlier image of the same process is not overwritten (see earlier.h).
 *
 * Runs in:  the collector inside; outside one collector sees all images of a process and writes one file.
 * Memory:   names and 128 bytes of the file on the stack.
 * When it fails: the earlier file is replaced, as any other of that name; the errno comes back for the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deliver/earlier.h"

#define HEAD_BYTES	10		/* of a gzip file with no name, comment or extra field */
#define FLAGS_AT	3
#define HAS_COMMENT	0x10
#define WORD		"sonde "	/* the comment: WORD PROCESS ' ' IMAGE */
#define NUMBER_MAX	999

static void
process_words(const struct sn_image_id *id, char *out, size_t size)
{
	(void)snprintf(out, size, WORD "%d.%llu ", (int)id->pid, (unsigned long long)id->start_time);
}

static void
all_words(const struct sn_image_id *id, char *out, size_t size)
{
	(void)snprintf(out, size, WORD "%d.%llu %llx", (int)id->pid, (unsigned long long)id->start_time,
		(unsigned long long)id->image);
}

int
sn_earlier_mark(const struct sn_buf *gz, const struct sn_image_id *id, struct sn_buf *out)
{
	char words[128], head[HEAD_BYTES];

	if (gz->len < HEAD_BYTES || gz->data[0] != 0x1f || gz->data[1] != 0x8b || gz->data[FLAGS_AT] != 0)
		return -EBADMSG;
	all_words(id, words, sizeof(words));
	memcpy(head, gz->data, sizeof(head));
	head[FLAGS_AT] = HAS_COMMENT;
	sn_buf_put(out, head, sizeof(head));
	sn_buf_put(out, words, strlen(words) + 1);
	sn_buf_put(out, gz->data + HEAD_BYTES, gz->len - HEAD_BYTES);
	return out->err;
}

/* The comment of a file that we marked; "" for any other. */
static void
read_comment(const char *path, char *out, size_t size)
{
	char head[HEAD_BYTES + 128];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	out[0] = '\0';
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, head, sizeof(head) - 1);
	if (fd >= 0)
		(void)close(fd);
	if (n <= HEAD_BYTES || (uint8_t)head[0] != 0x1f || (uint8_t)head[1] != 0x8b || head[FLAGS_AT] != HAS_COMMENT)
		return;
	head[n] = '\0';
	if (strncmp(head + HEAD_BYTES, WORD, sizeof(WORD) - 1) == 0)
		(void)snprintf(out, size, "%s", head + HEAD_BYTES);
}

/* "cpu.1.pb.gz" for "cpu.pb.gz", "cpu.1" for "cpu". */
static int
numbered(const char *path, int number, char *out, size_t size)
{
	size_t len = strlen(path);
	bool has_suffix = len > 6 && strcmp(path + len - 6, ".pb.gz") == 0;
	int stem = (int)(has_suffix ? len - 6 : len);
	int n = snprintf(out, size, "%.*s.%d%s", stem, path, number, has_suffix ? ".pb.gz" : "");

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int
sn_earlier_keep(const char *path, const struct sn_image_id *id)
{
	char is[128], same_process[128], same_image[128], to[PATH_MAX];
	size_t len;

	process_words(id, same_process, sizeof(same_process));
	all_words(id, same_image, sizeof(same_image));
	len = strlen(same_process);
	read_comment(path, is, sizeof(is));
	if (strncmp(is, same_process, len) != 0 || strcmp(is, same_image) == 0)
		return 0;
	for (int number = 1; number <= NUMBER_MAX; number++) {
		struct stat st;
		int err = numbered(path, number, to, sizeof(to));

		if (err < 0)
			return err;
		read_comment(to, is, sizeof(is));
		/* One that another process left there goes, as its last file does; one of this process stays. */
		if (is[0] == '\0' ? lstat(to, &st) == 0 : strncmp(is, same_process, len) == 0)
			continue;
		return rename(path, to) < 0 ? -errno : 0;
	}
	return -EEXIST;
}

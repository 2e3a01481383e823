/* SPDX-License-Identifier: Apache-2.0
 *
 * environ.c - what the environment asks of sonde, and who is told of mistakes in it.
 *
 * Runs in:  constructor, once; no allocation but one mapping for the texts.
 * Why once: programs write over their environment (nginx, redis do), so nothing points into it later.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/syscall.h"
#include "control/internal.h"

const char *
sn_env_find(char *const envp[], const char *name)
{
	size_t len = strlen(name);

	for (; envp != NULL && *envp != NULL; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return (*envp)[len + 1] != '\0' ? *envp + len + 1 : NULL;
	return NULL;
}

/* LD_PRELOAD is a list with spaces or colons; what counts is the name of the file. */
static bool
names_libsonde(const char *list)
{
	const char *base;

	for (const char *p = list; *p != '\0';) {
		size_t n = strcspn(p, " :");

		base = p;
		for (size_t i = 0; i < n; i++)
			if (p[i] == '/')
				base = p + i + 1;
		if (strncmp(base, "libsonde.so", 11) == 0)
			return true;
		p += n;
		p += strspn(p, " :");
	}
	return false;
}

bool
sn_env_asks_for_us(char *const envp[])
{
	const char *preload = sn_env_find(envp, "LD_PRELOAD");

	if (preload != NULL && names_libsonde(preload))
		return true;
	for (size_t i = 0; i < sn_option_count; i++)
		if (sn_env_find(envp, sn_option_table[i].variable) != NULL)
			return true;
	return false;
}

/* Is libsonde mapped in the parent?  A parent that cannot be looked into is taken for a stranger. */
static bool
parent_has_us(void)
{
	char path[32], buf[4096 + 16];
	size_t kept = 0;
	bool found = false;
	long fd, n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/maps", sn_syscall0(SYS_getppid));
	fd = sn_syscall4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	while (!found && (n = sn_syscall3(SYS_read, fd, buf + kept, 4096)) > 0) {
		size_t len = kept + (size_t)n;

		found = memmem(buf, len, "/libsonde.so", 12) != NULL;
		kept = len < 11 ? len : 11;	/* the name may be cut by the end of a read */
		memmove(buf, buf + len - kept, kept);
	}
	(void)sn_syscall1(SYS_close, fd);
	return found;
}

/* Only the first process of a tree speaks: build scripts compare what compilers say. */
void
sn_env_complain(const char *line)
{
	sn_log(parent_has_us() ? SN_LOG_FILE : SN_LOG_STDERR, "%s", line);
}

int
sn_env_read(char *const envp[], struct sn_options *o)
{
	struct sn_complaint why;
	int err;

	sn_options_default(o);
	(void)sn_log_open(sn_env_find(envp, "SONDE_LOG"));
	err = sn_options_from_env(o, envp, sn_env_complain, &why);
	if (err < 0)
		sn_env_complain(why.text);
	return err;
}

/* Is this text the name of a file, but not from the root on? */
static bool
is_relative(const struct sn_options *o, const char *text)
{
	if (*text == '/' || *text == '\0')
		return false;
	return text == o->file || text == o->log || (text == o->token_file && strcmp(text, "none") != 0);
}

/* The folder and a slash, as a part of a pattern or of a name.  Where that ends. */
static char *
put_folder(char *to, const char *folder, bool is_pattern)
{
	for (; *folder != '\0'; folder++) {
		if (is_pattern && *folder == '%')
			*to++ = '%';
		*to++ = *folder;
	}
	*to++ = '/';
	return to;
}

int
sn_options_keep(struct sn_options *o)
{
	char folder[PATH_MAX];
	bool has_folder = getcwd(folder, sizeof(folder)) != NULL && folder[0] == '/';
	size_t bytes = 0;
	char *to;

	for (size_t i = 0; i < sn_option_count; i++) {
		const char *text = *(const char **)((char *)o + sn_option_table[i].offset);

		if (sn_option_table[i].type == SN_TYPE_TEXT && text != NULL)
			bytes += strlen(text) + 1 + (has_folder && is_relative(o, text) ? 2 * strlen(folder) + 1 : 0);
	}
	if (bytes == 0)
		return 0;
	to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		return -ENOMEM;
	for (size_t i = 0; i < sn_option_count; i++) {
		const char **field = (const char **)((char *)o + sn_option_table[i].offset);
		const char *start;
		size_t len;

		if (sn_option_table[i].type != SN_TYPE_TEXT || *field == NULL)
			continue;
		len = strlen(*field) + 1;
		start = to;
		if (has_folder && is_relative(o, *field))
			to = put_folder(to, folder, *field == o->file);
		memcpy(to, *field, len);
		*field = start;
		to += len;
	}
	return 0;
}

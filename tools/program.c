/* SPDX-License-Identifier: Apache-2.0
 *
 * program.c - look at a program before it is started: static, other libc, 32-bit, set-uid and
 * AddressSanitizer programs would lose the profile or die in the loader.
 *
 * Runs in:  sonde run.  The file is hostile: every offset is checked against its size.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tools/tools.h"

#if defined(__x86_64__)
#define OUR_MACHINE	EM_X86_64
#define OUR_LOADER	"ld-linux-x86-64.so.2"
#else
#define OUR_MACHINE	EM_AARCH64
#define OUR_LOADER	"ld-linux-aarch64.so.1"
#endif
#define SCRIPTS_MAX	5		/* the kernel follows as many #! */
#define PHDRS_MAX	4096
#define DYNAMIC_MAX	(1u << 20)
#define STRINGS_MAX	(64u << 20)

struct file {
	int fd;
	uint64_t bytes;
	const char *path;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 3, 4))) static int
refuse(const struct file *f, int status, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(f->why, f->why_size, "%.200s: ", f->path);

	va_start(ap, fmt);
	(void)vsnprintf(f->why + n, f->why_size - (size_t)n, fmt, ap);
	va_end(ap);
	return status;
}

static bool
read_at(const struct file *f, uint64_t off, void *out, size_t len)
{
	if (off > f->bytes || len > f->bytes - off)
		return false;
	return pread(f->fd, out, len, (off_t)off) == (ssize_t)len;
}

/* Does this text, which need not end in a NUL, hold the word? */
static bool
has_word(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

static uint64_t
offset_of(const Elf64_Phdr *ph, unsigned n, uint64_t vaddr)
{
	for (unsigned i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && vaddr >= ph[i].p_vaddr && vaddr - ph[i].p_vaddr < ph[i].p_filesz)
			return vaddr - ph[i].p_vaddr + ph[i].p_offset;
	return UINT64_MAX;
}

/* The dynamic strings name the needed libraries and the symbols: enough to know AddressSanitizer. */
static bool
is_address_sanitizer(const struct file *f, const Elf64_Phdr *ph, unsigned n)
{
	uint64_t strtab = 0, size = 0, end;
	bool found = false;
	char *text;

	for (unsigned i = 0; i < n; i++) {
		if (ph[i].p_type != PT_DYNAMIC)
			continue;
		end = ph[i].p_filesz < DYNAMIC_MAX ? ph[i].p_filesz : DYNAMIC_MAX;
		for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= end; at += sizeof(Elf64_Dyn)) {
			Elf64_Dyn d;

			if (!read_at(f, ph[i].p_offset + at, &d, sizeof(d)) || d.d_tag == DT_NULL)
				break;
			if (d.d_tag == DT_STRTAB)
				strtab = d.d_un.d_ptr;
			if (d.d_tag == DT_STRSZ)
				size = d.d_un.d_val;
		}
	}
	if (size == 0 || size > STRINGS_MAX)
		return false;
	text = malloc(size);
	if (text != NULL && read_at(f, offset_of(ph, n, strtab), text, size))
		found = has_word(text, size, "libasan.so") || has_word(text, size, "libclang_rt.asan") ||
		    has_word(text, size, "__asan_init");
	free(text);
	return found;
}

static int
check_loader(const struct file *f, const Elf64_Phdr *ph)
{
	char loader[256] = "";
	const char *base;

	if (ph->p_filesz == 0 || ph->p_filesz >= sizeof(loader) || !read_at(f, ph->p_offset, loader, ph->p_filesz))
		return refuse(f, SN_EXIT_NOT_EXECUTABLE, "damaged ELF file: its loader's name cannot be read");
	loader[sizeof(loader) - 1] = '\0';
	base = strrchr(loader, '/');
	if (strcmp(base != NULL ? base + 1 : loader, OUR_LOADER) != 0)
		return refuse(f, SN_EXIT_CANNOT, "uses another libc (%.100s), which cannot load libsonde; "
			"profile its glibc build", loader);
	return 0;
}

static int
check_segments(const struct file *f, const Elf64_Ehdr *eh)
{
	Elf64_Phdr *ph;
	unsigned n = eh->e_phnum;
	bool has_loader = false;
	int status = 0;

	if (n == 0 || n > PHDRS_MAX || eh->e_phentsize != sizeof(*ph))
		return refuse(f, SN_EXIT_NOT_EXECUTABLE, "damaged ELF file: %u program headers of %u bytes", n,
			(unsigned)eh->e_phentsize);
	ph = malloc(n * sizeof(*ph));
	if (ph == NULL || !read_at(f, eh->e_phoff, ph, n * sizeof(*ph)))
		status = refuse(f, SN_EXIT_NOT_EXECUTABLE, "damaged ELF file: program headers at offset %llu "
			"cannot be read", (unsigned long long)eh->e_phoff);
	for (unsigned i = 0; i < n && status == 0; i++) {
		if (ph[i].p_type == PT_INTERP) {
			has_loader = true;
			status = check_loader(f, &ph[i]);
		}
	}
	if (status == 0 && !has_loader)
		status = refuse(f, SN_EXIT_CANNOT, "is statically linked, no library can be preloaded; "
			"link it dynamically (without -static) to profile it");
	if (status == 0 && is_address_sanitizer(f, ph, n))
		status = refuse(f, SN_EXIT_CANNOT, "is built with AddressSanitizer, which must be loaded first; "
			"profile a build without -fsanitize=address");
	free(ph);
	return status;
}

static int
check_elf(const struct file *f)
{
	Elf64_Ehdr eh;

	if (!read_at(f, 0, &eh, sizeof(eh)))
		return refuse(f, SN_EXIT_NOT_EXECUTABLE, "damaged ELF file: %llu bytes are no header",
			(unsigned long long)f->bytes);
	if (eh.e_ident[EI_CLASS] != ELFCLASS64)
		return refuse(f, SN_EXIT_CANNOT, "is a 32-bit program; profile its 64-bit build");
	if (eh.e_machine != OUR_MACHINE)
		return refuse(f, SN_EXIT_CANNOT, "is for another processor (ELF machine %u); profile its native build",
			(unsigned)eh.e_machine);
	return check_segments(f, &eh);
}

/* Such a program ignores LD_PRELOAD, whoever starts it may think it was profiled. */
static int
check_privileges(const struct file *f, const struct stat *st)
{
	if (st->st_mode & (S_ISUID | S_ISGID))
		return refuse(f, SN_EXIT_CANNOT, "is set-%s, the loader ignores LD_PRELOAD there; profile a copy "
			"without that bit, as the user it becomes", st->st_mode & S_ISUID ? "uid" : "gid");
	if (fgetxattr(f->fd, "security.capability", NULL, 0) > 0)
		return refuse(f, SN_EXIT_CANNOT, "has file capabilities, the loader ignores LD_PRELOAD there; "
			"profile a copy without them (setcap -r), as root");
	return 0;
}

/* As execvp: a name without a slash is looked for in PATH. */
static int
find(const char *cmd, char *out, size_t size)
{
	const char *path = getenv("PATH");
	int status = SN_EXIT_NOT_FOUND;

	if (strchr(cmd, '/') != NULL) {
		if (strlen(cmd) >= size)
			return SN_EXIT_NOT_FOUND;
		strcpy(out, cmd);
		return 0;
	}
	for (const char *p = path != NULL ? path : "/bin:/usr/bin";; p++) {
		size_t n = strcspn(p, ":");
		struct stat st;

		if (snprintf(out, size, "%.*s%s%s", (int)n, p, n > 0 ? "/" : "", cmd) < (int)size &&
		    stat(out, &st) == 0 && S_ISREG(st.st_mode)) {
			if (access(out, X_OK) == 0)
				return 0;
			status = SN_EXIT_NOT_EXECUTABLE;
		}
		p += n;
		if (*p == '\0')
			return status;
	}
}

/*
 * The interpreter that a #! line names; for `env NAME` the one that env will find.  A file that is
 * neither ELF nor #! is given to the shell by execvp.
 */
static bool
interpreter(const struct file *f, char *out, size_t size)
{
	char line[257] = "", name[256] = "", arg[256] = "";
	ssize_t n = pread(f->fd, line, sizeof(line) - 1, 0);
	const char *base;

	if (n < 2 || line[0] != '#' || line[1] != '!' || sscanf(line + 2, " %255[^ \t\n] %255[^ \t\n]", name, arg) < 1)
		strcpy(name, "/bin/sh");
	base = strrchr(name, '/');
	if (base != NULL && strcmp(base, "/env") == 0 && arg[0] != '\0' && arg[0] != '-' &&
	    strchr(arg, '=') == NULL && find(arg, out, size) == 0)
		return true;
	return snprintf(out, size, "%s", name) < (int)size;
}

static int
open_file(struct file *f, struct stat *st)
{
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0 && errno == EACCES && access(f->path, X_OK) == 0)
		return refuse(f, SN_EXIT_CANNOT, "may be executed but not read, the loader's rules for it are unknown; "
			"profile a readable copy");
	if (f->fd < 0 || fstat(f->fd, st) < 0)
		return refuse(f, errno == ENOENT || errno == ENOTDIR ? SN_EXIT_NOT_FOUND : SN_EXIT_NOT_EXECUTABLE, "%s",
			strerror(errno));
	if (!S_ISREG(st->st_mode))
		return refuse(f, SN_EXIT_NOT_EXECUTABLE, "is not a file that can be executed");
	if (access(f->path, X_OK) < 0)
		return refuse(f, SN_EXIT_NOT_EXECUTABLE, "%s", strerror(errno));
	f->bytes = (uint64_t)st->st_size;
	return 0;
}

int
sn_program_check(const char *cmd, struct sn_program *out)
{
	char path[4096], next[4096];
	struct file f = { .fd = -1, .path = path, .why = out->why, .why_size = sizeof(out->why) };
	int status = find(cmd, out->path, sizeof(out->path));

	if (status != 0) {
		(void)snprintf(out->why, sizeof(out->why), "%.200s: %s", cmd,
			status == SN_EXIT_NOT_FOUND ? "not found" : "not executable");
		return status;
	}
	strcpy(path, out->path);
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		char magic[SELFMAG] = "";
		struct stat st;
		bool is_elf;

		status = open_file(&f, &st);
		if (status != 0)
			break;
		is_elf = read_at(&f, 0, magic, SELFMAG) && memcmp(magic, ELFMAG, SELFMAG) == 0;
		if (is_elf) {
			status = check_privileges(&f, &st);
			if (status == 0)
				status = check_elf(&f);
			break;
		}
		if (!interpreter(&f, next, sizeof(next)))
			break;
		(void)close(f.fd);
		f.fd = -1;
		strcpy(path, next);
	}
	if (f.fd >= 0)
		(void)close(f.fd);
	return status;
}

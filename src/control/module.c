/* SPDX-License-Identifier: Apache-2.0
 *
 * module.c - find and open the collector's module.
 *
 * Runs in:  the thread that starts the profiler, never a hook of fork, never the collector.
 * Memory:   the module has a name space, libc and heap of its own (dlmopen); it is never closed.
 * Why:      in the program's name space its event_base_new or elf_begin would be taken for ours, and ours for
 *           its; see DESIGN §2.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/internal.h"

/*
 * glibc keeps room for the static TLS of 3 more libcs (rtld.nns); what we took beyond would be missing when the program
 * opens a library that needs static TLS.  Daemons that fork twice get along with 3.
 */
#define NAMESPACES_MAX 3

static unsigned namespaces;		/* opened by this process and its ancestors */

/* Folder of libsonde.so itself, absolute and without symbolic links. */
static int
own_folder(char folder[PATH_MAX])
{
	static const char here;
	Dl_info info;
	char *slash;

	if (dladdr(&here, &info) == 0 || info.dli_fname == NULL)
		return -ENOENT;
	if (realpath(info.dli_fname, folder) == NULL)
		return -errno;
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

static bool
find(const char *folder, const char *const tails[], char *out, size_t size, int mode)
{
	for (; *tails != NULL; tails++) {
		int n = snprintf(out, size, "%s/%s", folder, *tails);

		if (n > 0 && (size_t)n < size && access(out, mode) == 0)
			return true;
	}
	out[0] = '\0';
	return false;
}

/* libc's pthread_create, not that of another library that was preloaded. */
static sn_create_fn *
find_create(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	void *create = libc != NULL ? dlsym(libc, "pthread_create") : NULL;

	if (libc != NULL)
		(void)dlclose(libc);		/* gives the count back: libc stays */
	return (sn_create_fn *)create;
}

static int
take_symbols(struct sn_module *m, void *handle, const char *path)
{
	const char *stamp = dlsym(handle, SN_COLLECTOR_STAMP);

	m->run = (sn_collector_fn *)dlsym(handle, SN_COLLECTOR_ENTRY);
	if (m->run == NULL || stamp == NULL || strncmp(stamp, SN_HOST_STAMP, sizeof(SN_HOST_STAMP)) != 0) {
		sn_log(SN_LOG_FILE, "%s is not of this version of libsonde.so; the program runs unprofiled", path);
		return -EPROTO;
	}
	return 0;
}

/* The program must not find an error of ours when it asks dlerror(). */
static void
log_dlerror(void)
{
	const char *why = dlerror();

	if (why != NULL)
		sn_log(SN_LOG_FILE, "%s", why);
}

bool
sn_module_may_open(void)
{
	return namespaces < NAMESPACES_MAX;
}

int
sn_module_open(struct sn_module *m, char *program, uint32_t program_bytes)
{
	static const char *const modules[] = { "sonde/libsonde-collect.so", "libsonde-collect.so", NULL };
	static const char *const commands[] = { "../bin/sonde", "../../bin/sonde", "../../tools/sonde", NULL };
	char folder[PATH_MAX], path[PATH_MAX];
	void *handle;
	int err = own_folder(folder);

	if (err < 0)
		return err;
	if (!find(folder, modules, path, sizeof(path), R_OK)) {
		sn_log(SN_LOG_FILE, "no libsonde-collect.so beside %s", folder);
		return -ENOENT;
	}
	(void)find(folder, commands, program, program_bytes, X_OK);
	if (!sn_module_may_open())
		return -EMFILE;
	m->create = find_create();
	handle = m->create != NULL ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL) : NULL;
	if (handle == NULL) {
		log_dlerror();
		return m->create != NULL ? -ELIBACC : -ENOTSUP;
	}
	namespaces++;
	err = take_symbols(m, handle, path);
	log_dlerror();
	m->opened = err == 0;
	return err;
}

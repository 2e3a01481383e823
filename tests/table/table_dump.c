/* SPDX-License-Identifier: Apache-2.0
 *
 * table_dump.c - print the compact unwind table of a file, or what making it costs.
 *
 *	table_dump FILE			one line a row: address, CFA, FP, BX, return address, "signed"
 *	table_dump --summary FILE...	one line a file: sizes and the fastest of five builds
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collect/table.h"

static const char *const cfa_name[] = { "none", "sp", "fp", "bx", "plt", "fp*", "sp*", "reg", "signal", "end", "bad" };

static void
print_saved(const char *what, unsigned how, int off)
{
	if (how == SN_SAVED_SAME)
		printf(" %s=u", what);
	else if (how == SN_SAVED_LOST)
		printf(" %s=lost", what);
	else
		printf(" %s=%c%+d", what, how == SN_SAVED_CFA ? 'c' : how == SN_SAVED_FP ? 'f' : 'r', off);
}

static void
print_rule(uint64_t at, const struct sn_rule *r)
{
	printf("%016" PRIx64 " %s", at, cfa_name[r->cfa]);
	if (r->cfa == SN_CFA_REG)
		printf("%u", r->aux);
	if (r->cfa != SN_CFA_NONE && r->cfa < SN_CFA_SIGNAL) {
		printf("%+d", r->cfa_off);
		if (r->cfa == SN_CFA_FP_DEREF || r->cfa == SN_CFA_SP_DEREF)
			printf("+%u", r->aux);
		print_saved("fp", r->fp, r->fp_off);
		print_saved("bx", r->bx, r->bx_off);
		print_saved("ra", r->ra, r->ra_off);
		if (r->ra_signed)
			printf(" signed");
	}
	printf("\n");
}

static void
print_rows(const struct sn_table *t)
{
	const uint32_t *index = (const uint32_t *)(const void *)(t->data + t->index);
	const struct sn_table_row *row = (const struct sn_table_row *)(const void *)(t->data + t->rows);
	uint64_t at;

	for (uint32_t b = 0; b < t->nbuckets; b++) {
		for (uint32_t i = index[b]; i < index[b + 1]; i++) {
			at = t->vaddr + ((uint64_t)b << t->shift) + row[i].at;
			print_rule(at, sn_table_find(t, at));
		}
	}
	printf("%016" PRIx64 " limit\n", t->limit);
}

/* Also a file of another machine. */
static int
compile(const char *path, struct sn_table *t)
{
	struct sn_image image = { .refs = 1, .fd = open(path, O_RDONLY | O_CLOEXEC) };
	struct sn_images all = { 0 };
	Elf64_Ehdr h;
	int err = image.fd < 0 ? -errno : 0;

	if (err == 0 && pread(image.fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h))
		image.machine = h.e_machine;
	if (err == 0)
		err = sn_image_parse(&image);
	if (err == 0)
		err = sn_table_of_image(&all, &image, t);
	if (image.fd >= 0)
		(void)close(image.fd);
	free(image.phdr);
	return err;
}

static double
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void
summary(const char *path)
{
	const char *name = strrchr(path, '/');
	struct sn_table t = { 0 };
	double best = 0, mb;
	int err = 0;

	for (int round = 0; round < 5 && err == 0; round++) {
		double start = now_ms(), ms;

		sn_table_free(&t);
		err = compile(path, &t);
		ms = now_ms() - start;
		if (round == 0 || ms < best)
			best = ms;
	}
	name = name == NULL ? path : name + 1;
	if (err < 0) {
		printf("%-28s %s\n", name, strerror(-err));
		return;
	}
	mb = (double)t.cfi_bytes / 1e6;
	printf("%-28s cfi %6.2f MB  fdes %6" PRIu64 "  bad %3" PRIu64 "  ", name, mb, t.fdes, t.bad_fdes);
	printf("rows %7u  rules %5u  shift %2u  table %6.2f MB  ", t.nrows, t.nrules, t.shift, t.bytes / 1e6);
	printf("ratio %.3f  %7.2f ms  %5.1f ms/MB  ", (double)t.bytes / (double)t.cfi_bytes, best, best / mb);
	printf("bad text %.3f %%\n", t.text_bytes > 0 ? 100.0 * (double)t.text_bad / (double)t.text_bytes : 0);
	sn_table_free(&t);
}

int
main(int argc, char **argv)
{
	struct sn_table t;
	int err;

	if (argc > 2 && strcmp(argv[1], "--summary") == 0) {
		for (int i = 2; i < argc; i++)
			summary(argv[i]);
		return EXIT_SUCCESS;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: table_dump [--summary] FILE...\n");
		return 2;
	}
	err = compile(argv[1], &t);
	if (err < 0) {
		fprintf(stderr, "table_dump: %s: %s\n", argv[1], strerror(-err));
		return EXIT_FAILURE;
	}
	print_rows(&t);
	sn_table_free(&t);
	return EXIT_SUCCESS;
}

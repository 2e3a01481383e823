/* SPDX-License-Identifier: Apache-2.0
 *
 * tables.h - the store of compact unwind tables, and the maps of texts that say where each counts.
 *
 * Runs in:  collector.  The store is one memfd for all processes that it serves; what is in it is never changed while
 *           a process that mapped its file lives.
 * When full: an image without room has no table, and stacks through it are copied.
 */
#ifndef SN_COLLECT_TABLES_H
#define SN_COLLECT_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/module.h"

struct sn_process;
struct sn_host;

/* Make the store, at most bound bytes; once.  0 or -errno: there is none then, and stacks are copied. */
int sn_tables_open(struct sn_images *all, size_t bound);
/* Everything that points to it must be gone: see sn_process_unpublish. */
void sn_tables_close(struct sn_images *all);
/* The descriptor to hand over, -1: no store. */
int sn_tables_fd(const struct sn_images *all);
/* Bytes of memory that it holds. */
size_t sn_tables_held(const struct sn_images *all);
/* The image ends. */
void sn_tables_drop(struct sn_images *all, struct sn_image *image);
/* A table into the store; its own copy goes.  0 or -errno. */
int sn_tables_put(struct sn_images *all, struct sn_table *t, uint32_t *at);
/* A place in it that nobody reads any more. */
void sn_tables_give_back(struct sn_images *all, uint32_t at, uint32_t bytes);
/* The fields of a text that name its table, at this place of the store. */
void sn_text_set_table(struct sn_text *x, const struct sn_table *t, uint32_t at, uint64_t bias);

/* The process's segment was made, or adopted, just now: what it maps of the store. */
void sn_process_offer_tables(struct sn_process *p);
/*
 * The maps of texts follow the modules; tables are compiled as far as some milliseconds go.  True: there is more to
 * do, soon.  Nothing is done for a process that has not used up a tick yet.
 */
bool sn_process_publish(struct sn_process *p);
/* Inside: the store goes.  0, or -EBUSY: a thread of the program may be in it, so it must stay mapped. */
int sn_process_unpublish(struct sn_process *p);

#endif

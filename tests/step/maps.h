/* SPDX-License-Identifier: Apache-2.0
 *
 * maps.h - what is mapped in the program, with a table for each image of it: what the collector would publish.
 *
 * Runs in:  the stepper's module, under its lock.
 */
#ifndef SN_STEP_MAPS_H
#define SN_STEP_MAPS_H

#include "step/engines.h"

int sn_maps_begin(const struct sn_step_base *base);
int sn_maps_refresh(void);
struct sn_modules *sn_maps_modules(void);
struct sn_images *sn_maps_images(void);
/* As dl_iterate_phdr, of the program's modules, without the loader, whose locks the program may be about to take. */
int sn_maps_iterate(int (*visit)(struct dl_phdr_info *, size_t, void *), void *arg);
/* Fill in map and store. */
void sn_maps_tables(struct sn_walk *w);

#endif

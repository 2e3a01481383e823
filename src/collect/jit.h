/* SPDX-License-Identifier: Apache-2.0
 *
 * jit.h - tables of code that the program made known by __register_frame.
 *
 * Runs in:  collector.
 * Memory:   all of it belongs to the struct sn_jit of the process, its tables lie in the store.
 */
#ifndef SN_COLLECT_JIT_H
#define SN_COLLECT_JIT_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/table.h"

struct sn_process;
struct sn_jit;

/* Was something registered, or taken back, since the last call of sn_jit_follow? */
bool sn_jit_is_behind(const struct sn_process *p);
/* Take what was registered and taken back since the last call.  Did anything change? */
bool sn_jit_follow(struct sn_process *p);
/* Put its code over the n texts of the map, sorted and at most SN_TEXTS_MAX of them.  How many there are then. */
uint32_t sn_jit_overlay(const struct sn_process *p, struct sn_text *texts, uint32_t n);
/* Tables that nobody reads any more (epoch and before) give back their place. */
void sn_jit_expire(struct sn_process *p, uint32_t oldest_read);
/* The image ends. */
void sn_jit_free(struct sn_process *p);

#endif

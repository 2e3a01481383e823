/* SPDX-License-Identifier: Apache-2.0
 *
 * sampling.c - sampling on and off, and the segment of the program that we run in.
 *
 * Runs in:  collector.
 * Exact:    when sampling ends, all that was used up to then is accounted for; when it begins, all clocks are
 *           read and skipped, so that no time in between is in any sum.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"
#include "collect/tables.h"

bool
sn_process_is_sampling(const struct sn_process *p)
{
	return !p->has_segment || (SN_LOAD_ACQUIRE(&p->seg.shared->sampling_obeyed) != 0) == p->sampling;
}

void
sn_process_set_sampling(struct sn_process *p, const struct sn_options *o, bool on)
{
	uint32_t fullest = 0;

	if (p->sampling == on || p->ended)
		return;
	if (on) {
		if (p->has_segment)
			(void)sn_process_drain(p, UINT32_MAX, &fullest);
		(void)sn_process_read_cpu(p);
		sn_process_skip_all(p);
		sn_process_skip_kin(p);
		if (p->cpu_ns > p->off_since_ns)
			p->off_ns += p->cpu_ns - p->off_since_ns;
		p->sampling = true;
	} else {
		(void)sn_process_mark(p, o);
		sn_process_take_kin(p);
		p->off_since_ns = p->cpu_ns;
		p->sampling = false;
		p->was_off = true;
	}
	sn_process_scan(p, (uint32_t)o->signal);	/* the wish, and a nudge */
	(void)sn_process_cut(p);
}

void
sn_process_begin_late(struct sn_process *p, const struct sn_options *o)
{
	if (!p->sampling)
		return;			/* it is skipped when sampling begins */
	p->sampling = false;
	p->was_off = true;
	sn_process_set_sampling(p, o, true);
	/* Counters of the slots go on from the run before. */
	for (uint32_t i = 0; i < p->slots_used; i++) {
		p->count.signals -= SN_LOAD_RELAXED(&p->seg.slots[i].signals);
		p->count.handler_ns -= SN_LOAD_RELAXED(&p->seg.slots[i].handler_ns);
	}
}

int
sn_process_adopt(struct sn_process *p, const struct sn_options *o, struct sn_host *host)
{
	(void)o;
	if (host->segment == NULL || p->has_segment)
		return -EINVAL;
	p->modules = calloc(1, sizeof(*p->modules));
	(void)sn_process_make_views(p, host->segment->nslots);
	if (p->modules == NULL || p->views == NULL)
		return -ENOMEM;
	sn_modules_init(p->modules, p->file_images, p->pid);
	p->samples_before = p->count.samples;
	p->generation = UINT32_MAX;		/* the first sample fetches the maps */
	p->unwinder = sn_unwinder_new(p->modules);
	if (p->unwinder == NULL)
		return -ENOMEM;
	p->seg = *host->segment;
	p->host = host;
	p->has_segment = true;
	p->way = p->seg.header->options.way;
	(void)sn_tables_open(p->file_images, p->memory_bound / 4);	/* without, stacks are copied */
	sn_process_offer_tables(p);
	sn_process_begin_pace(p);
	p->own_tid = (pid_t)syscall(SYS_gettid);
	sn_process_read_exe(p);
	p->images++;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * span.c - a span of time that the program itself begins and ends, while others have it sampled too: ProfilerStart
 * under `sonde run` or SONDE_*, and CPUPROFILESIGNAL.
 *
 * Runs in:  the collector.  A guest has one span at a time.
 * Memory:   its rows are pinned in the history; beyond the history's bound the oldest go, and the profile states the
 *           span that it covers.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "service/internal.h"

int
sn_span_begin(struct sn_service *s, struct sn_guest *g)
{
	if (g->span.from_ns != 0)
		return -EALREADY;
	sn_guest_pin(g);
	/* A forked child that has stopped, as servers do with what they got from their parent, begins again. */
	g->span.wakes = !g->process->sampling;
	if (g->span.wakes)
		sn_process_set_sampling(g->process, &s->options, true);
	g->span.from_ns = sn_process_mark(g->process, &s->options);
	g->span.cost_before_ns = g->own_cpu_ns;
	sn_answers_pin_oldest(s, g);
	return 0;
}

int
sn_span_profile(struct sn_service *s, struct sn_guest *g, struct sn_job *j)
{
	if (g->span.from_ns == 0)
		return -ENOENT;
	return sn_process_window(g->process, &s->options, g->span.from_ns, sn_process_mark(g->process, &s->options),
		g->own_cpu_ns - g->span.cost_before_ns, &j->window);
}

void
sn_span_end(struct sn_service *s, struct sn_guest *g)
{
	if (g->span.from_ns == 0)
		return;
	g->span.from_ns = 0;
	g->span.toggled = false;
	if (g->span.wakes)
		sn_process_set_sampling(g->process, &s->options, false);
	sn_guest_unpin(g);
	sn_answers_pin_oldest(s, g);
}

static int
end_toggled(struct sn_service *s, struct sn_guest *g)
{
	struct sn_job *j = sn_job_new(s, g->process);
	int err = j != NULL ? sn_span_profile(s, g, j) : -ENOMEM;

	if (err < 0 && j != NULL)
		sn_job_finish(s, j, err);
	sn_span_end(s, g);
	if (err == 0)
		err = sn_job_submit_numbered(s, j, g->span.toggles++);
	if (err < 0)
		sn_log(SN_LOG_FILE, "the profile of process %d could not be written: %s", (int)g->process->pid,
			strerror(-err));
	return err;
}

int
sn_span_toggle(struct sn_service *s, struct sn_guest *g)
{
	int err;

	if (s->file == NULL)
		return -ENOENT;
	if (g->span.toggled)
		return end_toggled(s, g);
	err = sn_span_begin(s, g);
	g->span.toggled = err == 0;
	return err;
}

bool
sn_span_end_toggled(struct sn_service *s)
{
	for (struct sn_guest *g = s->guests; g != NULL; g = g->next)
		if (g->span.toggled)
			(void)end_toggled(s, g);
	return sn_workers_busy(s);
}

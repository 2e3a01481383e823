/* SPDX-License-Identifier: Apache-2.0
 *
 * governor.c - what sampling costs stays within SONDE_BUDGET: the rate is lowered, and raised again.
 *
 * Runs in:  collector, once a scan.
 * Memory:   a few readings a process.
 * Cost:     the time that handlers took, the collector's for this process, and a constant for each signal: the
 *           kernel's part of a signal can be seen neither from the program, which must not be tried out, nor from here.
 * Exact:    a lower rate takes one of k base periods for all k (hot/cpu.c), so that weights stay in periods of the rate
 *           that was asked for and rows of different rates add up.  At each change there is a cut, which notes how long
 *           each rate was in force: the comments of a span are of its own rates.  Nothing else need be closed.
 */
#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "collect/process.h"

/*
 * Of a thread's CPU time, for delivery and return of a signal to an empty handler: 1.55 us, measured on x86-64 VMs.  A
 * perf event brings a timer interrupt of its own, where timers ride on the tick: 20 to 36 us on VMs, expected to be a
 * tenth of that on bare metal, so what stands here is between.
 */
#define TIMER_SIGNAL_NS	1550u
#define PERF_SIGNAL_NS	10000u
#define SLOTS_FEW	32u

#define WINDOW_NS	(10 * SN_NS_PER_SEC)
#define READ_EVERY_NS	(WINDOW_NS / 20)
#define BEGIN_NS	SN_NS_PER_SEC		/* what it costs to get to know a program is no rate's fault */
#define CPU_LEAST_NS	(SN_NS_PER_SEC / 10)	/* in a window: of less nothing can be said */
#define CPU_SOON_NS	SN_NS_PER_SEC		/* before a window is full, if the cost is so far off: */
#define FAR_OFF		2.0
#define ROOM_LEAST	0.25			/* of the budget, for what goes with the rate */
#define RAISE_BELOW	0.7			/* of the room: what a higher rate is thought to need */
#define HOLD_MAX_NS	(600 * SN_NS_PER_SEC)
#define SOON_AFTER_NS	(60 * SN_NS_PER_SEC)	/* a raise that did not last */

const uint32_t sn_paces[SN_PACES] = { 1, 2, 4, 8, 16, 32, 64, SN_PACE_EVERY_MAX };

bool
sn_governor_is_bound(const struct sn_options *o)
{
	return o->budget > 0 && ((o->named & SN_NAMED(budget)) != 0 || (o->named & SN_NAMED(hz)) == 0);
}

/* Of a timer: no longer than what becomes a sample. */
static uint32_t
ticks_at(uint32_t pace, uint64_t period_ns, uint64_t tick_ns)
{
	uint64_t ticks = pace > 0 && tick_ns > 0 ? sn_paces[pace] * period_ns / tick_ns : 1;

	if (ticks > SN_PACE_TICKS_MAX)
		return SN_PACE_TICKS_MAX;
	return ticks > 0 ? (uint32_t)ticks : 1;
}

/* CPU time from one sample to the next: at most one comes with each expiry. */
static double
sample_every(uint32_t pace, const struct sn_tempo *t)
{
	uint64_t least = t->tick_ns * ticks_at(pace, t->period_ns, t->tick_ns);
	uint64_t every = t->period_ns * sn_paces[pace];

	return (double)(every > least ? every : least);
}

uint32_t
sn_governor_decide(const struct sn_spent *span, const struct sn_tempo *now, uint64_t budget_ppm, uint64_t hold_ns)
{
	double budget = (double)span->cpu_ns * (double)budget_ppm / 1e6;
	double room = budget - (double)span->fixed_ns;
	double cost = (double)span->signal_ns + (double)span->sample_ns;
	uint32_t pace = now->pace < SN_PACES ? now->pace : SN_PACES - 1, ticks, best;

	if (span->cpu_ns < CPU_LEAST_NS)
		return pace;
	/* What does not go with the rate may be all the budget, in a program that hardly runs: no rate would help. */
	if (room < budget * ROOM_LEAST)
		room = budget * ROOM_LEAST;
	if (span->time_ns < WINDOW_NS && (span->cpu_ns < CPU_SOON_NS || cost < room * FAR_OFF))
		return pace;
	ticks = ticks_at(pace, now->period_ns, now->tick_ns);
	best = pace > 0 && span->time_ns >= hold_ns ? pace - 1 : pace;
	for (; best < SN_PACES - 1; best++) {
		double then = (double)span->sample_ns * sample_every(pace, now) / sample_every(best, now) +
		    (double)span->signal_ns * ticks / ticks_at(best, now->period_ns, now->tick_ns);

		if (then <= (best < pace ? room * RAISE_BELOW : room))
			break;
	}
	return best;
}

uint64_t
sn_process_delivery(const struct sn_process *p, uint64_t signals)
{
	uint64_t more = signals > p->governor.signals ? signals - p->governor.signals : 0;

	return p->governor.delivery_ns + more * (sn_process_uses_perf(p) ? PERF_SIGNAL_NS : TIMER_SIGNAL_NS);
}

void
sn_process_paces(const struct sn_process *p, uint64_t *in_force_ns)
{
	const struct sn_governor *g = &p->governor;
	uint64_t since = g->since_ns > 0 ? g->since_ns : p->began_mono_ns;
	uint64_t now = p->ended && p->ended_mono_ns > 0 ? p->ended_mono_ns : sn_clock_mono_ns();

	for (uint32_t i = 0; i < SN_PACES; i++)
		in_force_ns[i] = g->in_force_ns[i] + (i == g->pace && now > since ? now - since : 0);
}

int64_t
sn_process_rest(const struct sn_process *p, const struct sn_profile *prof)
{
	__int128 total = (__int128)sn_profile_total(prof) * prof->period_ns;

	/*
	 * At the asked rate less than a period of each slot is credited and in no sample.  Of a few slots it is left
	 * where it is, for that evens out; what many keep goes as the square root of their number.
	 */
	if (p->count.rate_changes == 0 && p->slots_most <= SLOTS_FEW)
		return sn_difference((int64_t)prof->cpu_ns, (int64_t)p->accounted_ns);
	for (uint32_t i = 0; i < prof->group_count; i++)
		total += prof->groups[i].residual_ns;
	return (int64_t)((__int128)prof->cpu_ns - total);
}

/* Ticks of the timers, or 0 where their interval is not ours to choose. */
static struct sn_tempo
tempo_of(const struct sn_process *p)
{
	bool by_timer = p->seg.header->options.drive == SN_DRIVE_TIMER ||
	    SN_LOAD_RELAXED(&p->seg.shared->drive_why) != SN_WHY_NONE;

	return (struct sn_tempo){
		.pace = p->governor.pace, .period_ns = p->profile.period_ns,
		.tick_ns = by_timer ? sn_clock_tick_ns() : 0,
	};
}

static void
tell_pace(struct sn_process *p)
{
	struct sn_tempo t = tempo_of(p);

	SN_STORE_RELAXED(&p->seg.wishes->pace, SN_PACE(sn_paces[t.pace], ticks_at(t.pace, t.period_ns, t.tick_ns)));
}

void
sn_process_begin_pace(struct sn_process *p)
{
	p->governor.image_ns = sn_clock_mono_ns();
	p->governor.spent_count = 0;
	tell_pace(p);
}

/* All figures of the segment may be made up: a handler takes no more than the program used, nor does a signal. */
static uint64_t
grown(uint64_t from, uint64_t to, uint64_t most)
{
	uint64_t by = to > from ? to - from : 0;

	return by < most ? by : most;
}

static void
read_spent(struct sn_process *p, uint64_t own_ns, uint64_t sample_ns, uint64_t now)
{
	struct sn_governor *g = &p->governor;
	struct sn_figures f;

	sn_process_figures(p, &f);
	if (g->spent_count == SN_SPENT_KEPT) {
		g->spent_count--;
		__builtin_memmove(g->spent, g->spent + 1, g->spent_count * sizeof(g->spent[0]));
	}
	g->delivery_ns = f.count.delivery_ns;
	g->signals = f.count.signals;
	g->spent[g->spent_count++] = (struct sn_spent){
		.time_ns = now, .cpu_ns = sn_process_sampled_cpu(p), .signal_ns = f.count.delivery_ns,
		.handler_ns = f.count.handler_ns, .sample_ns = sample_ns,
		.fixed_ns = own_ns > sample_ns ? own_ns - sample_ns : 0,
	};
}

/* Of the last ten seconds, or of less if the rate is newer. */
static struct sn_spent
newest_span(const struct sn_governor *g)
{
	const struct sn_spent *to = &g->spent[g->spent_count - 1], *from = to;
	uint64_t cpu;

	while (from > g->spent && to->time_ns - from->time_ns < WINDOW_NS)
		from--;
	cpu = grown(from->cpu_ns, to->cpu_ns, UINT64_MAX);
	return (struct sn_spent){
		.time_ns = to->time_ns - from->time_ns, .cpu_ns = cpu,
		.signal_ns = grown(from->signal_ns, to->signal_ns, cpu),
		.sample_ns = grown(from->sample_ns, to->sample_ns, UINT64_MAX) +
		    grown(from->handler_ns, to->handler_ns, cpu),
		.fixed_ns = grown(from->fixed_ns, to->fixed_ns, UINT64_MAX),
	};
}

/* A rate that proves too high soon after it was tried is tried more and more seldom. */
static void
hold(struct sn_governor *g, uint32_t pace, uint64_t now)
{
	if (pace < g->pace)
		g->raised_ns = now;
	else if (g->raised_ns == 0 || now - g->raised_ns > SOON_AFTER_NS)
		g->hold_ns = WINDOW_NS;
	else
		g->hold_ns = 2 * g->hold_ns < HOLD_MAX_NS ? 2 * g->hold_ns : HOLD_MAX_NS;
}

static void
change(struct sn_process *p, const struct sn_options *o, const struct sn_spent *span, uint32_t pace)
{
	struct sn_governor *g = &p->governor;
	uint64_t now = sn_clock_mono_ns();
	uint32_t fullest = 0;

	sn_log(SN_LOG_FILE, "process %d: %.4gHz after %.4gHz, which cost %.3f%% of its CPU time; budget %g%%",
		(int)p->pid, (double)o->hz / sn_paces[pace], (double)o->hz / sn_paces[g->pace],
		100.0 * (double)(span->signal_ns + span->sample_ns + span->fixed_ns) / (double)span->cpu_ns,
		(double)o->budget / 10000);
	(void)sn_process_drain(p, UINT32_MAX, &fullest);
	(void)sn_process_read_cpu(p);
	p->count.rate_changes++;
	hold(g, pace, now);
	g->in_force_ns[g->pace] += now - (g->since_ns > 0 ? g->since_ns : p->began_mono_ns);
	g->since_ns = now;
	g->pace = pace;
	g->spent_count = 0;
	(void)sn_process_cut(p);
	tell_pace(p);
}

void
sn_process_govern(struct sn_process *p, const struct sn_options *o, uint64_t own_ns, uint64_t sample_ns)
{
	struct sn_governor *g = &p->governor;
	uint64_t now = sn_clock_mono_ns();
	struct sn_tempo tempo;
	struct sn_spent span;
	uint32_t pace;

	if (!p->has_segment || p->ended || !sn_governor_is_bound(o) || now - g->image_ns < BEGIN_NS)
		return;
	if (!p->sampling) {
		g->spent_count = 0;
		return;
	}
	if (g->spent_count > 0 && now - g->spent[g->spent_count - 1].time_ns < READ_EVERY_NS)
		return;
	tell_pace(p);	/* again, as perf may have given way to timers */
	read_spent(p, own_ns, sample_ns, now);
	span = newest_span(g);
	tempo = tempo_of(p);
	pace = sn_governor_decide(&span, &tempo, (uint64_t)o->budget, g->hold_ns > WINDOW_NS ? g->hold_ns : WINDOW_NS);
	if (pace > g->pace && sn_process_uses_perf(p)) {
		sn_log(SN_LOG_FILE, "process %d: timers after perf events, which cost more than %g%% of its CPU time",
			(int)p->pid, (double)o->budget / 10000);
		SN_STORE_RELEASE(&p->seg.wishes->drive_why, (uint32_t)SN_WHY_BUDGET);
		g->spent_count = 0;
	} else if (pace != g->pace) {
		change(p, o, &span, pace);
	}
}

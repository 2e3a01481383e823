/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.c - the timer rule (DESIGN §5): every tick of CPU time is credited, whole periods
 * become samples.
 *
 * Runs in:  the handler, on the thread that burns the CPU; thread exit.
 * When full: the sample is counted as lost with its weight, and shown as [lost].
 */
#include <stddef.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/syscall.h"
#include "hot/hot.h"

/* More overruns than this are a blocked signal or a long system call; of that the rest stays unnamed. */
#define TICKS_MAX 8
_Static_assert(SN_PACE_TICKS_MAX <= TICKS_MAX, "an expiry in time must be credited whole");
/* So many handlers in a row that took half a period are no accident. */
#define SLOW_ROUNDS_MAX 64

/* Not: a late signal, of a thread that is gone or is not sampled now. */
static bool
may_tick(uint32_t state)
{
	return state == SN_SLOT_ARMED || state == SN_SLOT_ARMING || state == SN_SLOT_DISARMING;
}

/*
 * Whole periods in acc_ns become weight.  At a coarser pace one of k is taken, for all k: which, is the random number's
 * that `periods` began with, so that each period has the same chance of 1/k whatever k was before it, and a change of k
 * needs no other care.  What the sum of weights is then ahead or behind is put right when the profile is settled.
 */
static uint64_t
weigh(struct sn_slot *sl, uint64_t period_ns, uint32_t every)
{
	uint64_t whole = sl->acc_ns / period_ns;
	uint64_t before = sl->periods, after = before + whole;

	sl->acc_ns -= whole * period_ns;
	SN_STORE_RELAXED(&sl->periods, after);
	return every == 1 || whole == 0 ? whole : (after / every - before / every) * every;
}

/* So much CPU time went by, the stack at uc stands for it.  How long that took here, 0 when nothing was walked. */
static uint64_t
take(const struct sn_live_state *live, uint32_t slot, uint64_t credit, const ucontext_t *uc)
{
	struct sn_slot *sl = &live->segment.slots[slot];
	uint64_t weight;

	SN_BUMP(&sl->signals, 1);
	SN_BUMP(&sl->credited_ns, credit);
	sl->acc_ns += credit;
	weight = weigh(sl, live->options.period_ns, sn_pace_every(SN_LOAD_RELAXED(&live->segment.wishes->pace)));
	if (weight == 0)
		return 0;		/* thinned: no walk */
	if (!sn_filter_admits()) {
		SN_BUMP(&sl->filtered_weight, weight);
		sn_ring_note(&live->segment, slot);
		return 0;
	}
	return sn_push_sample(live, slot, (uint32_t)weight, uc);	/* a tail call: the stack may be small */
}

/*
 * Does the thread come back from the call that lets signals in?  Then ticks that came late were blocked.  Else they
 * came in a long system call, or at last: threads that share a processor may miss many ticks in a row.
 */
static bool
lets_signals_in(const ucontext_t *uc)
{
#if defined(__x86_64__)
	const greg_t *r = uc->uc_mcontext.gregs;
	const uint8_t *pc = (const uint8_t *)(uintptr_t)r[REG_RIP];

	/* The page before may not be there; and of a call its number is lost, its arguments are not. */
	return ((uintptr_t)pc & (SN_PAGE - 1)) >= 2 && pc[-2] == 0x0f && pc[-1] == 0x05 && r[REG_RAX] == 0 &&
	    r[REG_R10] == sizeof(uint64_t) && (uint64_t)r[REG_RDI] <= SIG_SETMASK;
#else
	const mcontext_t *m = &uc->uc_mcontext;

	return (m->pc & (SN_PAGE - 1)) >= 4 && *(const uint32_t *)(uintptr_t)(m->pc - 4) == 0xd4000001u &&
	    m->regs[8] == SYS_rt_sigprocmask;
#endif
}

void
sn_cpu_tick(const struct sn_live_state *live, uint32_t slot, int overrun, const ucontext_t *uc)
{
	const struct sn_slot *sl = &live->segment.slots[slot];
	uint32_t each = SN_LOAD_RELAXED(&sl->more_ticks) % SN_PACE_TICKS_MAX + 1;
	uint64_t ticks = overrun < 0 ? each : ((uint64_t)overrun + 1) * each;
	uint64_t most = TICKS_MAX + each - 1, credit;

	if (ticks > most && lets_signals_in(uc))
		ticks = 0;		/* it was blocked: none of this is the stack's at hand */
	if (!may_tick(SN_LOAD_RELAXED(&sl->state)))
		return;
	credit = (ticks < most ? ticks : most) * live->options.tick_ns;
	/* Not at its first tick: most threads that see one tick do not see another, and a system call costs as much. */
	if (sn_pace_ticks(SN_LOAD_RELAXED(&live->segment.wishes->pace)) != each &&
	    sl->credited_ns + credit > live->options.tick_ns)
		sn_slot_keep_pace(live, slot);
	(void)take(live, slot, credit, uc);
}

bool
sn_cpu_period(const struct sn_live_state *live, uint32_t slot, const ucontext_t *uc)
{
	struct sn_slot *sl = &live->segment.slots[slot];

	if (!may_tick(SN_LOAD_RELAXED(&sl->state)))
		return true;
	if (take(live, slot, live->options.period_ns, uc) > live->options.period_ns / 2)
		SN_STORE_RELAXED(&sl->slow_rounds, sl->slow_rounds + 1);
	else
		SN_STORE_RELAXED(&sl->slow_rounds, 0);
	return sl->slow_rounds < SLOW_ROUNDS_MAX;
}

void
sn_cpu_thread_exit(const struct sn_segment *s, uint32_t slot, bool has_timer)
{
	struct sn_slot *sl = &s->slots[slot];
	struct sn_rec_exit *last;
	struct sn_rec *r;
	uint64_t word;

	r = sn_ring_reserve(s, slot, sizeof(*r) + sizeof(*last), &word);
	if (r == NULL)
		return;			/* its last scan by the collector stands */
	*r = (struct sn_rec){
		.word = word | SN_REC_BUSY,
		.kind = SN_REC_EXIT,
		.flags = (sl->is_main ? SN_REC_IS_MAIN : 0) | (has_timer ? 0 : SN_REC_NO_TIMER),
		.tid = sl->tid,
		.time_ns = sn_clock_mono_ns(),
		.start_fn = sl->start_fn,
	};
	last = (struct sn_rec_exit *)(r + 1);
	__builtin_memset(last->comm, 0, sizeof(last->comm));
	(void)sn_syscall2(SYS_prctl, 16 /* PR_GET_NAME */, last->comm);
	last->credited_ns = sl->credited_ns;
	last->cpu_at_arming_ns = sl->cpu_at_arming_ns;
	last->cpu_ns = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	sn_ring_publish(r, word);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * wish.c - do what the collector wishes: arm a thread, drop a dead one's timer, begin or end sampling.
 *
 * Runs in:  the handler, when the collector has posted something (system calls, but not on the common path);
 *           sn_sampling_obey also on the collector's thread inside.
 * Memory:   none of its own.
 * When full: a wish that finds no slot is dropped; the collector asks again.
 */
#include <errno.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "hot/hot.h"

#define ROUNDS_MAX 4		/* the word changes a few times a second at most; the collector asks again */

/* Nobody else ends this slot: its thread is gone without a word. */
static void
drop_dead(const struct sn_segment *s, uint32_t slot)
{
	struct sn_slot *sl = &s->slots[slot];
	uint32_t state = SN_LOAD_ACQUIRE(&sl->state);

	if (sn_syscall3(SYS_tgkill, sn_syscall0(SYS_getpid), sl->tid, 0) != -ESRCH)
		return;
	if ((state != SN_SLOT_ARMED && state != SN_SLOT_IDLE) ||
	    !SN_CAS_ACQ_REL(&sl->state, &state, SN_SLOT_DISARMING))
		return;
	if (sl->timer_id >= 0)
		(void)sn_syscall1(SYS_timer_delete, sl->timer_id);
	sn_perf_close(slot);
	sn_slot_release(s, slot);
}

static void
obey(const struct sn_live_state *live, uint32_t op, uint32_t arg)
{
	if (op == SN_WISH_ARM)
		(void)sn_slot_adopt(live, (pid_t)arg);
	else if (op == SN_WISH_DISARM && arg < live->segment.nslots)
		drop_dead(&live->segment, arg);
}

void
sn_sampling_obey(struct sn_live_state *live)
{
	const struct sn_segment *s = &live->segment;
	uint32_t word = SN_LOAD_ACQUIRE(&s->wishes->sampling);

	if (word == SN_LOAD_ACQUIRE(&s->shared->sampling_obeyed))
		return;
	/* Whoever is last to end looks at the word after all that the others did. */
	for (int round = 0; round < ROUNDS_MAX; round++) {
		uint32_t now;

		SN_FENCE();
		for (uint32_t i = 0; i < s->nslots && SN_LOAD_RELAXED(&s->slots[i].uses) != 0; i++)
			sn_slot_follow(live, i, word != 0);
		if (live->options.drive != SN_DRIVE_ITIMER || word == 0)
			sn_itimer_stop();
		else if (!sn_itimer_start(live))
			sn_slots_use_timers(live, SN_WHY_OWN_ITIMER);	/* the program's, since nothing was sampled */
		SN_STORE_RELEASE(&s->shared->sampling_obeyed, word);
		SN_FENCE();
		now = SN_LOAD_ACQUIRE(&s->wishes->sampling);
		if (now == word)
			return;
		word = now;
	}
}

void
sn_wishes_obey(struct sn_live_state *live)
{
	struct sn_segment_wishes *w = live->segment.wishes;
	uint32_t posted = SN_LOAD_ACQUIRE(&w->posted);

	for (unsigned i = 0; i < SN_WISHES; i++) {
		uint64_t wish = SN_LOAD_RELAXED(&w->wish[i]);

		if (wish != 0 && SN_CAS_ACQ_REL(&w->wish[i], &wish, 0))
			obey(live, (uint32_t)(wish >> 32), (uint32_t)wish);
	}
	sn_sampling_obey(live);
	SN_STORE_RELAXED(&live->segment.shared->wishes_done, posted);
}

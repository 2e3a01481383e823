/* SPDX-License-Identifier: Apache-2.0
 *
 * window_fixture.h - a process whose segment and clocks are made by the test.
 */
#ifndef SN_TESTS_WINDOW_FIXTURE_H
#define SN_TESTS_WINDOW_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/process.h"
#include "collect/tables.h"
#include "hot/hot.h"

#define MS 1000000ull
#define NOBODY 0x7ffffff0		/* beyond any pid_max */

static struct sn_images images;
static struct sn_process *p;
static struct sn_options options;

static inline void
begin(pid_t pid)
{
	images = (struct sn_images){ 0 };
	p = sn_process_new(pid, &options, &images);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(sn_process_begin_image(p, &options, 8, NULL), 0);
	sn_segment_fill_free_list(&p->seg);
}

static inline void
set_up(void)
{
	sn_options_default(&options);
	begin(NOBODY);
}

static inline void
tear_down(void)
{
	sn_process_free(p);
	sn_tables_close(&images);
}

static inline uint32_t
begin_thread(int32_t tid, uint64_t start_fn)
{
	uint32_t slot = sn_slot_claim(&p->seg), fullest = 0;
	struct sn_slot *sl = &p->seg.slots[slot];

	ck_assert_uint_ne(slot, SN_NO_SLOT);
	sl->tid = tid;
	sl->start_fn = start_fn;
	SN_STORE_RELEASE(&sl->state, SN_SLOT_ARMED);
	(void)sn_process_drain(p, UINT32_MAX, &fullest);
	(void)sn_process_view(p, slot);
	return slot;
}

static inline struct sn_rec *
reserve(uint32_t slot, uint32_t kind, uint32_t more, uint64_t *word)
{
	const struct sn_slot *sl = &p->seg.slots[slot];
	struct sn_rec *r = sn_ring_reserve(&p->seg, slot, (uint32_t)sizeof(*r) + more, word);

	ck_assert_ptr_nonnull(r);
	*r = (struct sn_rec){
		.word = *word | SN_REC_BUSY, .kind = (uint16_t)kind, .tid = sl->tid, .start_fn = sl->start_fn,
		.time_ns = sn_clock_mono_ns(),
	};
	return r;
}

/* The thread burns so long: it is credited so much of it, in samples of this stack; the clocks go on. */
static inline void
burn(uint32_t slot, uint64_t cpu_ns, uint32_t periods, uint64_t pc)
{
	struct sn_slot *sl = &p->seg.slots[slot];
	struct sn_thread_view *v = &p->views[slot];
	uint64_t word;

	if (periods > 0) {
		struct sn_rec *r = reserve(slot, SN_REC_FRAMES, 8, &word);

		r->nframes = 1;
		r->weight = periods;
		memcpy(r + 1, &pc, 8);
		sn_ring_publish(r, word);
		sl->pushed_weight += periods;
	}
	sl->credited_ns += periods * 10 * MS;
	p->cpu_ns += cpu_ns;
	v->cpu_ns += cpu_ns;			/* as a scan would have read it */
	v->credited_ns = sl->credited_ns;
	sn_process_account(p, v, v->cpu_ns, v->credited_ns);
}

static inline void
end_thread(uint32_t slot, uint64_t cpu_ns)
{
	const struct sn_slot *sl = &p->seg.slots[slot];
	struct sn_rec_exit last = { .cpu_ns = cpu_ns, .credited_ns = sl->credited_ns, .comm = "made-up" };
	uint64_t word;
	struct sn_rec *r = reserve(slot, SN_REC_EXIT, sizeof(last), &word);

	memcpy(r + 1, &last, sizeof(last));
	sn_ring_publish(r, word);
	sn_slot_release(&p->seg, slot);
}

static inline uint64_t
mark(void)
{
	return sn_process_mark(p, &options);
}

/* Periods under a frame of the pseudo kind, or at an address. */
static inline uint64_t
flat(const struct sn_profile *prof, enum sn_pseudo pseudo, uint64_t addr)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < prof->row_count; i++) {
		const struct sn_frame *f = &prof->frames[prof->frame_ids[prof->stacks[prof->rows[i].stack].first]];

		if (f->pseudo == pseudo && f->addr == addr)
			n += prof->rows[i].count;
	}
	return n;
}

static inline struct sn_window
window(uint64_t from_ns, uint64_t to_ns)
{
	struct sn_window w;

	ck_assert_int_eq(sn_process_window(p, &options, from_ns, to_ns, 0, &w), 0);
	ck_assert_uint_le(w.from_ns, w.to_ns);
	ck_assert_uint_eq(w.profile.duration_ns, w.to_ns - w.from_ns);
	return w;
}

static inline bool
has_comment(const struct sn_profile *prof, const char *text)
{
	for (uint32_t i = 0; i < prof->comment_count; i++)
		if (strstr(prof->comments[i], text) != NULL)
			return true;
	return false;
}

#endif

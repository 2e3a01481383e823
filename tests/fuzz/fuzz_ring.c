/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_ring.c - a ring full of hostile bytes: the reader takes only what passes, and ends.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collect/process.h"
#include "segment/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take(void *ctx, uint32_t slot, const struct sn_record *r)
{
	uint32_t *count = ctx;

	(void)slot;
	if (r->payload_bytes > sizeof(r->payload) ||
	    (r->rec.kind == SN_REC_STACK && r->rec.stack_bytes + sizeof(struct sn_regs) != r->payload_bytes) ||
	    (r->rec.kind == SN_REC_FRAMES && r->rec.nframes * sizeof(uint64_t) != r->payload_bytes))
		abort();
	*count += 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *base;
	static uint64_t bytes;
	struct sn_segment_options o = { .period_ns = 1, .tick_ns = 1 };
	struct sn_segment s;
	uint32_t count = 0;
	uint64_t pos = 0;
	char comm[16];

	if (base == NULL) {
		bytes = sn_segment_size(1, SN_RING_FRAMES);
		base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		sn_segment_format(base, 1, SN_RING_FRAMES, 1, &o);
	}
	if (sn_segment_open(&s, base, bytes) != 0 || size < 16)
		return 0;
	memcpy(&s.slots[0].head, data, 8);
	memcpy(&s.slots[0].resv, data + 8, 8);
	memset(s.ring_chunk[0], 0, s.ring_bytes);
	memcpy(s.ring_chunk[0] + (s.slots[0].head & (s.ring_bytes / 2 - 1) & ~7ull), data + 16,
		size - 16 < s.ring_bytes / 2 ? size - 16 : s.ring_bytes / 2);
	(void)sn_ring_find_exit(&s, 0, s.slots[0].head, 1, comm);
	(void)sn_drain_ring(&s, 0, 100000, -1, false, &pos, take, &count);
	return 0;
}

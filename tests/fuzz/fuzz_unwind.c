/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_unwind.c - hostile registers, stacks and CFI: the unwinder ends, with frames that it may give.
 *
 * Even first byte: registers (each chosen by a byte: raw, a code address of this program, or within the stack) and a
 * stack, whose words may be turned into code addresses, against this program's own modules.  Odd: the rest of the
 * input is .eh_frame_hdr's table and .eh_frame of a made-up module.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "collect/unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STACK	0x700000000000ull
#define CODE	0x400000ull		/* of the made-up module */
#define HDR	0x10000ull		/* beyond its start: .eh_frame_hdr */

static struct sn_images images;
static struct sn_modules own, made_up;
static struct sn_unwinder *own_unwinder, *made_up_unwinder;

static uint8_t hdr[20] = { 1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0, 1, 0, 0, 0 };
static struct sn_image image = { .fd = -1, .cfi_state = 1, .hdr = hdr, .hdr_vaddr = HDR, .hdr_bytes = sizeof(hdr),
	.frame_vaddr = HDR + 0x1000 };
static struct sn_module module = { .start = CODE, .limit = CODE + 0x20000, .bias = CODE, .image = &image };
static struct sn_module *list[1] = { &module };

static void
start(void)
{
	struct sn_buf text = { 0 };

	if (sn_buf_read_path(&text, "/proc/self/maps", 16u << 20) < 0)
		abort();
	sn_modules_init(&own, &images, getpid());
	if (sn_modules_update(&own, (char *)text.data, text.len, NULL, NULL) < 0)
		abort();
	sn_buf_free(&text);
	made_up = (struct sn_modules){ .all = list, .count = 1, .now = list, .now_count = 1, .images = &images };
	own_unwinder = sn_unwinder_new(&own);
	made_up_unwinder = sn_unwinder_new(&made_up);
	if (own_unwinder == NULL || made_up_unwinder == NULL)
		abort();
}

/* A value that gets somewhere more often than chance would. */
static uint64_t
shape(uint64_t raw, const struct sn_modules *m)
{
	const struct sn_module *mod = m->now[(raw >> 8) % m->now_count];

	switch (raw & 7) {
	case 0: case 1:
		return mod->start + (raw >> 16) % (mod->limit - mod->start);
	case 2: case 3:
		return STACK + ((raw >> 8) & 0xff8);
	case 4:
		return 0;
	default:
		return raw;
	}
}

static void
check(const struct sn_unwound *out, const struct sn_modules *m, const struct sn_regs *regs, uint32_t depth)
{
	if (out->count < 1 || out->count > depth || out->pc[0] != regs->r[SN_REG_PC])
		abort();
	for (uint32_t i = 1; i < out->count; i++) {
		if (sn_modules_find(m, out->pc[i]) == NULL && sn_modules_find(m, out->pc[i] + 1) == NULL)
			abort();
	}
}

static void
unwind(struct sn_unwinder *u, const struct sn_modules *m, const uint8_t *data, size_t size, uint8_t flags)
{
	static uint64_t stack[512];
	struct sn_unwound out;
	struct sn_regs regs;
	uint32_t words = 0, depth = flags & 2 ? 16 : SN_FRAMES_MAX;
	uint64_t raw;

	for (unsigned i = 0; i < SN_NREGS; i++) {
		raw = 0;
		if (size >= sizeof(raw)) {
			memcpy(&raw, data, sizeof(raw));
			data += sizeof(raw);
			size -= sizeof(raw);
		}
		regs.r[i] = shape(raw, m);
	}
	if (!(flags & 4))
		regs.r[SN_REG_SP] = STACK;
	for (; size >= sizeof(raw) && words < 512; data += sizeof(raw), size -= sizeof(raw)) {
		memcpy(&raw, data, sizeof(raw));
		stack[words++] = shape(raw, m);
	}
#if defined(__aarch64__)
	regs.r[SN_REG_PC] &= (UINT64_C(1) << 48) - 1;
#endif
	/* also a copy that ends within a word */
	sn_unwind(u, &regs, (const uint8_t *)stack, words > 0 ? words * 8 - (flags >> 5) : 0, flags & 8, depth, &out);
	check(&out, m, &regs, depth);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int32_t pair[2] = { -(int32_t)HDR, 0x1000 };
	size_t part;
	uint8_t *frame;

	if (own_unwinder == NULL)
		start();
	if (size < 3)
		return 0;
	if (!(data[0] & 1)) {
		unwind(own_unwinder, &own, data + 1, size - 1, data[0]);
		return 0;
	}
	/* exactly as large as it is, so that a byte too far is seen */
	part = (size - 3) * data[1] / 255;
	pair[1] += data[2];		/* where the FDE is; its CIE lies before it */
	frame = malloc(part > 0 ? part : 1);
	if (frame == NULL)
		abort();
	memcpy(frame, data + 3, part);
	image.frame = frame;
	image.frame_bytes = part;
	memcpy(hdr + 12, pair, sizeof(pair));
	sn_unwinder_flush(made_up_unwinder);
	unwind(made_up_unwinder, &made_up, data + 3 + part, size - 3 - part, data[0]);
	free(frame);
	image.frame = NULL;
	image.frame_bytes = 0;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * table_build.c - from blocks of call frame information to a table: entries found, sorted, run (see table.h).
 *
 * Runs in:  collector.
 * Memory:   while it runs about as much as ten times the bytes of CFI at the very worst, three times in practice; then
 *           the table alone.  Time: each byte is read a fixed number of times, and FDEs are sorted once.
 * When failing: an FDE that cannot be used loses its range and is counted; only want of memory ends the work.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/cfi.h"
#include "collect/table_rows.h"

#define BLOCKS_MAX	4u
#define BLOCK_BYTES_MAX	(256u << 20)
#define CIES_MAX	(1u << 18)

#define KNOWN		UINT32_MAX	/* as number of the CIE: code without */

/* A function's CFI, or known code without. */
struct piece {
	uint32_t start, limit;		/* from the beginning of the text */
	uint32_t order;			/* the earlier one counts */
	uint32_t cie;			/* number, or KNOWN */
	uint32_t program, bytes;	/* place in the CIE's block; of KNOWN: which */
};

struct build {
	const struct sn_cfi_block *block;
	const struct sn_known_code *known;
	uint64_t text_lo, text_hi;
	struct sn_cfi_cie *cie;		/* by block, then by place */
	uint32_t ncies, cie_cap;
	struct piece *piece;
	uint32_t npieces, piece_cap;
	struct sn_rows rows;
	struct sn_table *out;
	/* The piece at hand. */
	const struct sn_cfi_cie *at_cie;
	uint32_t done;			/* code up to here has rows */
};

static int
grow(void **array, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t more = *cap < 64 ? 64 : *cap * 2;
	void *fresh;

	if (n < *cap)
		return 0;
	fresh = realloc(*array, more * size);
	if (fresh == NULL)
		return -ENOMEM;
	*array = fresh;
	*cap = more;
	return 0;
}

/* CIEs that cannot be read are left out: their FDEs do not find them. */
static int
add_cie(struct build *b, unsigned block, struct sn_cfi_entry *e)
{
	const struct sn_cfi_block *in = &b->block[block];
	struct sn_cfi_cie c;
	int err;

	if (b->ncies == CIES_MAX || sn_cfi_read_cie(&e->body, sn_cfi_arch(in->machine), &c) < 0 ||
	    sn_cfi_run_cie(in, e->body, &c) < 0)
		return 0;
	c.at = e->at;
	c.block = (uint8_t)block;
	err = grow((void **)&b->cie, b->ncies, &b->cie_cap, sizeof(*b->cie));
	if (err == 0)
		b->cie[b->ncies++] = c;
	return err;
}

/*
 * The number of the CIE at a place of the block at hand, whose CIEs are those from first on; or -ENOENT.  Neighbours
 * mostly share one, so the last one found is looked at first.
 */
static int64_t
find_cie(const struct build *b, uint64_t at, uint32_t first, uint32_t *last)
{
	uint32_t lo = first, hi = b->ncies;

	if (*last < hi && b->cie[*last].at == at)
		return *last;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->cie[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == b->ncies || b->cie[lo].at != at)
		return -ENOENT;
	*last = lo;
	return lo;
}

static int
add_piece(struct build *b, const struct piece *p)
{
	int err = grow((void **)&b->piece, b->npieces, &b->piece_cap, sizeof(*b->piece));

	if (err == 0) {
		b->piece[b->npieces] = *p;
		b->piece[b->npieces].order = b->npieces;
		b->npieces++;
	}
	return err;
}

static int
add_fde(struct build *b, const struct sn_cfi_block *in, struct sn_cfi_entry *e, int64_t cie)
{
	uint64_t start, bytes;
	struct piece p;

	if (cie < 0 || sn_cfi_read_fde(&e->body, &b->cie[cie], &start, &bytes) < 0) {
		b->out->bad_fdes++;
		return 0;
	}
	/* What a linker threw away stays behind without length, or in .debug_frame at address 0 or -1. */
	if (bytes == 0 || (in->is_debug_frame && start + 1 <= 1))
		return 0;
	if (start < b->text_lo || start >= b->text_hi || bytes > b->text_hi - start) {
		b->out->bad_fdes++;
		return 0;
	}
	p = (struct piece){ .start = (uint32_t)(start - b->text_lo), .limit = (uint32_t)(start - b->text_lo + bytes),
		.cie = (uint32_t)cie, .program = (uint32_t)(e->body.p - in->data), .bytes = (uint32_t)e->body.left };
	return add_piece(b, &p);
}

/* All CIEs of a block and then all FDEs: in .debug_frame a CIE may come behind its FDEs. */
static int
read_block(struct build *b, unsigned block)
{
	const struct sn_cfi_block *in = &b->block[block];
	uint32_t first = b->ncies, last = first;
	struct sn_cfi_entry e;
	int more = 1, err = 0;

	for (uint64_t at = 0; more > 0 && err == 0;) {
		more = sn_cfi_next(in, &at, &e);
		if (more > 0 && e.is_cie)
			err = add_cie(b, block, &e);
	}
	if (more < 0)
		b->out->bad_fdes++;
	more = 1;
	for (uint64_t at = 0; more > 0 && err == 0;) {
		more = sn_cfi_next(in, &at, &e);
		if (more > 0 && !e.is_cie)
			err = add_fde(b, in, &e, find_cie(b, e.cie, first, &last));
	}
	return err;
}

static int
by_start(const void *one, const void *other)
{
	const struct piece *a = one, *b = other;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static void
sort_pieces(struct build *b)
{
	for (uint32_t i = 1; i < b->npieces; i++) {
		if (b->piece[i].start < b->piece[i - 1].start) {
			qsort(b->piece, b->npieces, sizeof(*b->piece), by_start);
			return;
		}
	}
}

static int
add_row(void *arg, uint64_t from, uint64_t to, const struct sn_cfi_state *state)
{
	struct build *b = arg;
	struct sn_rule rule;

	from -= b->text_lo;
	to -= b->text_lo;
	if (to <= b->done)
		return 0;	/* an earlier FDE has this code */
	sn_cfi_rule(&b->block[b->at_cie->block], b->at_cie, state, &rule);
	return sn_rows_add(&b->rows, from < b->done ? b->done : from, &rule);
}

/* Rows of known code, unless CFI says something of it. */
static int
run_known(struct build *b, const struct piece *p, const struct piece *next)
{
	const struct sn_known_code *k = &b->known[p->program];
	int err = 0;

	if (p->start < b->done || (next != NULL && next->start < p->limit))
		return 1;
	for (unsigned i = 0; i < k->nrows && err == 0; i++)
		err = sn_rows_add(&b->rows, p->start + k->row[i].at, &k->row[i].rule);
	return err;
}

/* A program that fails on its way leaves nothing but a bad row. */
static int
run_piece(struct build *b, const struct piece *p)
{
	static const struct sn_rule bad = { .cfa = SN_CFA_BAD };
	const struct sn_cfi_block *in;
	uint32_t before = b->rows.nrows;
	struct sn_span program;
	int err;

	b->at_cie = &b->cie[p->cie];
	in = &b->block[b->at_cie->block];
	program = (struct sn_span){ .p = in->data + p->program, .left = p->bytes, .vaddr = in->vaddr + p->program };
	if (p->start < b->done)
		b->out->bad_fdes++;
	else
		b->out->fdes++;
	err = sn_cfi_run_fde(in, program, b->at_cie, b->text_lo + p->start, b->text_lo + p->limit, add_row, b);
	if (err != -EBADMSG)
		return err;
	if (p->start >= b->done) {
		b->out->fdes--;
		b->out->bad_fdes++;
	}
	b->rows.nrows = before;
	return p->limit <= b->done ? 0 : sn_rows_add(&b->rows, p->start < b->done ? b->done : p->start, &bad);
}

/*
 * Code without CFI up to the next function; padding too, which takes nothing from the function before it.  The byte
 * before a function is as its entry: there lie "return addresses" that no call made (makecontext's, a signal's).
 */
static int
fill_gap(struct build *b, uint32_t to, bool to_function)
{
	static const struct sn_rule none = { .cfa = SN_CFA_NONE };
	struct sn_rule entry = { .cfa = SN_CFA_SP };
	int err;

	if (to <= b->done)
		return 0;
	if (b->block[0].machine == EM_X86_64) {
		entry.cfa_off = 8;
		entry.ra = SN_SAVED_CFA;
		entry.ra_off = -8;
	}
	err = to - b->done > 1 || !to_function ? sn_rows_add(&b->rows, b->done, &none) : 0;
	return err == 0 && to_function ? sn_rows_add(&b->rows, to - 1, &entry) : err;
}

static int
run_all(struct build *b)
{
	uint64_t text = b->text_hi - b->text_lo;
	int err = 0;

	for (uint32_t i = 0; i < b->npieces && err >= 0; i++) {
		const struct piece *p = &b->piece[i];

		err = fill_gap(b, p->start, p->cie == KNOWN || !b->cie[p->cie].signal);
		if (err == 0 && p->cie == KNOWN)
			err = run_known(b, p, i + 1 < b->npieces ? p + 1 : NULL);
		else if (err == 0)
			err = run_piece(b, p);
		if (err == 0 && p->limit > b->done)
			b->done = p->limit;
	}
	return err < 0 ? err : fill_gap(b, (uint32_t)text, false);
}

static int
add_known(struct build *b, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && err == 0; i++) {
		const struct sn_known_code *k = &b->known[i];

		if (k->start < b->text_lo || k->limit > b->text_hi || k->start >= k->limit)
			continue;
		err = add_piece(b, &(struct piece){ .start = (uint32_t)(k->start - b->text_lo),
			.limit = (uint32_t)(k->limit - b->text_lo), .cie = KNOWN, .program = i });
	}
	return err;
}

static int
check_blocks(const struct sn_cfi_block *blocks, unsigned n)
{
	if (n == 0 || n > BLOCKS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		if (sn_cfi_arch(blocks[i].machine) == NULL || blocks[i].machine != blocks[0].machine)
			return -ENOTSUP;
		if (blocks[i].bytes > BLOCK_BYTES_MAX)
			return -E2BIG;
	}
	if (blocks[0].text_hi <= blocks[0].text_lo)
		return -ENODATA;
	return blocks[0].text_hi - blocks[0].text_lo > UINT32_MAX ? -E2BIG : 0;
}

static int
build(struct build *b, unsigned nblocks, unsigned nknown)
{
	int err = 0;

	for (unsigned i = 0; i < nblocks && err == 0; i++) {
		err = read_block(b, i);
		b->out->cfi_bytes += b->block[i].bytes;
	}
	if (err == 0 && b->npieces == 0)
		err = -ENODATA;
	if (err == 0)
		err = add_known(b, nknown);
	if (err < 0)
		return err;
	sort_pieces(b);
	b->out->vaddr = b->text_lo;
	b->out->limit = b->text_hi;
	err = run_all(b);
	return err < 0 ? err : sn_rows_pack(&b->rows, b->out);
}

int
sn_table_build(const struct sn_cfi_block *blocks, unsigned nblocks, const struct sn_known_code *known,
	unsigned nknown, struct sn_table *out)
{
	struct build b = { .block = blocks, .known = known, .out = out };
	int err = check_blocks(blocks, nblocks);

	*out = (struct sn_table){ 0 };
	if (err < 0)
		return err;
	b.text_lo = blocks[0].text_lo;
	b.text_hi = blocks[0].text_hi;
	err = sn_rows_init(&b.rows);
	if (err == 0)
		err = build(&b, nblocks, nknown);
	sn_rows_free(&b.rows);
	free(b.cie);
	free(b.piece);
	return err;
}

int
sn_table_compile(const struct sn_cfi_block *block, struct sn_table *out)
{
	return sn_table_build(block, 1, NULL, 0, out);
}

void
sn_table_free(struct sn_table *t)
{
	free(t->data);
	*t = (struct sn_table){ 0 };
}

const struct sn_rule *
sn_table_find(const struct sn_table *t, uint64_t vaddr)
{
	const uint32_t *index = (const uint32_t *)(const void *)(t->data + t->index);
	const struct sn_table_row *row = (const struct sn_table_row *)(const void *)(t->data + t->rows);
	const struct sn_rule *rule = (const struct sn_rule *)(const void *)(t->data + t->rules);
	uint64_t off = vaddr - t->vaddr;
	uint32_t lo, hi, at;

	if (vaddr < t->vaddr || vaddr >= t->limit)
		return NULL;
	at = (uint32_t)off & ((1u << t->shift) - 1);
	lo = index[off >> t->shift];
	hi = index[(off >> t->shift) + 1];
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (row[mid].at <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return &rule[row[lo - 1].rule];
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * plt.c - names of procedure linkage stubs: memcpy@plt.
 *
 * Runs in:  collector.
 * Method:   the jump of a stub tells its slot in the GOT, and the relocation of that slot
 *           tells the symbol; so it works for .plt, .plt.sec and .plt.got of every linker.
 * Memory:   one struct stub per address in a PLT, freed before it returns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/lookup.h"

struct stub {
	uint64_t got;			/* address of the slot that it jumps by */
	struct sn_lookup *l;
};

/* x86-64: [endbr64] [bnd] jmp *disp32(%rip) */
static bool
decode_x86(const uint8_t *code, size_t len, uint64_t pc, uint64_t *got)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t i = 0;
	int32_t disp;

	if (len >= sizeof(endbr) && memcmp(code, endbr, sizeof(endbr)) == 0)
		i = sizeof(endbr);
	if (i < len && code[i] == 0xf2)
		i++;
	if (len - i < 6 || code[i] != 0xff || code[i + 1] != 0x25)
		return false;
	memcpy(&disp, code + i + 2, sizeof(disp));
	*got = pc + i + 6 + (uint64_t)(int64_t)disp;
	return true;
}

/* aarch64: [bti c] adrp x16, page; ldr x17, [x16, #offset] */
static bool
decode_arm(const uint8_t *code, size_t len, uint64_t pc, uint64_t *got)
{
	uint32_t word[3] = { 0 };
	size_t i;
	int64_t page;

	memcpy(word, code, len < sizeof(word) ? len : sizeof(word));
	i = word[0] == 0xd503245f ? 1 : 0;
	if ((word[i] & 0x9f00001f) != 0x90000010 || (word[i + 1] & 0xffc003ff) != 0xf9400211)
		return false;
	page = (int64_t)(word[i] >> 5 & 0x7ffff) << 2 | (int64_t)(word[i] >> 29 & 3);
	if (page & 1 << 20)
		page -= 1 << 21;
	*got = ((pc + 4 * i) & ~UINT64_C(0xfff)) + (uint64_t)(page * 4096) + (word[i + 1] >> 10 & 0xfff) * 8;
	return true;
}

/* Decode the stubs of one section that lookups without a name lie in; how many, at most room. */
static size_t
find_stubs(const struct sn_elf *e, Elf_Scn *scn, struct sn_lookup *l, size_t n, struct stub *stub, size_t room)
{
	const struct sn_section *s = &e->section[elf_ndxscn(scn)];
	Elf_Data *data = NULL;
	GElf_Shdr sh;
	uint64_t step;
	size_t count = 0;

	if (gelf_getshdr(scn, &sh) == NULL || sh.sh_type != SHT_PROGBITS)
		return 0;
	step = sh.sh_entsize == 8 || sh.sh_entsize == 24 ? sh.sh_entsize : 16;
	for (size_t i = sn_lookup_from(l, n, s->addr); i < n && l[i].vaddr < s->limit && count < room; i++) {
		uint64_t at = (l[i].vaddr - s->addr) / step * step;
		const uint8_t *code;
		bool ok;

		if (l[i].symbol != NULL)
			continue;
		if (data == NULL)
			data = elf_rawdata(scn, NULL);
		if (data == NULL || data->d_buf == NULL || at + step > data->d_size)
			break;
		code = (const uint8_t *)data->d_buf + at;
		ok = e->machine == EM_X86_64 ? decode_x86(code, step, s->addr + at, &stub[count].got) :
			e->machine == EM_AARCH64 && decode_arm(code, step, s->addr + at, &stub[count].got);
		if (ok)
			stub[count++].l = &l[i];
	}
	return count;
}

static int
by_got(const void *a, const void *b)
{
	uint64_t x = ((const struct stub *)a)->got, y = ((const struct stub *)b)->got;

	return x < y ? -1 : x > y;
}

static int
name_stub(struct sn_lookup *l, const char *name, struct sn_store *store)
{
	size_t len = strnlen(name, SN_NAME_MAX);
	const char *at = memchr(name, '@', len);
	char *text;

	if (at != NULL)
		len = (size_t)(at - name);
	if (len == 0 || len == SN_NAME_MAX || l->symbol != NULL)
		return 0;
	text = malloc(len + sizeof("@plt"));
	if (text == NULL)
		return -ENOMEM;
	memcpy(text, name, len);
	memcpy(text + len, "@plt", sizeof("@plt"));
	l->symbol = sn_store_string(store, text, len + 4);
	free(text);
	return l->symbol == NULL ? -ENOMEM : 0;
}

/* The first stub (they are sorted by slot) with this slot or a higher one. */
static size_t
first_of_slot(const struct stub *stub, size_t n, uint64_t got)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (stub[mid].got < got)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

/* Name the stubs whose slots the relocations of one section fill. */
static int
read_relocations(struct sn_elf *e, Elf_Data *rela, struct stub *stub, size_t n, struct sn_store *store)
{
	Elf_Data *symbols = elf_getdata(e->dynsym, NULL);
	GElf_Shdr sh;
	size_t count = rela->d_size / sizeof(Elf64_Rela);
	int err = 0;

	if (symbols == NULL || gelf_getshdr(e->dynsym, &sh) == NULL || count > SN_SYMBOLS_MAX)
		return 0;
	for (size_t i = 0; err == 0 && i < count; i++) {
		const char *name;
		GElf_Rela r;
		GElf_Sym sym;
		size_t at;

		if (gelf_getrela(rela, (int)i, &r) == NULL)
			break;
		at = first_of_slot(stub, n, r.r_offset);
		if (at == n || stub[at].got != r.r_offset || GELF_R_SYM(r.r_info) > SN_SYMBOLS_MAX)
			continue;
		if (gelf_getsym(symbols, (int)GELF_R_SYM(r.r_info), &sym) == NULL)
			continue;
		name = elf_strptr(e->elf, sh.sh_link, sym.st_name);
		for (; err == 0 && name != NULL && at < n && stub[at].got == r.r_offset; at++)
			err = name_stub(stub[at].l, name, store);
	}
	return err;
}

static bool
is_plt(const struct sn_elf *e, Elf_Scn *scn, size_t strings)
{
	const char *name;
	GElf_Shdr sh;

	if (!e->section[elf_ndxscn(scn)].exec || gelf_getshdr(scn, &sh) == NULL)
		return false;
	name = elf_strptr(e->elf, strings, sh.sh_name);
	return name != NULL && (strcmp(name, ".plt") == 0 || strncmp(name, ".plt.", 5) == 0);
}

int
sn_elf_plt(struct sn_elf *e, struct sn_lookup *l, size_t n, struct sn_store *store)
{
	struct stub *stub;
	size_t strings, count = 0;
	Elf_Scn *scn = NULL;
	int err = 0;

	if (e->dynsym == NULL || n == 0 || elf_getshdrstrndx(e->elf, &strings) < 0)
		return 0;
	stub = calloc(n, sizeof(*stub));
	if (stub == NULL)
		return -ENOMEM;
	while ((scn = elf_nextscn(e->elf, scn)) != NULL) {
		if (is_plt(e, scn, strings) && count < n)
			count += find_stubs(e, scn, l, n, stub + count, n - count);
	}
	qsort(stub, count, sizeof(*stub), by_got);
	while (err == 0 && count > 0 && (scn = elf_nextscn(e->elf, scn)) != NULL) {
		GElf_Shdr sh;
		Elf_Data *rela;

		if (gelf_getshdr(scn, &sh) == NULL || sh.sh_type != SHT_RELA ||
		    sh.sh_link != elf_ndxscn(e->dynsym))
			continue;
		rela = elf_getdata(scn, NULL);
		if (rela != NULL && rela->d_buf != NULL)
			err = read_relocations(e, rela, stub, count, store);
	}
	free(stub);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * asm.c - calls each function of asm_x86_64.S.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef void function(void (*what)(void));
function asm_pushes, asm_cfa_rbx, asm_cfa_r10, asm_cfa_r11, asm_cfa_in_memory, asm_cfa_expression, asm_rbp_elsewhere,
	asm_last_call, bare_leaf, bare_frame, bare_pushes, bare_with_a_decoy;

static volatile uint64_t sink;

static __attribute__((noinline)) uint64_t
deeper(unsigned n)
{
	return n == 0 ? sink : deeper(n - 1) + n;
}

static void
callee(void)
{
	char text[24];

	sink += deeper(3) + strlen(text + (size_t)snprintf(text, sizeof(text), "%d", 42) - 1);
}

int
main(void)
{
	static function *const all[] = { asm_pushes, asm_cfa_rbx, asm_cfa_r10, asm_cfa_r11, asm_cfa_in_memory,
		asm_cfa_expression, asm_rbp_elsewhere, asm_last_call, bare_leaf, bare_frame, bare_pushes,
		bare_with_a_decoy };

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			all[i](callee);
	return sink == 0;
}

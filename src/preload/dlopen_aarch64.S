/* SPDX-License-Identifier: Apache-2.0
 *
 * dlopen, dlmopen: note that the modules change, then jump to the real one with stack and arguments
 * as they were, so that glibc sees the caller's return address (RUNPATH, namespace).
 */
	.macro	leave_by_jump name, begin
	.globl	\name
	.type	\name, %function
\name:
	.cfi_startproc
	hint	#34			/* bti c */
	stp	x29, x30, [sp, #-48]!
	.cfi_adjust_cfa_offset 48
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp	x0, x1, [sp, #16]
	str	x2, [sp, #32]
	bl	\begin
	mov	x16, x0
	ldp	x0, x1, [sp, #16]
	ldr	x2, [sp, #32]
	ldp	x29, x30, [sp], #48
	.cfi_restore x29
	.cfi_restore x30
	.cfi_adjust_cfa_offset -48
	cbz	x16, 1f
	br	x16
1:	mov	x0, xzr
	ret
	.cfi_endproc
	.size	\name, .-\name
	.endm

	.text
	leave_by_jump dlopen, sn_dlopen_begin
	leave_by_jump dlmopen, sn_dlmopen_begin
	.section .note.GNU-stack,"",%progbits

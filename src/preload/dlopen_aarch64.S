/* SPDX-License-Identifier: Apache-2.0
 *
 * dlopen: note that the modules change, then jump to the real one with stack and arguments
 * as they were, so that glibc sees the caller's return address (RUNPATH, namespace).
 */
	.text
	.globl	dlopen
	.type	dlopen, %function
dlopen:
	.cfi_startproc
	hint	#34			/* bti c */
	stp	x29, x30, [sp, #-32]!
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp	x0, x1, [sp, #16]
	bl	sn_dlopen_begin
	mov	x16, x0
	ldp	x0, x1, [sp, #16]
	ldp	x29, x30, [sp], #32
	.cfi_restore x29
	.cfi_restore x30
	.cfi_adjust_cfa_offset -32
	cbz	x16, 1f
	br	x16
1:	mov	x0, xzr
	ret
	.cfi_endproc
	.size	dlopen, .-dlopen
	.section .note.GNU-stack,"",%progbits

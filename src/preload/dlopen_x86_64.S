/* SPDX-License-Identifier: Apache-2.0
 *
 * dlopen, dlmopen: note that the modules change, then jump to the real one with stack and arguments
 * as they were, so that glibc sees the caller's return address (RUNPATH, namespace).
 */
	.macro	leave_by_jump name, begin
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	endbr64
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	call	\begin
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	testq	%rax, %rax
	je	1f
	jmp	*%rax
1:	ret
	.cfi_endproc
	.size	\name, .-\name
	.endm

	.text
	leave_by_jump dlopen, sn_dlopen_begin
	leave_by_jump dlmopen, sn_dlmopen_begin
	.section .note.GNU-stack,"",@progbits

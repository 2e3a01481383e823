/* SPDX-License-Identifier: Apache-2.0
 *
 * dlopen: note that the modules change, then jump to the real one with stack and arguments
 * as they were, so that glibc sees the caller's return address (RUNPATH, namespace).
 */
	.text
	.globl	dlopen
	.type	dlopen, @function
dlopen:
	.cfi_startproc
	endbr64
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	sn_dlopen_begin
	addq	$8, %rsp
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
	.size	dlopen, .-dlopen
	.section .note.GNU-stack,"",@progbits

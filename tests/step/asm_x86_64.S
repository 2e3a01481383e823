/* SPDX-License-Identifier: Apache-2.0
 *
 * asm_x86_64.S - hand-written functions to be stepped through: the CFA in all manner of places, and code without CFI.
 *
 * Each calls the function in rdi between whatever it does to its frame.  No function has more CFI than it needs.
 */

	.macro	begin name
	.globl	\name
	.type	\name, @function
	.p2align 4
\name:
	.endm
	.macro	end name
	.size	\name, . - \name
	.endm

	.text

/* Pushes in the middle, and pops in another order than a compiler would. */
	begin	asm_pushes
	.cfi_startproc
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	movq	%rdi, %rbx
	pushq	$1
	.cfi_adjust_cfa_offset 8
	call	*%rbx
	pushq	$2
	.cfi_adjust_cfa_offset 8
	pushq	$3
	.cfi_adjust_cfa_offset 8
	call	*%rbx
	addq	$16, %rsp
	.cfi_adjust_cfa_offset -16
	popq	%rax
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	end	asm_pushes

/* The CFA is rbx + 16, as in the loader's resolver. */
	begin	asm_cfa_rbx
	.cfi_startproc
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	movq	%rsp, %rbx
	.cfi_def_cfa_register %rbx
	andq	$-64, %rsp
	subq	$192, %rsp
	call	*%rdi
	movq	%rbx, %rsp
	.cfi_def_cfa_register %rsp
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	end	asm_cfa_rbx

/* The CFA is in a register that a call may spoil: for the leaf alone. */
	begin	asm_cfa_r10
	.cfi_startproc
	leaq	8(%rsp), %r10
	.cfi_def_cfa %r10, 0
	andq	$-32, %rsp
	subq	$64, %rsp
	movq	$7, (%rsp)
	movq	(%rsp), %rax
	leaq	-8(%r10), %rsp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	end	asm_cfa_r10

	begin	asm_cfa_r11
	.cfi_startproc
	movq	%rsp, %r11
	.cfi_def_cfa_register %r11
	subq	$4096, %rsp
	movq	$1, (%rsp)
	movq	%r11, %rsp
	.cfi_def_cfa_register %rsp
	ret
	.cfi_endproc
	end	asm_cfa_r11

/* perlasm's way: the CFA is *(rsp + 40) + 8. */
	begin	asm_cfa_in_memory
	.cfi_startproc
	movq	%rsp, %rax
	.cfi_def_cfa_register %rax
	subq	$56, %rsp
	andq	$-64, %rsp
	movq	%rax, 40(%rsp)
	.cfi_escape 0x0f, 0x05, 0x77, 0x28, 0x06, 0x23, 0x08	/* breg7 40; deref; plus_uconst 8 */
	call	*%rdi
	movq	40(%rsp), %rax
	.cfi_def_cfa %rax, 8
	movq	%rax, %rsp
	.cfi_def_cfa_register %rsp
	ret
	.cfi_endproc
	end	asm_cfa_in_memory

/* An expression that no rule has: the CFA is (rbx & -8) + 16. */
	begin	asm_cfa_expression
	.cfi_startproc
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	leaq	3(%rsp), %rbx
	/* breg3 0; const1s -8; and; plus_uconst 16 */
	.cfi_escape 0x0f, 0x07, 0x73, 0x00, 0x09, 0xf8, 0x1a, 0x23, 0x10
	subq	$16, %rsp
	call	*%rdi
	addq	$16, %rsp
	.cfi_def_cfa %rsp, 16
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	end	asm_cfa_expression

/* With a frame pointer that is saved elsewhere than beside the return address. */
	begin	asm_rbp_elsewhere
	.cfi_startproc
	subq	$40, %rsp
	.cfi_adjust_cfa_offset 40
	movq	%rbp, 8(%rsp)
	.cfi_rel_offset %rbp, 8
	movq	$3, %rbp
	call	*%rdi
	movq	8(%rsp), %rbp
	.cfi_restore %rbp
	addq	$40, %rsp
	.cfi_adjust_cfa_offset -40
	ret
	.cfi_endproc
	end	asm_rbp_elsewhere

/* Its last instruction is a call of what does not return to it but to its caller. */
	begin	asm_last_call
	.cfi_startproc
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	call	asm_drops_a_frame
	.cfi_endproc
	end	asm_last_call

	begin	asm_drops_a_frame
	.cfi_startproc
	movq	8(%rsp), %rax
	call	*%rax
	addq	$16, %rsp
	.cfi_adjust_cfa_offset -16
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	end	asm_drops_a_frame

/* No CFI from here on.  A leaf that leaves the stack alone. */
	begin	bare_leaf
	movl	$3, %eax
	imull	%eax, %eax
	nop
	ret
	end	bare_leaf

/* A frame of the usual kind. */
	begin	bare_frame
	pushq	%rbp
	movq	%rsp, %rbp
	subq	$32, %rsp
	call	*%rdi
	leave
	ret
	end	bare_frame

/* No frame pointer, and rbp is somebody's number. */
	begin	bare_pushes
	pushq	%rbx
	pushq	%rbp
	movl	$17, %ebp
	subq	$24, %rsp
	call	*%rdi
	addq	$24, %rsp
	popq	%rbp
	popq	%rbx
	ret
	end	bare_pushes

/* A word that looks like a return address lies where one would be looked for. */
	begin	bare_with_a_decoy
	pushq	%rdi
	leaq	2f(%rip), %rax
	pushq	%rax
	nop
	nop
	popq	%rax
	popq	%rdi
	ret
	call	bare_leaf
2:	ret
	end	bare_with_a_decoy

	.section .note.GNU-stack, "", @progbits

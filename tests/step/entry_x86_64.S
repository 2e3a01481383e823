/* SPDX-License-Identifier: Apache-2.0
 *
 * entry_x86_64.S - where the stepper meets the program: SIGTRAP's handler, and what stands before handlers of its own.
 *
 * Runs in:  the program, behind each of its instructions.  The kernel's frame is on the stack that the program is on,
 *           wherever that is; the rest has a stack of its own, and a lock, because there is one of it.
 */

	.text

/* void sn_step_entry(int, siginfo_t *, void *uc) */
	.globl	sn_step_entry
	.hidden	sn_step_entry
	.type	sn_step_entry, @function
sn_step_entry:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
1:	movl	$1, %eax
	xchgl	%eax, sn_step_lock(%rip)
	testl	%eax, %eax
	jz	2f
	movl	$24, %eax			/* sched_yield */
	syscall
	jmp	1b
2:	movl	$1, sn_step_seen(%rip)
	movq	sn_step_stack(%rip), %rsp
	movq	%rdx, %rdi
	call	*sn_step_call(%rip)
	movq	%rbp, %rsp
	movl	$0, sn_step_lock(%rip)		/* the other stack is free again */
	popq	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	sn_step_entry, . - sn_step_entry

/* A signal clears the trap flag: set it again, then go on to the program's handler as if it had been called. */
	.globl	sn_step_wrapper, sn_step_delivered
	.hidden	sn_step_wrapper, sn_step_delivered
	.type	sn_step_wrapper, @function
sn_step_wrapper:
	.cfi_startproc
	endbr64
	pushfq
	.cfi_adjust_cfa_offset 8
	orq	$0x100, (%rsp)
	popfq
	.cfi_adjust_cfa_offset -8
	nop					/* the first step is behind the instruction that follows */
sn_step_delivered:
	movslq	%edi, %rax
	leaq	sn_step_handlers(%rip), %r11
	jmp	*(%r11, %rax, 8)
	.cfi_endproc
	.size	sn_step_wrapper, . - sn_step_wrapper

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: Apache-2.0
 *
 * syscall: all but seccomp, exec and those for signals go on to the real one by a jump, with stack and arguments as they were: a raw clone
 * or vfork through it must come back to the caller's frame.
 */
	.text
	.globl	syscall
	.type	syscall, @function
syscall:
	.cfi_startproc
	endbr64
	cmpq	$317, %rdi		/* SYS_seccomp */
	je	1f
	cmpq	$13, %rdi		/* SYS_rt_sigaction */
	je	1f
	cmpq	$14, %rdi		/* SYS_rt_sigprocmask */
	je	1f
	cmpq	$59, %rdi		/* SYS_execve */
	je	1f
	cmpq	$322, %rdi		/* SYS_execveat */
	je	1f
	movq	sn_real_syscall(%rip), %rax
	testq	%rax, %rax
	je	1f
	jmp	*%rax
1:	jmp	sn_syscall_slow
	.cfi_endproc
	.size	syscall, .-syscall
	.section .note.GNU-stack,"",@progbits

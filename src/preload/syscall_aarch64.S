/* SPDX-License-Identifier: Apache-2.0
 *
 * syscall: all but seccomp, exec and those for signals go on to the real one by a jump, with stack and arguments as they were: a raw clone
 * or vfork through it must come back to the caller's frame.
 */
	.text
	.globl	syscall
	.type	syscall, %function
syscall:
	.cfi_startproc
	hint	#34			/* bti c */
	cmp	x0, #277		/* SYS_seccomp */
	b.eq	1f
	cmp	x0, #134		/* SYS_rt_sigaction */
	b.eq	1f
	cmp	x0, #135		/* SYS_rt_sigprocmask */
	b.eq	1f
	cmp	x0, #221		/* SYS_execve */
	b.eq	1f
	cmp	x0, #281		/* SYS_execveat */
	b.eq	1f
	adrp	x16, sn_real_syscall
	ldr	x16, [x16, #:lo12:sn_real_syscall]
	cbz	x16, 1f
	br	x16
1:	b	sn_syscall_slow
	.cfi_endproc
	.size	syscall, .-syscall
	.section .note.GNU-stack,"",%progbits

/* SPDX-License-Identifier: Apache-2.0
 *
 * preload.c - the preloaded half of the stepper: opens the module, then sets the trap flag.
 *
 * Runs in:  the constructor, before the program's own.  Does nothing unless STEP_MODULE names the module.
 * Memory:   the stack of the handler is mapped once and kept.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "step/step.h"

#define STACK_BYTES	(2u << 20)

/* Used by entry_x86_64.S. */
extern uint32_t sn_step_lock, sn_step_seen;
extern uint64_t sn_step_stack, sn_step_handlers[SN_STEP_SIGNALS];
extern void (*sn_step_call)(ucontext_t *uc);
uint32_t sn_step_lock, sn_step_seen;
uint64_t sn_step_stack, sn_step_handlers[SN_STEP_SIGNALS];
void (*sn_step_call)(ucontext_t *uc);
void sn_step_entry(int sig, siginfo_t *info, void *uc);
void sn_step_wrapper(int sig, siginfo_t *info, void *uc);
extern const char sn_step_delivered[];

static struct sn_step_base base;

/* The loader tells of the name space of its caller: that must be us, and the call no jump. */
static int
iterate(int (*visit)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	int result = dl_iterate_phdr(visit, arg);

	__asm__ volatile("" : : : "memory");
	return result;
}

static void
give_up(const char *what)
{
	const char *why = dlerror();

	(void)fprintf(stderr, "stepper: %s: %s\n", what, why != NULL ? why : "no reason given");
	_exit(99);
}

static void
begin(void *handle)
{
	int (*module_begin)(const struct sn_step_base *) = (int (*)(const struct sn_step_base *))(uintptr_t)
		dlsym(handle, "sn_step_begin");
	struct sigaction sa = { .sa_sigaction = sn_step_entry, .sa_flags = SA_SIGINFO };
	uint8_t *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sn_step_call = (void (*)(ucontext_t *))(uintptr_t)dlsym(handle, "sn_step_trap");
	if (module_begin == NULL || sn_step_call == NULL || stack == MAP_FAILED)
		give_up("the module");
	sn_step_stack = (uint64_t)(uintptr_t)(stack + STACK_BYTES);
	if (module_begin(&base) != 0)
		_exit(99);
	(void)sigfillset(&sa.sa_mask);
	(void)sigdelset(&sa.sa_mask, SIGSEGV);		/* of the engines: the module catches those */
	(void)sigdelset(&sa.sa_mask, SIGBUS);
	if (sigaction(SIGTRAP, &sa, NULL) != 0)
		give_up("sigaction");
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" : : : "memory", "cc");
	if (*(volatile uint32_t *)&sn_step_seen == 0)
		_exit(98);	/* an emulator or a sandbox that does not trap */
}

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("STEP_MODULE");
	Dl_info self;
	void *handle;

	if (path == NULL || dladdr(&base, &self) == 0)
		return;
	(void)unsetenv("LD_PRELOAD");
	base = (struct sn_step_base){
		.iterate = iterate,
		.entry = (uint64_t)(uintptr_t)sn_step_entry,
		.wrapper = (uint64_t)(uintptr_t)sn_step_wrapper,
		.delivered = (uint64_t)(uintptr_t)sn_step_delivered,
		.handlers = sn_step_handlers,
		.switches = { (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "setcontext"),
			(uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "swapcontext") },
		.preload = self.dli_fname,
	};
	handle = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		give_up(path);
	begin(handle);
}

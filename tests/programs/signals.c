/* SPDX-License-Identifier: Apache-2.0
 *
 * signals.c - what programs do with the very signal that a profiler takes: every answer must be as if it were alone.
 *
 * Usage:    signals WORD [SIGNAL]      SIGNAL is that of the profiler, by number; SIGPROF if not told
 * Tells:    what each call answered; the same with and without sonde.  Status 0.
 */
#include <setjmp.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "ownsignal.h"

static void
exchange(sigset_t *set)
{
	sigset_t old;

	(void)sigprocmask(SIG_SETMASK, set, &old);
	*set = old;
}

static void
note_info(int s, siginfo_t *si, void *context)
{
	(void)context;
	note(s);
	if (si->si_code == SI_QUEUE)
		masked_inside += 10 * si->si_value.sival_int;
}

static int
do_masks(void)
{
	sigset_t set = only(sig), old, all;

	(void)printf("errno %d\n", errno);
	show_mask("start");
	(void)printf("block %d\n", sigprocmask(SIG_BLOCK, &set, NULL));
	show_mask("blocked");
	burn_ms(30);
	(void)printf("unblock %d\n", pthread_sigmask(SIG_UNBLOCK, &set, &old));
	(void)printf("old has it: %d\n", sigismember(&old, sig));
	show_mask("unblocked");
	(void)sigfillset(&all);
	exchange(&all);
	show_mask("filled");
	exchange(&all);
	show_mask("as before");
	exchange(&all);
	show_mask("filled again");
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	errno = 0;
	(void)printf("no such how: %d", sigprocmask(77, &set, NULL));
	(void)printf(" errno %d\n", errno);
	errno = 0;
	(void)printf("pthread_sigmask: %d errno %d\n", pthread_sigmask(77, &set, NULL), errno);
	if (sig < 32) {
		(void)printf("sigblock %x\n", (unsigned)sigblock((int)(1u << (sig - 1))));
		(void)printf("again %x\n", (unsigned)sigblock(0));
		(void)printf("sigsetmask %x\n", (unsigned)sigsetmask(0));
		(void)printf("again %x\n", (unsigned)sigblock(0));
	}
	(void)printf("sighold %d\n", sighold(sig));
	show_mask("held");
	(void)printf("sigrelse %d\n", sigrelse(sig));
	show_mask("released");
	return 0;
}

static int
do_actions(void)
{
	struct sigaction other = { .sa_handler = note }, got;

	show_action("start");
	set_action(note, SA_RESTART | SA_NODEFER, SIGUSR1);
	show_action("set");
	set_action(note, 0, -1);
	show_action("full mask");
	(void)printf("signal: was %s\n", name_of(signal(sig, SIG_IGN)));
	show_action("ignored");
	(void)raise(sig);
	(void)printf("signal: was %s\n", name_of(signal(sig, note)));
	show_action("by signal");
	(void)printf("siginterrupt %d\n", siginterrupt(sig, 1));
	show_action("interrupts");
	(void)signal(sig, note);
	show_action("by signal");
	(void)siginterrupt(sig, 0);
	show_action("restarts");
	(void)printf("sysv: was %s\n", name_of(__sysv_signal(sig, note)));
	show_action("by sysv");
	(void)raise(sig);
	(void)printf("seen %d, blocked inside: %d\n", (int)seen, (int)masked_inside);
	show_action("after it");
	(void)printf("sigset: was %s\n", name_of(sigset(sig, note)));
	(void)printf("sigset hold: was %s\n", name_of(sigset(sig, SIG_HOLD)));
	show_mask("held");
	(void)printf("sigset: was %s\n", name_of(sigset(sig, SIG_DFL)));
	show_mask("not held");
	(void)printf("sigignore %d\n", sigignore(sig));
	show_action("ignored");
	errno = 0;
	(void)printf("SIG_ERR: %s", name_of(signal(sig, SIG_ERR)));
	(void)printf(" errno %d\n", errno);
	/* Handlers of other signals: their masks too. */
	(void)sigfillset(&other.sa_mask);
	(void)sigaction(SIGUSR1, &other, NULL);
	(void)sigaction(SIGUSR1, NULL, &got);
	(void)printf("in the mask of another: %d\n", sigismember(&got.sa_mask, sig));
	other.sa_mask = only(SIGUSR2);
	(void)sigaction(SIGUSR1, &other, &got);
	(void)sigaction(SIGUSR1, NULL, &got);
	(void)printf("in the mask of another: %d\n", sigismember(&got.sa_mask, sig));
	return 0;
}

/* The mask that a handler runs with, and what it leaves. */
static int
do_handler(void)
{
	struct sigaction a = { .sa_sigaction = note_info, .sa_flags = SA_SIGINFO };
	union sigval value = { .sival_int = 7 };

	set_action(note, 0, SIGUSR1);
	(void)raise(sig);
	(void)printf("plain: seen %d blocked %d others %d\n", (int)seen, (int)masked_inside, (int)others_inside);
	show_mask("after");
	set_action(note, SA_NODEFER, SIGUSR2);
	(void)raise(sig);
	(void)printf("nodefer: seen %d blocked %d others %d\n", (int)seen, (int)masked_inside, (int)others_inside);
	set_action(note, SA_RESETHAND, 0);
	(void)raise(sig);
	(void)printf("once: seen %d blocked %d others %d\n", (int)seen, (int)masked_inside, (int)others_inside);
	show_action("after it");
	(void)sigemptyset(&a.sa_mask);
	(void)sigaction(sig, &a, NULL);
	(void)sigqueue(getpid(), sig, value);
	(void)printf("queued: seen %d value %d\n", (int)seen, (int)masked_inside);
	show_mask("after");
	return 0;
}

/* Held while blocked, told of as pending, delivered when let in. */
static int
do_pending(void)
{
	sigset_t set = only(sig), now, usr = only(SIGUSR1);
	struct sigaction a = { .sa_handler = note };

	set_action(note, 0, 0);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	burn_ms(60);
	(void)sigpending(&now);
	(void)printf("pending %d\n", sigismember(&now, sig));
	(void)kill(getpid(), sig);
	(void)sigpending(&now);
	(void)printf("seen %d pending %d\n", (int)seen, sigismember(&now, sig));
	burn_ms(60);
	(void)sigprocmask(SIG_BLOCK, &usr, NULL);
	(void)sigpending(&now);
	(void)printf("seen %d pending %d\n", (int)seen, sigismember(&now, sig));
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)printf("seen %d\n", (int)seen);
	(void)sigpending(&now);
	(void)printf("pending %d\n", sigismember(&now, sig));
	show_mask("at last");
	/* Blocked by the mask of another handler. */
	a.sa_mask = set;
	(void)sigaction(SIGUSR2, &a, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &usr, NULL);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)raise(sig);
	(void)signal(sig, SIG_IGN);
	(void)sigpending(&now);
	(void)printf("ignored: pending %d\n", sigismember(&now, sig));
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)printf("seen %d\n", (int)seen);
	return 0;
}

static int depth_seen;

static void
outer(int s)
{
	int before = seen;

	(void)s;
	(void)raise(sig);
	depth_seen = seen - before;
}

static int
do_other_handler(void)
{
	struct sigaction a = { .sa_handler = outer };

	set_action(note, 0, 0);
	a.sa_mask = only(sig);
	(void)sigaction(SIGUSR1, &a, NULL);
	(void)raise(SIGUSR1);
	(void)printf("within: %d, after: %d\n", depth_seen, (int)seen);
	(void)sigemptyset(&a.sa_mask);
	(void)sigaction(SIGUSR1, &a, NULL);
	(void)raise(SIGUSR1);
	(void)printf("within: %d, after: %d\n", depth_seen, (int)seen);
	return 0;
}

static sigjmp_buf away;

static void
jump(int s)
{
	(void)s;
	siglongjmp(away, 1);
}

/* Out of the handler by a jump; and over a mask. */
static int
do_jump(void)
{
	sigset_t set = only(sig);
	volatile int rounds = 0;

	set_action(jump, 0, 0);
	for (;;) {
		if (sigsetjmp(away, 1) != 0)
			rounds++;
		if (rounds == 3)
			break;
		(void)raise(sig);
	}
	(void)printf("jumps %d\n", rounds);
	show_mask("after");
	burn_ms(40);
	set_action(note, 0, 0);
	(void)raise(sig);
	(void)printf("seen %d\n", (int)seen);
	if (sigsetjmp(away, 1) == 0) {
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
		siglongjmp(away, 1);
	}
	show_mask("not blocked any more");
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	if (sigsetjmp(away, 1) == 0) {
		(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
		siglongjmp(away, 1);
	}
	show_mask("blocked again");
	set_action(jump, 0, 0);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (sigsetjmp(away, 0) == 0)
		(void)raise(sig);
	show_mask("jump without a mask");
	return 0;
}

static int
do_suspend(void)
{
	sigset_t set = only(sig), none, now;
	struct timespec t = { 0, 20000000 };
	siginfo_t info;

	(void)sigemptyset(&none);
	set_action(note, 0, 0);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)raise(sig);
	(void)printf("sigsuspend %d", sigsuspend(&none));
	(void)printf(" errno %d seen %d\n", errno, (int)seen);
	show_mask("after");
	(void)raise(sig);
	(void)printf("sigpause %d", sigpause(sig));
	(void)printf(" seen %d\n", (int)seen);
	show_mask("after");
	(void)raise(sig);
	burn_ms(30);
	(void)printf("sigtimedwait %d", sigtimedwait(&set, &info, &t));
	(void)printf(" code %d\n", info.si_code);
	(void)printf("again %d", sigtimedwait(&set, &info, &t));
	(void)printf(" errno %d\n", errno == EAGAIN);
	(void)sigpending(&now);
	(void)printf("pending %d\n", sigismember(&now, sig));
	show_mask("after");
	(void)raise(sig);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)printf("seen %d\n", (int)seen);
	return 0;
}

static void *
wait_thread(void *arg)
{
	sigset_t all;
	int got = 0;

	(void)arg;
	(void)sigfillset(&all);
	for (int i = 0; i < 4; i++) {
		(void)sigwait(&all, &got);
		(void)printf("sigwait got %d\n", got == sig ? 1000 : got);
	}
	return NULL;
}

static void *
busy_thread(void *arg)
{
	show_mask("a new thread");
	burn_ms(100);
	return arg;
}

static void *
own_bit_thread(void *arg)
{
	sigset_t now;

	(void)sigprocmask(SIG_BLOCK, NULL, &now);
	(void)printf("a new thread blocks it: %d\n", sigismember(&now, sig));
	burn_ms(50);
	return arg;
}

/* All threads block all signals; one waits. */
static int
do_waiter(void)
{
	pthread_t t, busy;
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_create(&busy, NULL, busy_thread, NULL);
	(void)pthread_join(busy, NULL);
	(void)pthread_create(&t, NULL, wait_thread, NULL);
	(void)pthread_create(&busy, NULL, busy_thread, NULL);
	burn_ms(100);
	(void)pthread_join(busy, NULL);
	(void)pthread_kill(t, SIGUSR1);
	burn_ms(50);
	(void)pthread_kill(t, sig);
	burn_ms(50);
	(void)kill(getpid(), sig);
	burn_ms(50);
	(void)pthread_kill(t, SIGTERM);
	(void)pthread_join(t, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	show_mask("end");
	return 0;
}

/* A thread that begins with a mask of its own. */
static int
do_attribute(void)
{
#if __GLIBC_PREREQ(2, 32)
	sigset_t masks[3], got;
	pthread_attr_t attr;
	pthread_t t;

	(void)sigfillset(&masks[0]);
	masks[1] = only(sig);
	(void)sigfillset(&masks[2]);
	(void)sigdelset(&masks[2], sig);
	for (int i = 0; i < 3; i++) {
		(void)pthread_attr_init(&attr);
		(void)pthread_attr_setsigmask_np(&attr, &masks[i]);
		(void)pthread_attr_getsigmask_np(&attr, &got);
		(void)printf("attribute has it: %d\n", sigismember(&got, sig));
		(void)pthread_create(&t, &attr, i < 2 ? busy_thread : own_bit_thread, NULL);
		(void)pthread_join(t, NULL);
		(void)pthread_attr_destroy(&attr);
	}
#endif
	return 0;
}

static int
do_descriptor(void)
{
	sigset_t all, old;
	struct signalfd_siginfo info;
	int fd;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	fd = signalfd(-1, &all, SFD_NONBLOCK);
	for (int i = 0; i < 20; i++) {
		burn_ms(10);
		if (read(fd, &info, sizeof(info)) > 0)
			(void)printf("a signal that nobody sent: %u\n", info.ssi_signo);
	}
	(void)raise(SIGUSR1);
	(void)printf("read %zd", read(fd, &info, sizeof(info)));
	(void)printf(", signal %u\n", info.ssi_signo);
	return 0;
}

/* A handler without SA_RESTART ends a call that waits; one with it does not. */
static pthread_t main_thread;
static int pipes[2];

static void *
poke(void *arg)
{
	(void)usleep(100000);
	(void)pthread_kill(main_thread, sig);
	(void)usleep(100000);
	if (arg != NULL && write(pipes[1], "x", 1) != 1)
		return NULL;
	return arg;
}

static int
do_restart(void)
{
	pthread_t t;
	ssize_t n;
	char c;

	if (pipe(pipes) < 0)
		return 1;
	main_thread = pthread_self();
	set_action(note, 0, 0);
	(void)pthread_create(&t, NULL, poke, NULL);
	n = read(pipes[0], &c, 1);
	(void)printf("without: %zd errno %d seen %d\n", n, n < 0 ? errno : 0, (int)seen);
	(void)pthread_join(t, NULL);
	set_action(note, SA_RESTART, 0);
	(void)pthread_create(&t, NULL, poke, pipes);
	n = read(pipes[0], &c, 1);
	(void)printf("with: %zd seen %d\n", n, (int)seen);
	(void)pthread_join(t, NULL);
	return 0;
}

/* By system calls that are no function of libc. */
static int
do_raw(void)
{
	struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; }
		a = { .handler = (void *)SIG_IGN }, old;
	uint64_t bit = 1ull << (sig - 1), was = 0;

	(void)printf("rt_sigaction %ld\n", syscall(SYS_rt_sigaction, sig, &a, &old, 8));
	(void)printf("was %d\n", old.handler == (void *)SIG_DFL);
	show_action("ignored");
	burn_ms(60);
	(void)raise(sig);
	(void)printf("rt_sigprocmask %ld\n", syscall(SYS_rt_sigprocmask, SIG_BLOCK, &bit, &was, 8));
	(void)printf("was %d\n", (was & bit) != 0);
	show_mask("blocked");
	(void)printf("rt_sigprocmask %ld\n", syscall(SYS_rt_sigprocmask, SIG_SETMASK, &was, &was, 8));
	(void)printf("was %d\n", (was & bit) != 0);
	(void)printf("bad address %ld", syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8));
	(void)printf(" errno %d\n", errno);
	(void)printf("bad how %ld", syscall(SYS_rt_sigprocmask, ~0L, &bit, NULL, 8));
	(void)printf(" errno %d\n", errno);
	return 0;
}

static void *
burn_a_while(void *arg)
{
	sigset_t now;

	burn_ms(100);
	(void)sigpending(&now);
	(void)printf("other thread: pending %d\n", sigismember(&now, sig));
	return arg;
}

/* One for the process, which all threads block: it waits for the first that does not any more. */
static int
do_all_block(void)
{
	sigset_t set = only(sig), now;
	pthread_t t;

	set_action(note, 0, 0);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&t, NULL, burn_a_while, NULL) != 0)
		return 1;
	(void)kill(getpid(), sig);
	(void)pthread_join(t, NULL);
	(void)sigpending(&now);
	(void)printf("seen %d pending %d\n", (int)seen, sigismember(&now, sig));
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)printf("seen %d\n", (int)seen);
	return 0;
}

static const struct {
	const char *word;
	int (*run)(void);
} table[] = {
	{ "masks", do_masks },
	{ "actions", do_actions },
	{ "handler", do_handler },
	{ "pending", do_pending },
	{ "other-handler", do_other_handler },
	{ "jump", do_jump },
	{ "suspend", do_suspend },
	{ "waiter", do_waiter },
	{ "descriptor", do_descriptor },
	{ "attribute", do_attribute },
	{ "restart", do_restart },
	{ "raw", do_raw },
	{ "all-block", do_all_block },
};

int
main(int argc, char **argv)
{
	if (argc > 2)
		sig = atoi(argv[2]);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(argv[1], table[i].word) == 0)
			return table[i].run();
	(void)fprintf(stderr, "signals: which?\n");
	return 2;
}

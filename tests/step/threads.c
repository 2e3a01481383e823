/* SPDX-License-Identifier: Apache-2.0
 *
 * threads.c - threads from their first instruction to their last: their start, a signal, thread-local destructors,
 * pthread_exit from within, and a cancelled one, whose stack is unwound.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NO_TAIL_CALL	__asm__ volatile("" : : : "memory")

static volatile uint64_t sink;
static pthread_key_t key;

static void
destroy(void *value)
{
	free(value);
	sink++;
}

static void
clean_up(void *arg)
{
	sink += (uint64_t)(uintptr_t)arg;
}

static void
on_signal(int sig)
{
	sink += (uint64_t)sig;
}

static __attribute__((noinline)) void
work(unsigned n)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%u %s", n, "words");
	if (n > 0)
		work(n - 1);
	NO_TAIL_CALL;
	sink += (uint64_t)text[0];
}

static void *
ends(void *arg)
{
	(void)pthread_setspecific(key, malloc(8));
	work(2);
	(void)pthread_kill(pthread_self(), SIGUSR1);
	return arg;
}

static void *
exits(void *arg)
{
	pthread_cleanup_push(clean_up, arg);
	work(1);
	pthread_exit(arg);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *
is_cancelled(void *arg)
{
	pthread_cleanup_push(clean_up, arg);
	(void)pthread_cancel(pthread_self());
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

int
main(void)
{
	static void *(*const how[])(void *) = { ends, exits, is_cancelled };
	pthread_t t[3];

	(void)signal(SIGUSR1, on_signal);
	(void)pthread_key_create(&key, destroy);
	/* One at a time, for the same steps in each run; the last two at once. */
	for (int i = 0; i < 3; i++) {
		if (pthread_create(&t[0], NULL, how[i], &key) != 0 || pthread_join(t[0], NULL) != 0)
			return 1;
	}
	if (pthread_create(&t[0], NULL, ends, &key) != 0 || pthread_create(&t[1], NULL, ends, &key) != 0)
		return 1;
	for (int i = 0; i < 2; i++)
		if (pthread_join(t[i], NULL) != 0)
			return 1;
	return sink == 0;
}

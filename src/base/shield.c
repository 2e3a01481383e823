/* SPDX-License-Identifier: Apache-2.0
 *
 * shield.c - block the signals of our own writes (see shield.h).
 */
#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/shield.h"

static const int numbers[] = { SIGXFSZ, SIGPIPE };
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

void
sn_shield_raise(struct sn_shield *s)
{
	sigset_t ours;

	(void)sigemptyset(&ours);
	for (size_t i = 0; i < NUMBERS; i++)
		(void)sigaddset(&ours, numbers[i]);
	(void)pthread_sigmask(SIG_BLOCK, &ours, &s->mask);
	(void)sigpending(&s->pending);
}

void
sn_shield_lower(const struct sn_shield *s)
{
	const struct timespec now = { 0 };

	for (size_t i = 0; i < NUMBERS; i++) {
		sigset_t one;

		if (sigismember(&s->pending, numbers[i]) == 1)
			continue;
		(void)sigemptyset(&one);
		(void)sigaddset(&one, numbers[i]);
		while (sigtimedwait(&one, NULL, &now) < 0 && errno == EINTR)
			;
	}
	(void)pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * odd.c - threads whose names are no text: control characters, quotes, UTF-8 that is wrong or cut in half.
 *
 * Usage:    odd [CPU_MILLISECONDS_EACH]
 */
#include <pthread.h>
#include <sys/prctl.h>

#include "burn.h"

static const char *const name[] = {
	"\xff\xfe\x80", "\001\t\n\r\x1b[31m\x7f",
	"q\"'\\`<&>%s$(",
	"caf\xc3\xa9", "caf\xc3", "12345678901234\xe2\x82\xac", "", " ", "[other]", "\xed\xa0\x80\xc0\x80",
};
static uint64_t each_ns;

static NOINLINE void *
odd_hot(void *arg)
{
	(void)prctl(PR_SET_NAME, arg, 0, 0, 0);
	while (thread_cpu_ns() < each_ns)
		BURN(100000);
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_t t[sizeof(name) / sizeof(name[0])];

	each_ns = (uint64_t)(argc > 1 ? atoi(argv[1]) : 200) * 1000000u;
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (pthread_create(&t[i], NULL, odd_hot, (void *)(uintptr_t)name[i]) != 0)
			return 3;
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		(void)pthread_join(t[i], NULL);
	linger();
	return 0;
}

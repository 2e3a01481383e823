/* SPDX-License-Identifier: Apache-2.0
 *
 * chain.c - execs itself again and again, each time after a little work.
 *
 * Usage:    chain TIMES
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "burn.h"

int
main(int argc, char **argv)
{
	long left = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	char text[24];

	BURN(200000);
	if (left <= 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%ld", left - 1);
	(void)execl("/proc/self/exe", argv[0], text, (char *)NULL);
	return 1;
}

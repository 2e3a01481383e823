/* SPDX-License-Identifier: Apache-2.0
 *
 * idle.c - sleeps and ends with the status that it was given.
 *
 * Usage:    idle [MILLISECONDS [STATUS]]
 */
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	(void)usleep((useconds_t)(argc > 1 ? atoi(argv[1]) : 300) * 1000);
	return argc > 2 ? atoi(argv[2]) : 0;
}

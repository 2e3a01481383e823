/* SPDX-License-Identifier: Apache-2.0
 *
 * impostor.c - a program that exports names of the collector's libraries (linked with -rdynamic): whoever takes
 * them for the libraries' ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "burn.h"

#define IMPOSTOR(name) void name(void); void name(void) { (void)fputs(#name " was called\n", stderr); abort(); }
IMPOSTOR(elf_begin)
IMPOSTOR(elf_version)
IMPOSTOR(dwarf_begin_elf)
IMPOSTOR(event_base_new)
IMPOSTOR(event_new)
IMPOSTOR(event_set_log_callback)
IMPOSTOR(deflate)
IMPOSTOR(_Ux86_64_init_remote)
IMPOSTOR(sn_collector_run)
IMPOSTOR(sn_service_run_inside)
IMPOSTOR(sn_log)

int
main(void)
{
	time_t end = time(NULL) + 1;

	while (time(NULL) <= end)
		BURN(100000);
	return puts("not taken for anybody") < 0;
}

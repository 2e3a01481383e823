/* SPDX-License-Identifier: Apache-2.0
 *
 * ownevent.c - a program with a libevent of its own: its allocator and its debug mode are its own matter.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned allocations;

static void *
count_malloc(size_t n)
{
	allocations++;
	return malloc(n);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)event_base_loopbreak(arg);
}

int
main(void)
{
	struct timeval soon = { 0, 200000 };
	struct event_base *base;
	struct event *e;

	event_set_mem_functions(count_malloc, realloc, free);
	event_enable_debug_mode();	/* ends the program if an event was made before */
	base = event_base_new();
	e = base != NULL ? event_new(base, -1, 0, on_time, base) : NULL;
	if (e == NULL || event_add(e, &soon) < 0 || event_base_dispatch(base) < 0)
		return 1;
	event_free(e);
	event_base_free(base);
	libevent_global_shutdown();
	return printf("allocations %u\n", allocations) < 0;
}

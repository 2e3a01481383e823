/* SPDX-License-Identifier: Apache-2.0
 *
 * plug.c - a library for modules.c.  Built twice, with frames of another shape (PLUG_ROOM): a table of the one is wrong
 * for the other.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int plug_enter(int (*callback)(int), int n);
int plug_deeper(int (*callback)(int), int n);

static volatile uint64_t sink;

__attribute__((constructor)) static void
begin(void)
{
	sink += strlen(getenv("PATH") != NULL ? "path" : "");
}

__attribute__((destructor)) static void
end(void)
{
	sink += (uint64_t)atoi("12");
}

/* Exported, so that the call goes through the PLT. */
__attribute__((visibility("default"), noinline)) int
plug_deeper(int (*callback)(int), int n)
{
	volatile char room[PLUG_ROOM];

	room[n] = (char)n;
	return callback(n) + room[n];
}

__attribute__((visibility("default"))) int
plug_enter(int (*callback)(int), int n)
{
	volatile char room[PLUG_ROOM * 2];
	char text[32];

	room[n] = 1;
	(void)snprintf(text, sizeof(text), "%d", n);
	return plug_deeper(callback, n) + room[n] + text[0];
}

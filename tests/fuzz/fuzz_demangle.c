/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_demangle.c - any bytes as a mangled name: a text, or nothing, in bounded time and memory.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/symbol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const prefix[] = { "", "_Z", "_R" };
	size_t which = size > 0 ? data[0] % 3 : 0;
	char *name = malloc(size + 3);

	if (name == NULL)
		return 0;
	strcpy(name, prefix[which]);
	if (size > 1)
		memcpy(name + strlen(prefix[which]), data + 1, size - 1);
	name[strlen(prefix[which]) + (size > 1 ? size - 1 : 0)] = '\0';
	free(sn_demangle(name, false));
	free(sn_demangle(name, true));
	free(name);
	return 0;
}

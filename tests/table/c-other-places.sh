#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Call frame information is found wherever it is: in .debug_frame, plain or compressed; in .eh_frame without a search
# table; by the search table where section headers are gone; and .init has rows though nothing describes it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cat >"$T/p.c" <<'END'
#include <stdlib.h>
#include <string.h>
static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}
__attribute__((noinline)) int count(char *names, size_t n)
{
	qsort(names, n / 8, 8, by_name);
	return (int)strlen(names) + 1;
}
int main(int argc, char **argv)
{
	char names[64] = "";

	return argc > 1 ? count(argv[1], strlen(argv[1])) : count(names, sizeof(names));
}
END
build()	# OUTPUT FLAGS...
{
	local out=$1

	shift
	${CC:-cc} -O2 "$@" -o "$T/$out" "$T/p.c" || fail "cannot build $out"
}
has_section()	# FILE NAME
{
	readelf -SW "$T/$1" | grep -q " $2 " || skip "the compiler made no $2"
}
functions_have_rules()	# FILE
{
	local name at

	rows_of "$T/$1" "$T/rows"
	for name in main count by_name; do
		at=$(nm "$T/$1" | awk -v n="$name" '$3 == n { print $1 }')
		[ -n "$at" ] || fail "$1 has no $name"
		awk -v at="$at" '($1 "") <= (at "") { row = $2 } END { exit row !~ /^(sp|fp)[+]/ }' "$T/rows" ||
			fail "$1: no rule for $name at $at"
	done
}

build plain -g
same_as_readelf "$T/plain"
functions_have_rules plain

build debug_frame -g -fno-asynchronous-unwind-tables -fno-unwind-tables
has_section debug_frame .debug_frame
same_as_readelf "$T/debug_frame"
functions_have_rules debug_frame

if build compressed -g -gz=zlib -fno-asynchronous-unwind-tables -fno-unwind-tables &&
	readelf -SW "$T/compressed" | grep -q ' \.debug_frame .* C '; then
	functions_have_rules compressed
else
	echo "(.debug_frame was not compressed)"
fi

build no_hdr -g -Wl,--no-eh-frame-hdr
same_as_readelf "$T/no_hdr"
functions_have_rules no_hdr

# e_shoff, e_shnum and e_shstrndx
cp "$T/plain" "$T/no_sections"
for at in 40 41 42 43 44 45 46 47 60 61 62 63; do
	printf '\0' | dd of="$T/no_sections" bs=1 seek="$at" conv=notrunc 2>/dev/null
done
rows_of "$T/plain" "$T/with"
rows_of "$T/no_sections" "$T/without"
cmp -s "$T/with" "$T/without" || fail "without section headers the rows differ: $(diff "$T/with" "$T/without" | head -5)"

init=$(readelf -dW "$T/plain" | sed -n 's/.*(INIT)[^0-9a-f]*0x\([0-9a-f]*\)$/\1/p')
if [ -n "$init" ]; then
	at=$(printf '%016x' "0x$init")
	grep -qE "^$at sp\+(8|0) " "$T/with" || fail "no row at .init: $(head -5 "$T/with")"
fi
exit 0

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every header compiles alone, twice over.
. "$(dirname "$0")/lib.sh"
read -r -a cc <<<"${CC:-cc}"
command -v "${cc[0]}" >/dev/null || skip "no C compiler"
read -r -a libs < <(pkg-config --cflags libunwind-generic libprotobuf-c libdw libevent_core 2>/dev/null; echo)
headers=0
while IFS= read -r f; do
	headers=$((headers + 1))
	printf '#include "%s"\n#include "%s"\n' "$f" "$f" >"$T/h.c"
	"${cc[@]}" -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -fsyntax-only -I"$SN_SRC/src" -I"$SN_SRC" -I"$SN_BUILD" "${libs[@]}" "$T/h.c" 2>"$T/err" ||
		wrong "$f does not compile alone: $(head -3 "$T/err")"
done < <(find "$SN_SRC/src" "$SN_SRC/tools" -name '*.h' | sort)
# The public one is for programs of every age, in C and C++.
for language in "c c99" "c c11" "c++ c++11" "c++ c++17"; do
	read -r lang std <<<"$language"
	echo '#include "profiler.h"' >"$T/p.c"
	echo 'int main(void) { struct profiler_options o = { sizeof(o) }; return profiler_start(&o); }' >>"$T/p.c"
	# Without a C++ compiler the driver cannot be asked.
	echo | "${cc[@]}" -x "$lang" -fsyntax-only - 2>/dev/null || continue
	"${cc[@]}" -x "$lang" "-std=$std" -pedantic -Wall -Wextra -Werror -Wno-missing-field-initializers -fsyntax-only -I"$SN_SRC/src" "$T/p.c" 2>"$T/err" ||
		wrong "profiler.h does not compile as $std: $(head -3 "$T/err")"
done
verdict "$headers" "headers"

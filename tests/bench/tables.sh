#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tables.sh - what compact unwind tables of big files cost: bytes beside those of the call frame information, and the
# fastest of five builds.  A row fails beyond 0.85 of the bytes or 25 ms a MB; files below 64 KB are shown, not judged.
#
# Usage: tables.sh [FILE...]
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
DUMP=$SN_BUILD/tests/table/table_dump
[ -x "$DUMP" ] || skip "tests/table/table_dump was not built (make check TESTS=)"
files=("$@")
if [ $# -eq 0 ]; then
	for f in /usr/lib/*-linux-gnu/libc.so.6 /usr/lib/*-linux-gnu/libcrypto.so.3 /usr/lib/*-linux-gnu/libstdc++.so.6 \
		/usr/lib/*-linux-gnu/libLLVM-[0-9]*.so.1 /usr/lib/gcc/*/*/cc1 /usr/bin/python3 /usr/aarch64-linux-gnu/lib/libc.so.6; do
		[ -e "$f" ] && files+=("$f")
	done
	for f in node rustc; do
		f=$(command -v "$f") && files+=("$f")
	done
fi
[ "${#files[@]}" -gt 0 ] || skip "none of the files is here"
"$DUMP" --summary "${files[@]}" | tee "$T/table"
awk '{ for (i = 2; i < NF; i++) { if ($i == "cfi") mb = $(i + 1); if ($i == "ratio") ratio = $(i + 1); if ($(i + 1) == "ms/MB") ms = $i } }
	mb >= 0.064 { judged++; if (ratio > 0.85 || ms > 25) { print "FAIL: " $0; bad++ } }
	END { exit bad > 0 || !judged }' "$T/table" || exit 1

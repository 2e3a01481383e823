#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program that is only ready to be sampled is sampled when asked, and spans of that are the kernel's figures.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program truth
tool=$SN_BUILD/tests/e2e/idle_spans
[ -x "$tool" ] || skip "no idle_spans: make check builds it"
library=$SN_BUILD/src/.libs/libsonde.so.1
[ -e "$library" ] || skip "no library in the build folder"
for threads in 1 3; do
	"$tool" "$library" "$PROGRAMS/truth" -t "$threads" -s 30 -o "$T/truth" >"$T/out" 2>"$T/err" ||
		fail "$threads threads: $(cat "$T/out" "$T/err")"
done

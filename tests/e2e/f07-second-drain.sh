#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A running program's segment, drained by another process too, gives the same profile.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
tool=$SN_BUILD/tests/e2e/second_drain
[ -x "$tool" ] || skip "no second_drain: make check builds it"
library=$SN_BUILD/src/.libs/libsonde.so.1
[ -e "$library" ] || skip "no library in the build folder"
for program in "$PROGRAMS/truth -t 2" "$PROGRAMS/cxx"; do
	# shellcheck disable=SC2086  # a program and its arguments
	set -- $program
	[ -x "$1" ] || continue
	"$tool" "$library" "$@" >"$T/out" 2>"$T/err" || fail "$program: $(head -40 "$T/err")"
done

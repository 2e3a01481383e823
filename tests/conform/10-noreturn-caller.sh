#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 10: a call that is the last instruction belongs to its own function.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/noreturn" 800
objdump -d "$PROGRAMS/noreturn" >"$T/asm" 2>/dev/null || skip "binutils are not installed (apt-get install binutils)"
awk '/<last_call>:/ { on = 1 } /<next_fn>:/ { print last; exit } on && NF { last = $0 }' "$T/asm" >"$T/last"
matches "the program still proves it: the last instruction before next_fn" "$T/last" 'call|bl'
pprof_ok traces -symbolize=none -traces "$P"
tr -s ' \n' ' ' <"$T/traces.txt" >"$T/frames"
matches "die's caller" "$T/frames" 'die last_call caller main'
lacks "the next function" "$T/frames" 'die next_fn'

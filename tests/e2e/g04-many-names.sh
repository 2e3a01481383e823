#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# At most 64 thread names, the rest as [other], counted; nothing is lost.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/names" 100 30
profile by "$T/P.pb.gz" thread >"$T/by"
at_most "names" "$(grep -cv '^\[other\]' "$T/by")" 65
matches "the rest" "$T/by" '^\[other\] [0-9]+$'
near "CPU time" "$(profile total "$T/P.pb.gz")" 3000000000 10
at_least "counted" "$(profile number "$T/P.pb.gz" label_overflow)" 1

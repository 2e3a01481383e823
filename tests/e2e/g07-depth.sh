#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A stack deeper than the limit is cut, says so and is counted.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --depth 32 -- "$PROGRAMS/deep" 100 500
at_most "frames" "$(profile depth "$T/P.pb.gz")" 33
profile stacks "$T/P.pb.gz" >"$T/stacks"
matches "the root" "$T/stacks" 'bottom < down .*< \[truncated\]$'
at_least "counted" "$(profile number "$T/P.pb.gz" truncated)" 1
record_ok Q -- "$PROGRAMS/deep" 100 500
profile stacks "$T/Q.pb.gz" >"$T/stacks"
matches "whole" "$T/stacks" 'bottom < down .*< main'
# 200 frames of 1 KiB are more than the copy of the stack holds.
record_ok R -- "$PROGRAMS/deep" 200 500 1024
near "CPU time" "$(profile total "$T/R.pb.gz")" 500000000 10
profile stacks "$T/R.pb.gz" >"$T/stacks"
matches "cut at the end of the copy" "$T/stacks" 'bottom < down .*\[truncated\]$'

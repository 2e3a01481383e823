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
# 200 frames of 1 KiB are more than a copy of the stack holds; tables walk in place.
record_ok R --unwind libunwind -- "$PROGRAMS/deep" 200 500 1024
near "CPU time" "$(profile total "$T/R.pb.gz")" 500000000 10
profile stacks "$T/R.pb.gz" >"$T/stacks"
matches "cut at the end of the copy" "$T/stacks" 'bottom < down .*\[truncated\]$'
record_ok S --unwind table -- "$PROGRAMS/deep" 200 1000 1024
profile stacks "$T/S.pb.gz" >"$T/stacks"
matches "whole in place" "$T/stacks" 'bottom < down .*< main'
at_most "nothing cut in place" "$(profile number "$T/S.pb.gz" truncated)" "$(profile number "$T/S.pb.gz" copied)"

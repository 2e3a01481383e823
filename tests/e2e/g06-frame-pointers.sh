#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# --unwind fp walks a program built with frame pointers.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --unwind fp -- "$PROGRAMS/fp" 600
profile stacks "$T/P.pb.gz" >"$T/stacks"
matches "the chain" "$T/stacks" 'fp_leaf < fp_mid < fp_top < main'
at_least "the chain's share" "$(grep -E 'fp_leaf < fp_mid < fp_top < main' "$T/stacks" | awk '{ s += $1 } END { print s + 0 }')" 480000000
# A program without them must not fall: wrong or short stacks are all that may come of it.
record_ok Q --unwind fp -- "$PROGRAMS/truth" -t 2 -s 0.5 -o "$T/truth.txt"
near "CPU time" "$(profile total "$T/Q.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 4

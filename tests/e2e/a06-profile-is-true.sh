#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A first profile: valid, the right functions, the kernel's total.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --hz 250 -- "$PROGRAMS/truth" -t 2 -s 2 -o "$T/truth.txt"
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 3
profile top "$T/P.pb.gz" 1 >"$T/top"
matches "the hottest function" "$T/top" 'hot_40_0$'
profile stacks "$T/P.pb.gz" >"$T/stacks"
matches "a whole stack" "$T/stacks" 'hot_40_0 < dispatch < layer_5 < layer_4 < layer_3 < layer_2 < layer_1 < one_round < work < '

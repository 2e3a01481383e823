#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# --signal with a real-time signal.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --signal SIGRTMIN+5 -- "$PROGRAMS/truth" -t 2 -s 1 -o "$T/truth.txt"
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 3
at_least "the hottest function" "$(profile flat "$T/P.pb.gz" hot_40_0)" 200000000

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Threads of 0.4 ms: the sum is right and what was not seen is named.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/churn" -n 3000
rusage=$(awk '/^rusage/ { print $2 }' "$T/P.out")
near "CPU time" "$(profile total "$T/P.pb.gz")" "$rusage" 5
at_least "their function or [not sampled]" "$(profile cum "$T/P.pb.gz" short_thread)" $((rusage / 2))

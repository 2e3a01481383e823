#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A small SONDE_MEMORY: the program runs, the total is right, what gave way is counted.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --memory 4MiB --hz 1000 -- "$PROGRAMS/truth" -t 8 -s 2 -o "$T/truth.txt"
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 3

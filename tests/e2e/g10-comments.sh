#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The comments state engine, rates, signals, lost, truncated, failures and own cost.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --hz 200 -- "$PROGRAMS/truth" -s 1 -o "$T/truth.txt"
profile comments "$T/P.pb.gz" >"$T/comments"
matches "engine" "$T/comments" 'timer'
matches "asked rate" "$T/comments" '200'
for name in signals lost truncated unwind_failed; do
	matches "comments" "$T/comments" "(^|[ #,;])$name=[0-9]+"
done
at_least "signals" "$(profile number "$T/P.pb.gz" signals)" 100
matches "own cost" "$T/comments" 'handler|cost|self'
is "lost" "$(profile number "$T/P.pb.gz" lost)" 0

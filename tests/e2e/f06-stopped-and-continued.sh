#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program stopped and continued: only its CPU time counts.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
"$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/truth" -s 1 -o "$T/truth.txt" >"$T/out" 2>"$T/err" </dev/null &
runner=$!
until_true has_child $runner truth
pid=$(child_of $runner truth)
for _ in 1 2 3; do
	sleep 0.1
	kill -STOP "$pid" 2>/dev/null
	sleep 0.2
	kill -CONT "$pid" 2>/dev/null
done
wait $runner
is "status" $? 0
valid "$T/P.pb.gz"
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 3

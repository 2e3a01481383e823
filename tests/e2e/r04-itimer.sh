#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# --engine itimer: right sums, also for threads and forked children; a program that wants ITIMER_PROF for itself finds
# it unused and gets it, whatever the engine.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --engine itimer -- "$PROGRAMS/truth" -t 4 -s 1 -o "$T/truth.txt"
profile comments "$T/P.pb.gz" >"$T/P.comments"
matches "engine" "$T/P.comments" '^sonde: engine=itimer '
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 2
near "the hottest function" "$(profile flat "$T/P.pb.gz" hot_40_0)" "$(($(profile total "$T/P.pb.gz") * 40 / 100))" 40

"$PROGRAMS/engines" itimer >"$T/bare" || fail "bare: status $?"
for engine in timer itimer perf; do
	record_ok "own-$engine" --engine "$engine" --hz 250 -- "$PROGRAMS/engines" itimer
	is "$engine: before and interval" "$(grep -E '^(before|interval)' "$T/own-$engine.out")" "$(grep -E '^(before|interval)' "$T/bare")"
	near "$engine: its own ticks" "$(awk '/^ticks/ { print $2 }' "$T/own-$engine.out")" "$(awk '/^ticks/ { print $2 }' "$T/bare")" 40
	near "$engine: CPU time" "$(profile total "$T/own-$engine.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/own-$engine.out")" 3
	at_most "$engine: time without samples" "$(profile flat "$T/own-$engine.pb.gz" '[not sampled]')" 150000000
done
profile comments "$T/own-itimer.pb.gz" >"$T/own.comments"
matches "why" "$T/own.comments" '^# engine: timer, because the program uses ITIMER_PROF'

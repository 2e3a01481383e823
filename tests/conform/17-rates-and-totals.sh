#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 17: rates merge; totals are getrusage's, also above the tick rate.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
sum=0
for hz in 100 997 1000; do
	record_ok r$hz --hz $hz -- "$PROGRAMS/truth" -t 2 -s 1.5 -o "$T/truth.txt"
	rusage=$(awk '/^rusage/ { print $2 }' "$T/truth.txt")
	near "$hz Hz: CPU time" "$(profile total "$T/r$hz.pb.gz")" "$rusage" 5
	[ $hz = 1000 ] || sum=$((sum + $(profile total "$T/r$hz.pb.gz")))
done
pprof_ok top -top "$T/r100.pb.gz" "$T/r997.pb.gz"
near "the merged total" "$(pprof_total top)" "$sum" 1

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# load.sh - what clients of /debug/pprof cost the program: the same work while nobody asks, while profiles are taken one
# after the other, and under wrk; CPU time of the program's own threads and wall time, medians of interleaved runs.
#
# Usage: load.sh [REPETITIONS [ROUNDS]]
# wrk (package wrk): without it that row is left out.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
repeat=${1:-5}
rounds=${2:-1200}

# The work under one load: `CPU WALL` in seconds, a line each.
work()	# PLACE LOAD
{
	local began load=

	serve work "$1" -- "$PROGRAMS/truth" -t 1 -r "$rounds" -o "$T/truth.txt"
	began=$(date +%s.%N)
	case $2 in
	profiles) while curl -fsS -o /dev/null "$URL/profile?seconds=1" && curl -fsS -o /dev/null "$URL/profile?last=60"; do :; done 2>/dev/null & load=$! ;;
	wrk) wrk -t1 -c16 -d60s "$URL/cmdline" >/dev/null 2>&1 & load=$! ;;
	esac
	while kill -0 "$SERVED" 2>/dev/null && [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$SERVED/status" 2>/dev/null)" != Z ]; do sleep 0.02; done
	awk -v b="$began" -v e="$(date +%s.%N)" '/^rusage/ { r = $2 / 1e9 } /^share/ { own += $4 / 1e9 } END { printf "%.3f %.3f\n", own, e - b }' "$T/truth.txt" >>"$T/$1.$2"
	[ -z "$load" ] || kill "$load" 2>/dev/null
	wait "$STARTED" 2>/dev/null
}
median()	# FILE COLUMN
{
	awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
loads="nothing profiles"
command -v wrk >/dev/null && loads="$loads wrk"
for ((i = 0; i < repeat; i++)); do
	for place in outside inside; do
		for load in $loads; do
			work $place "$load"
		done
	done
done
printf '%-10s %-10s %12s %12s %10s\n' place load 'own CPU, s' 'wall, s' 'CPU ratio'
for place in outside inside; do
	base=$(median "$T/$place.nothing" 1)
	for load in $loads; do
		cpu=$(median "$T/$place.$load" 1)
		printf '%-10s %-10s %12s %12s %10.3f\n' $place "$load" "$cpu" "$(median "$T/$place.$load" 2)" "$(awk -v a="$cpu" -v b="$base" 'BEGIN { print a / b }')"
	done
done

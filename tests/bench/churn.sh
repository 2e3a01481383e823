#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# churn.sh - 20,000 threads of 0.4 ms: the sum within 5 % of getrusage, and how much of it is [not sampled]; then 2,000
# a second for a minute, outside and inside: the same, and every sample that was taken is in the profile.
#
# Usage: churn.sh [THREADS [A_SECOND [SECONDS]]]
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
threads=${1:-20000}
a_second=${2:-2000}
seconds=${3:-60}
failed=0
printf '%6s %8s %8s %10s %10s %9s %15s %9s\n' hz threads signals 'cpu s' 'profile s' 'off %' '[not sampled] %' ''
for hz in 100 250 1000; do
	record_ok P --hz $hz -- "$PROGRAMS/churn" -n "$threads"
	rusage=$(awk '/^rusage/ { print $2 }' "$T/P.out")
	awk -v hz=$hz -v n="$threads" -v s="$(profile number "$T/P.pb.gz" signals)" -v r="$rusage" -v t="$(profile total "$T/P.pb.gz")" \
		-v u="$(profile cum "$T/P.pb.gz" '[not sampled]')" 'BEGIN {
			off = 100 * (t - r) / r; good = off <= 5 && off >= -5
			printf "%6d %8d %8d %10.3f %10.3f %+9.2f %15.1f %9s\n", hz, n, s, r / 1e9, t / 1e9, off, 100 * u / t, good ? "PASS" : "FAIL"
			exit !good }' || failed=$((failed + 1))
done

# Truth is the workers' own clocks, summed; theirs in the profile is what began in short_thread.
printf '\n%-8s %10s %8s %8s %8s %10s %10s %9s %9s %15s\n' '' 'a second' signals samples lost 'cpu s' 'profile s' 'off %' 'workers %' '[not sampled] %'
for place in outside inside; do
	rm -f "$T/P.pb.gz"
	if [ $place = outside ]; then
		record_ok P -- "$PROGRAMS/churn" -n $((a_second * seconds)) -p "$a_second"
	else
		env "LD_PRELOAD=$LIBSONDE" "SONDE_FILE=$T/P.pb.gz" "$PROGRAMS/churn" -n $((a_second * seconds)) -p "$a_second" \
			>"$T/P.out" 2>"$T/P.err" </dev/null || fail "inside: status $?"
		valid "$T/P.pb.gz"
	fi
	awk -v place=$place -v s="$(profile number "$T/P.pb.gz" signals)" -v n="$(profile number "$T/P.pb.gz" samples)" \
		-v l="$(profile number "$T/P.pb.gz" lost)" -v b="$(profile number "$T/P.pb.gz" bad_records)" \
		-v un="$(profile number "$T/P.pb.gz" unsampled_threads)" -v t="$(profile total "$T/P.pb.gz")" \
		-v u="$(profile cum "$T/P.pb.gz" '[not sampled]')" -v w="$(profile cum "$T/P.pb.gz" short_thread)" '
		{ v[$1] = $2 }
		END {
			off = 100 * (t - v["rusage"]) / v["rusage"]; mine = 100 * (w - v["worker"]) / v["worker"]
			good = off <= 5 && off >= -5 && mine <= 5 && mine >= -5 && l == 0 && b == 0 && un == 0
			printf "%-8s %10.0f %8d %8d %8d %10.3f %10.3f %+9.2f %+9.2f %15.1f %9s\n", place, v["threads"] * 1e9 / v["wall"], s, n, l,
				v["rusage"] / 1e9, t / 1e9, off, mine, 100 * u / t, good ? "PASS" : "FAIL"
			exit !good }' "$T/P.out" || failed=$((failed + 1))
done
[ $failed -eq 0 ] || fail "$failed rows"

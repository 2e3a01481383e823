#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# churn.sh - 20,000 threads of 0.4 ms: the sum within 5 % of getrusage, and how much of it is [not sampled].
#
# Usage: churn.sh [THREADS]
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
threads=${1:-20000}
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
[ $failed -eq 0 ] || fail "$failed rows"

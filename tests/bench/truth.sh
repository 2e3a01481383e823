#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# truth.sh - how true a profile is: 1, 2 and 8 threads of unequal load, 100, 250 and 1000 Hz asked.
#
# Usage: truth.sh [CPU_SECONDS_A_ROW]
# A row passes when the sum is within 1 % of getrusage, each thread within 1 point of its CPU clock, and
# each function within 5 standard deviations of its sample count.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
seconds=${1:-8}
failed=0
"$PYTHON" "$SN_SRC/tests/bench/truth_row.py" --head
for threads in 1 2 8; do
	for hz in 100 250 1000; do
		record_ok P --hz $hz -- "$PROGRAMS/truth" -t $threads -s "$seconds" -o "$T/truth.txt"
		"$PYTHON" "$SN_SRC/tests/bench/truth_row.py" "$threads" "$hz" "$T/P.pb.gz" "$T/truth.txt" || failed=$((failed + 1))
	done
done
[ $failed -eq 0 ] || fail "$failed rows"

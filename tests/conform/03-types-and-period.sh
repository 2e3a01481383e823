#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 3: types, period, and cpu == samples x period in every row.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for hz in 100 250; do
	record_ok P --hz $hz -- "$PROGRAMS/truth" -s 0.5 -o "$T/truth.txt"
	pprof_ok raw -raw "$P"
	period=$((1000000000 / hz))
	matches "period type" "$T/raw.txt" '^PeriodType: cpu nanoseconds$'
	matches "period" "$T/raw.txt" "^Period: $period\$"
	matches "types" "$T/raw.txt" '^samples/count cpu/nanoseconds$'
	awk -v p=$period '/^Locations/ { exit } /^ +[0-9]+ +[0-9]+:/ { n++; sub(/:$/, "", $2); if ($1 * p != $2) bad++ }
		END { exit !(n > 0 && bad == 0) }' "$T/raw.txt" || fail "a row where cpu is not samples x $period"
done

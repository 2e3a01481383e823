#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 7: inlined frames in their order.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/inline" 800
pprof_ok traces -symbolize=none -traces "$P"
awk '{ sub(/^ *[0-9.]+m?s +/, ""); sub(/^ +/, ""); if (have == 0 && $0 ~ /^inner \(inline\)$/) have = 1
	else if (have == 1 && $0 ~ /^middle \(inline\)$/) have = 2
	else if (have == 2 && $0 ~ /^outer$/) have = 3
	else if (have == 3 && $0 ~ /^caller$/) have = 4
	else if (have == 4 && $0 ~ /^main$/) found = 1
	else have = 0 } END { exit !found }' "$T/traces.txt" ||
	fail "no inner (inline) / middle (inline) / outer / caller / main in: $(head -40 "$T/traces.txt")"

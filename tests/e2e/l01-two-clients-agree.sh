#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two clients that take a CPU profile at the same time get the same: totals within 1 %, and the kernel's CPU time.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
for place in outside inside; do
	serve $place $place -- "$PROGRAMS/truth" -t 2 -s 120
	fetch A-$place "profile?seconds=6" &
	first=$!
	fetch B-$place "profile?seconds=6" || exit 1
	wait $first || exit 1
	near "$place: totals of two clients" "$(profile total "$T/A-$place.pb.gz")" "$(profile total "$T/B-$place.pb.gz")" 1
	profile comments "$T/A-$place.pb.gz" >"$T/comments"
	cpu=$(sed -n "s/.*kernel's CPU time of the process: \([0-9.]*\) s.*/\1/p" "$T/comments" | awk '{ printf "%.0f", $1 * 1e9 }')
	near "$place: total and the kernel's figure" "$(profile total "$T/A-$place.pb.gz")" "$cpu" 1
	profile names "$T/A-$place.pb.gz" >"$T/names"
	matches "$place: what it did" "$T/names" 'hot_'
	stop_served
done

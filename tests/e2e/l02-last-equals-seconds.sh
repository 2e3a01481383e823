#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# profile?last=N answers at once, and holds what a client that waited through the same N seconds got, within 3 %:
# in all, and for each function of weight.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
duration()	# NAME
{
	profile types "$T/$1.pb.gz" | sed -n 's/^duration //p'
}
for place in outside inside; do
	serve $place $place -- "$PROGRAMS/truth" -t 2 -s 120
	fetch seconds-$place "profile?seconds=30"
	fetch last-$place "profile?last=30"
	near "$place: totals" "$(profile total "$T/last-$place.pb.gz")" "$(profile total "$T/seconds-$place.pb.gz")" 3
	for f in hot_40_0 hot_25_0; do
		near "$place: $f" "$(profile flat "$T/last-$place.pb.gz" $f)" "$(profile flat "$T/seconds-$place.pb.gz" $f)" 6
	done
	near "$place: duration" "$(duration "last-$place")" 30000000000 3
	fetch all-$place "profile?last=3600"
	# More than there is: what is there, and the span says so.
	at_most "$place: span of what was asked for an hour" "$(duration "all-$place")" 120000000000
	at_least "$place: its total" "$(profile total "$T/all-$place.pb.gz")" "$(profile total "$T/seconds-$place.pb.gz")"
	stop_served
done

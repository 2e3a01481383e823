#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tables and copies give the same stacks; `libunwind` copies all of them, the others only what they meet before the
# tables are there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for how in auto table libunwind; do
	record_ok "$how" --unwind "$how" -- "$PROGRAMS/deep" 60 1500
	# Most seen: the work at the bottom, all the way from main.
	profile stacks "$T/$how.pb.gz" | sort -n | tail -n 1 | sed 's/^[0-9]* *//' >"$T/$how.top"
	matches "$how: from the bottom to the root" "$T/$how.top" 'bottom < down .* < main'
	is "$how: failed" "$(profile number "$T/$how.pb.gz" unwind_failed)" 0
	profile comments "$T/$how.pb.gz" >"$T/$how.comments"
	matches "$how: is named" "$T/$how.comments" "unwind=$how\$"
done
cmp -s "$T/auto.top" "$T/libunwind.top" || fail "auto and libunwind: other stacks"
is "libunwind: copied" "$(profile number "$T/libunwind.pb.gz" copied)" "$(profile number "$T/libunwind.pb.gz" samples)"
for how in auto table; do
	at_most "$how: copied" "$(profile number "$T/$how.pb.gz" copied)" "$(($(profile number "$T/$how.pb.gz" samples) / 2))"
done

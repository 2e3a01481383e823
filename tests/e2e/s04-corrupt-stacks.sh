#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Saved return addresses and frame pointers, the frame pointer and the stack pointer itself full of nonsense while the program
# burns: it lives as bare, and the profile counts the stacks that could not be unwound.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/torture.sh
. "$SN_SRC/tests/lib/torture.sh"

# 150 ms at 1000 Hz are some 40 samples where ticks are slow.
counted()	# WHAT FILE UNWIND
{
	local failed

	failed=$(($(profile number "$2" unwind_failed) + $(profile number "$2" truncated)))
	at_least "$1: counted" $failed "$(($(profile number "$2" samples) / 2))"
	at_least "$1: [unwind failed]" "$(profile stacks "$2" | awk '/\[(unwind failed|truncated)\]$/ { n += $1 } END { print n + 0 }')" \
		"$(($(profile total "$2") / 2))"
}

for mode in frame fp sp exit; do
	torture counted corrupt $mode 150
done

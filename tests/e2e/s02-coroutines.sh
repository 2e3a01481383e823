#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Coroutines on stacks that no thread was made with, beside pages that cannot be read and pages that other threads unmap:
# nothing differs from bare, and what could not be unwound says so.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/torture.sh
. "$SN_SRC/tests/lib/torture.sh"

none_silent()	# WHAT FILE UNWIND
{
	# By frame pointers alone nobody can tell: a register that holds another number by chance is an end.
	[ "$3" != fp ] || return 0
	at_most "$1: stacks that end without a word" "$SILENT" 10000000
	[ "$mode" != neighbours ] || return 0
	# What runs there is seen down to where the stack begins, but for samples that found no room.
	profile stacks "$2" >"$T/stacks"
	grep -Eq 'burn_in_coroutine < (burn_in_coroutine < ){9}burn_in_coroutine < (coroutine_main|burn_by_hand < on_stack)' "$T/stacks" ||
		fail "$1: no whole stack of a coroutine: $(head -n 3 "$T/stacks")"
}

for mode in heap guard neighbours assembly carved; do
	torture none_silent coroutines $mode 150
done

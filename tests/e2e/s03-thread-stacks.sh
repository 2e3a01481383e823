#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Threads with the smallest stacks, with stacks of the program's own, in a storm of ends of every kind, and the main thread's
# stack when its limit changes: nothing differs from bare, and what could not be unwound says so.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/torture.sh
. "$SN_SRC/tests/lib/torture.sh"

none_silent()	# WHAT FILE UNWIND
{
	# By frame pointers alone nobody can tell: a register that holds another number by chance is an end.
	[ "$3" != fp ] || return 0
	at_most "$1: stacks that end without a word" "$SILENT" 10000000
}

for mode in tiny own storm limit; do
	torture none_silent stacks $mode 150
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Handlers that burn on alternate stacks - small, nested, in the thread's own, unmapped, half unmapped and in use - and the
# program's own handler of stack overflows: nothing differs from bare, and what could not be unwound says so.
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

# By tables the way goes on from the alternate stack to the interrupted one.
whole()	# WHAT FILE UNWIND
{
	none_silent "$@"
	[ "$3" = auto ] || return 0
	at_least "$1: whole stacks" "$(profile stacks "$2" | awk '/burn_on_alternate_stack < .* < main < .*_start$/ { n += $1 } END { print n + 0 }')" \
		"$(($(profile total "$2") / 5))"
}

for mode in small nested carved; do
	torture whole altstack $mode 150
done
torture none_silent altstack unmapped 150
torture none_silent altstack reused 150
torture none_silent altstack overflow 30

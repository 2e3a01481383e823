#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A thread that blocks all signals by a system call that no library sees: its time is [signal blocked], not its next
# function's.  One that blocks them by pthread_sigmask is sampled like any other.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ownprof
find_library
checked()	# NAME
{
	valid "$T/$1.pb.gz"
	near "$1: CPU time" "$(profile total "$T/$1.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/$1.out")" 3
	at_least "$1: blocked" "$(profile flat "$T/$1.pb.gz" '[signal blocked]')" 900000000
	at_most "$1: blocked" "$(profile flat "$T/$1.pb.gz" '[signal blocked]')" 1010000000
	at_most "$1: what came next" "$(profile flat "$T/$1.pb.gz" next_work)" 312000000
	is "$1: what was hidden" "$(profile flat "$T/$1.pb.gz" hidden_work)" 0
}
record_ok outside -- "$PROGRAMS/ownprof" blocked
checked outside
SONDE_FILE=$T/inside.pb.gz LD_PRELOAD=$LIBSONDE "$PROGRAMS/ownprof" blocked >"$T/inside.out" || fail "inside: status $?"
checked inside

seen()	# NAME
{
	valid "$T/$1.pb.gz"
	is "$1: blocked" "$(profile flat "$T/$1.pb.gz" '[signal blocked]')" 0
	at_least "$1: what it did" "$(profile flat "$T/$1.pb.gz" hidden_work)" 700000000
}
record_ok masked -- "$PROGRAMS/ownprof" masked
seen masked
SONDE_FILE=$T/maskedin.pb.gz LD_PRELOAD=$LIBSONDE "$PROGRAMS/ownprof" masked >"$T/maskedin.out" || fail "masked inside: status $?"
seen maskedin

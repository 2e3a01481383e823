#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program with a SIGPROF handler and timers of its own, begun in the middle: its handler hears its own timers, as
# often as their clock says, nothing of ours, and the profile is complete.  Also when the action is put in place by a
# system call that no library sees.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ownprof
find_library
checked()	# NAME PROFILE
{
	valid "$2"
	near "$1: CPU time" "$(profile total "$2")" "$(awk '/^rusage/ { print $2 }' "$T/$1.out")" 3
}
heard()	# NAME
{
	matches "$1" "$T/$1.out" '^strange 0, ITIMER_PROF heard$'
	matches "$1" "$T/$1.out" '^left OK$'
	near "$1: periods" "$(awk '/^periods/ { print $2 }' "$T/$1.out")" "$(awk '/^periods/ { print $4 }' "$T/$1.out")" 5
}
timeout -k 5 60 "$PROGRAMS/ownprof" timer >"$T/bare.out" || fail "bare: status $?"
heard bare
record_ok outside -- "$PROGRAMS/ownprof" timer
heard outside
checked outside "$T/outside.pb.gz"
at_least "what it did after" "$(profile flat "$T/outside.pb.gz" work)" 1000000000
SONDE_FILE=$T/inside.pb.gz LD_PRELOAD=$LIBSONDE "$PROGRAMS/ownprof" timer >"$T/inside.out" || fail "inside: status $?"
heard inside
checked inside "$T/inside.pb.gz"
at_least "what it did after, inside" "$(profile flat "$T/inside.pb.gz" work)" 1000000000

record_ok raw -- "$PROGRAMS/ownprof" bare-action
matches raw "$T/raw.out" '^ignored 1$'
checked raw "$T/raw.pb.gz"
at_least "outside: sampled again since sigaction" "$(profile flat "$T/raw.pb.gz" work)" 150000000
SONDE_FILE=$T/rawin.pb.gz LD_PRELOAD=$LIBSONDE "$PROGRAMS/ownprof" bare-action >"$T/rawin.out" || fail "rawin: status $?"
matches rawin "$T/rawin.out" '^ignored 1$'
checked rawin "$T/rawin.pb.gz"
at_least "inside: sampled again in a moment" "$(profile flat "$T/rawin.pb.gz" work)" 400000000

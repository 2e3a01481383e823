#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# FILE is the first process's through every exec; a child that execs has its own.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# The CPU clock of a process goes on through exec.
record P -- "$PROGRAMS/forker" -n 0 -m 300 -e "$PROGRAMS/burner" -E -- -m 700 -x 6
status_is P 6
valid "$T/P.pb.gz"
at_least "work after the exec" "$(profile cum "$T/P.pb.gz" burner_hot)" 250000000
files=("$T"/P*.pb.gz)
is "profiles of one process" "${#files[@]}" 1
record Q -- "$PROGRAMS/forker" -n 0 -m 300 -e "$PROGRAMS/burner" -- -m 300
status_is Q 0
valid "$T/Q.pb.gz"
pid=$(awk '/exec$/ { print $2 }' "$T/Q.out")
valid "$T/Q.$pid.pb.gz"
at_least "the child's work" "$(profile cum "$T/Q.$pid.pb.gz" burner_hot)" 250000000
is "the child's work in the parent's profile" "$(profile cum "$T/Q.pb.gz" burner_hot)" 0
profile mappings "$T/Q.$pid.pb.gz" >"$T/mappings"
matches "mapping 1 of the child" "$T/mappings" '^1 .*/burner$'

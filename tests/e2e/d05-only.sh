#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# SONDE_ONLY and --only: globs on the base name.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
SONDE_ONLY='fork*,nothing' "$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/forker" -n 0 -m 200 -e "$PROGRAMS/burner" -- -m 200 >"$T/out" 2>"$T/err"
is "status" $? 0
files=("$T"/P*.pb.gz)
is "profiles" "${files[*]}" "$T/P.pb.gz"
at_least "the parent's work" "$(profile cum "$T/P.pb.gz" parent_hot)" 150000000
"$SONDE" run --only 'burn?r' -o "$T/Q.pb.gz" -- "$PROGRAMS/forker" -n 0 -m 200 -e "$PROGRAMS/burner" -- -m 200 >"$T/out" 2>"$T/err"
is "status" $? 0
pid=$(awk '/exec$/ { print $2 }' "$T/out")
valid "$T/Q.$pid.pb.gz"
at_least "the child's work" "$(profile cum "$T/Q.$pid.pb.gz" burner_hot)" 150000000
[ ! -e "$T/Q.pb.gz" ] || is "work of a program that was not admitted" "$(profile cum "$T/Q.pb.gz" parent_hot)" 0

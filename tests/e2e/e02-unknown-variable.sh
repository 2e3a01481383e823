#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An unknown SONDE_ variable: one line with the nearest name, and the profile is made.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
SONDE_HZZ=5 "$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 100 -x 2 >"$T/out" 2>"$T/err" </dev/null
is "status" $? 2
lines_are "SONDE_HZZ" "$T/err" 1
matches "SONDE_HZZ" "$T/err" '^sonde: .*SONDE_HZZ.*SONDE_HZ([^Z]|$)'
valid "$T/P.pb.gz"
SONDE_SYMBOLISE=none "$SONDE" run -o "$T/Q.pb.gz" -- "$PROGRAMS/burner" -m 100 2>"$T/err" >"$T/out"
is "status" $? 0
matches "SONDE_SYMBOLISE" "$T/err" 'SONDE_SYMBOLIZE'
lines_are "SONDE_SYMBOLISE" "$T/err" 1
# Once a tree, not once a process.
SONDE_HZZ=5 "$SONDE" run -o "$T/R.pb.gz" -- "$PROGRAMS/forker" -n 2 -m 50 -e "$PROGRAMS/burner" -- -m 50 >"$T/out" 2>"$T/err"
lines_are "in a tree" "$T/err" 1

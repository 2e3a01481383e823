#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Flags over variables; --help names every option; --hz sets the period.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
SONDE_HZ=50 "$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 200 2>"$T/err" || fail "status $?"
is "period by variable" "$(profile types "$T/P.pb.gz" | awk '/^period/ { print $3 }')" 20000000
SONDE_HZ=50 "$SONDE" run --hz 200 -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 200 2>"$T/err" || fail "status $?"
is "period by flag" "$(profile types "$T/P.pb.gz" | awk '/^period/ { print $3 }')" 5000000
"$SONDE" run --hz=250 --output="$T/Q.pb.gz" "$PROGRAMS/burner" -m 200 2>"$T/err" || fail "--name=value: status $?"
is "period by --hz=" "$(profile types "$T/Q.pb.gz" | awk '/^period/ { print $3 }')" 4000000
SONDE_FILE=$T/V.pb.gz "$SONDE" run "$PROGRAMS/burner" -m 50 2>"$T/err" || fail "SONDE_FILE: status $?"
exists "SONDE_FILE" "$T/V.pb.gz"
"$SONDE" run --help >"$T/help" 2>"$T/err" || fail "--help: status $?"
for flag in hz kinds engine signal output only depth unwind symbolize labels memory log; do
	matches "--help" "$T/help" "--$flag"
done
# The options do not change what the program sees of its own arguments.
"$SONDE" run -o "$T/E.pb.gz" -- echo -n --hz 5 -- x >"$T/echo" || fail "echo"
is "arguments" "$(cat "$T/echo")" "--hz 5 -- x"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program killed by SIGKILL: its profile is written and sonde dies the same way.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
"$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 20000 -r "$T/ready" >"$T/out" 2>"$T/err" </dev/null &
runner=$!
until_true test -e "$T/ready"
until_true has_child $runner burner
pid=$(child_of $runner burner)
burnt()
{
	[ "$(awk '{ print $14 }' "/proc/$pid/stat")" -ge 50 ]
}
until_true burnt
cpu=$(awk '{ print ($14 + $15) * 10000000 }' "/proc/$pid/stat")
kill -KILL "$pid"
wait $runner
is "status" $? 137
valid "$T/P.pb.gz"
near "CPU time until then" "$(profile total "$T/P.pb.gz")" "$cpu" 15
at_least "work" "$(profile cum "$T/P.pb.gz" burner_hot)" 350000000

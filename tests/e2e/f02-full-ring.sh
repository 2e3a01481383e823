#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A ring that is full: the newest are dropped and counted, and the total is still the kernel's.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
"$SONDE" run --hz 1000 -o "$T/P.pb.gz" -- "$PROGRAMS/deep" 100 4000 90 >"$T/out" 2>"$T/err" </dev/null &
runner=$!
until_true has_child $runner deep
pid=$(child_of $runner deep)
kill -STOP $runner
# The program must not need its collector to come to its end.
until_true gone "$pid"
kill -CONT $runner
wait $runner
is "status" $? 0
valid "$T/P.pb.gz"
near "CPU time" "$(profile total "$T/P.pb.gz")" 4000000000 2
lost=$(profile number "$T/P.pb.gz" lost)
at_least "lost, as a comment" "$lost" 1
at_least "lost, as a frame" "$(profile cum "$T/P.pb.gz" '[lost]')" 1

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# --signal with a real-time signal.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --signal SIGRTMIN+5 -- "$PROGRAMS/truth" -t 2 -s 1 -o "$T/truth.txt"
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 3
# Seen from outside: the program catches that signal, and SIGPROF is left alone.
"$SONDE" run -o "$T/Q.pb.gz" --signal SIGRTMIN+5 -- grep SigCgt /proc/self/status >"$T/caught" || fail "status $?"
mask=$((16#$(awk '{ print $2 }' "$T/caught")))
number=$(($(kill -l RTMIN) + 5))
is "catches SIGRTMIN+5" $((mask >> (number - 1) & 1)) 1
is "catches SIGPROF" $((mask >> ($(kill -l PROF) - 1) & 1)) 0
at_least "the hottest function" "$(profile flat "$T/P.pb.gz" hot_40_0)" 200000000

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# --engine perf, and auto above the tick rate, take samples at rates that ticks cannot give, with the kernel's totals;
# the profile says which engine it was.  Outside and inside.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
engine()	# PROFILE NAME WANTED
{
	is "$2: engine" "$(profile comments "$1" | sed -n 's/^sonde: engine=\([a-z]*\) .*/\1/p')" "$3"
}

record_ok P --engine perf --hz 2000 -- "$PROGRAMS/truth" -t 2 -s 1 -o "$T/truth.txt"
if profile comments "$T/P.pb.gz" | grep -q '^# engine: timer, because the kernel refuses'; then
	skip "$(profile comments "$T/P.pb.gz" | grep '^# engine:')"
fi
engine "$T/P.pb.gz" "perf by name" perf
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/truth.txt")" 2
# CONFIG_HZ is 1000 at most: two threads with ticks alone could have no more than that for each second of CPU time.
at_least "samples of a second of CPU time" "$(profile number "$T/P.pb.gz" signals)" \
	"$(($(profile total "$T/P.pb.gz") * 1500 / 1000000000))"
near "the hottest function" "$(profile flat "$T/P.pb.gz" hot_40_0)" "$(($(profile total "$T/P.pb.gz") * 40 / 100))" 12

# By default: the timer at 100 Hz, perf where ticks are not enough.
record_ok Q -- "$PROGRAMS/truth" -s 0.2
engine "$T/Q.pb.gz" "auto at 100 Hz" timer
record_ok R --hz 4000 -- "$PROGRAMS/truth" -t 1 -s 1
profile comments "$T/R.pb.gz" >"$T/R.comments"
# On a machine that is not its own auto may find that perf misses too much.
matches "auto at 4000 Hz" "$T/R.comments" '^sonde: engine=perf |^# engine: timer, since perf '

find_library
SONDE_ENGINE=perf SONDE_HZ=4000 SONDE_FILE=$T/I.pb.gz LD_PRELOAD=$LIBSONDE "$PROGRAMS/truth" -s 1 -o "$T/inside.txt" || fail "inside: status $?"
engine "$T/I.pb.gz" "inside" perf
# The program's own figure has the collector in it.
near "CPU time inside" "$(profile total "$T/I.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/inside.txt")" 8
at_least "samples inside" "$(profile number "$T/I.pb.gz" signals)" 2500

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# auto goes back to timers where perf would cost too much at context switches, or would not see too much of the
# kernel's time, and says so; a real-time signal never goes with perf.  Who names perf keeps it: kernel time that it
# does not see is [kernel].
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --hz 1000 -- "$PROGRAMS/engines" pingpong 150000
if profile comments "$T/P.pb.gz" | grep -q '^# engine: timer, because the kernel refuses'; then
	skip "$(profile comments "$T/P.pb.gz" | grep '^# engine:')"
fi
matches "context switches" <(profile comments "$T/P.pb.gz") '^# engine: timer, since no thread used 20 ms with less than'
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/P.out")" 3
record_ok S --hz 1000 -- "$PROGRAMS/engines" pingpong 150000 400
matches "context switches later" <(profile comments "$T/S.pb.gz") '^# engine: timer, since perf would cost more than 1 % '
near "CPU time" "$(profile total "$T/S.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/S.out")" 3

record_ok Q --hz 1000 --signal SIGRTMIN+4 -- "$PROGRAMS/truth" -s 0.2
matches "real-time signal" <(profile comments "$T/Q.pb.gz") '^# engine: timer, because the other engines need SIGPROF'
record_ok R --engine itimer --signal SIGRTMIN+4 -- "$PROGRAMS/truth" -s 0.2
matches "itimer with a real-time signal" <(profile comments "$T/R.pb.gz") '^# engine: timer, because the other engines need SIGPROF'

# Kernel time, for which no sample is taken.
record_ok K --engine perf --hz 1000 -- "$PROGRAMS/engines" kernel 1000
total=$(profile total "$T/K.pb.gz")
near "CPU time" "$total" "$(awk '/^rusage/ { print $2 }' "$T/K.out")" 3
near "[kernel]" "$(profile flat "$T/K.pb.gz" '[kernel]')" "$((total / 2))" 40
at_most "[not sampled]" "$(profile flat "$T/K.pb.gz" '[not sampled]')" "$((total / 20))"
record_ok L --hz 1000 -- "$PROGRAMS/engines" kernel 2500
matches "unseen kernel time" <(profile comments "$T/L.pb.gz") '^# engine: timer, since perf did not see 2 % of the CPU time'

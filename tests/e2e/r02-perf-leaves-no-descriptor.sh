#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program that is sampled by perf events has no descriptor of ours, and may close all that it has: it is sampled
# on.  Threads that end at 10 kHz, and execs that fail, harm nobody.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --engine perf --hz 1000 -- "$PROGRAMS/engines" fds
lacks "descriptors" "$T/P.out" 'anon_inode|perf'
is "descriptors beyond 2" "$(grep -c '^fd [3-9]' "$T/P.out")" 0
profile comments "$T/P.pb.gz" | grep -q '^sonde: engine=perf' || skip "no perf events here"
near "CPU time" "$(profile total "$T/P.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/P.out")" 3
at_most "time without samples after close" "$(profile flat "$T/P.pb.gz" '[not sampled]')" 80000000

record_ok Q --engine perf --hz 10000 -- "$PROGRAMS/churn" -u 6000 -n 200 -c 3
near "CPU time of short threads" "$(profile total "$T/Q.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/Q.out")" 3

record_ok R --engine perf --hz 2000 -- "$PROGRAMS/engines" failedexec
near "CPU time around failed execs" "$(profile total "$T/R.pb.gz")" "$(awk '/^rusage/ { print $2 }' "$T/R.out")" 3
at_most "time without samples after a failed exec" "$(profile flat "$T/R.pb.gz" '[not sampled]')" 100000000

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# CPUPROFILESIGNAL: each pair of signals is a file PATH.N with what was used in between; a signal in use ends nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program gperf
gperf=$PROGRAMS/gperf
usr2=12

toggle()	# NAME VARIABLE=VALUE...
{
	local name=$1

	shift
	timeout -k 5 60 env CPUPROFILE="$T/$name.prof" "$@" "$gperf" toggle $usr2 >"$T/$name.out" 2>"$T/$name.err" </dev/null
	echo $? >"$T/$name.rc"
	is_empty "$name: stderr" "$T/$name.err"
}

toggle a CPUPROFILESIGNAL=$usr2
status_is a 0
opens "$T/a.prof.0"
near "the first" "$(profile total "$T/a.prof.0")" 300000000 10
is "between them" "$(profile cum "$T/a.prof.0" before_hot)" 0
opens "$T/a.prof.1"		# the program ended in it
near "the second" "$(profile total "$T/a.prof.1")" 300000000 10
is "the second has none of the first" "$(profile cum "$T/a.prof.1" region_hot)" 0
absent "a third, or all" "$T/a.prof.2" "$T/a.prof"

# SIGPROF is the sampler's, SIGKILL nobody's, and a number that is none is none: the program is profiled as if unset,
# or not at all, and lives.
for sig in 27 9; do
	timeout -k 5 60 env CPUPROFILE="$T/b.prof" CPUPROFILESIGNAL=$sig SONDE_LOG="$T/log.$sig" "$gperf" burn 100 >"$T/b.out" 2>"$T/b.err" </dev/null
	is "signal $sig: status" $? 0
	is_empty "signal $sig: stderr" "$T/b.err"
	matches "signal $sig: the log" "$T/log.$sig" "CPUPROFILESIGNAL=$sig"
done
# Ignored from outside, as nohup does: in use.
(trap '' USR2; exec timeout -k 5 60 env CPUPROFILE="$T/c.prof" CPUPROFILESIGNAL=$usr2 SONDE_LOG="$T/log.c" "$gperf" toggle $usr2) >"$T/c.out" 2>"$T/c.err" </dev/null
is "ignored: status" $? 0
matches "ignored: the log" "$T/log.c" "CPUPROFILESIGNAL=$usr2 is in use"
absent "ignored" "$T/c.prof.0"
timeout -k 5 60 env CPUPROFILE="$T/d.prof" CPUPROFILESIGNAL=65 "$gperf" burn 100 >"$T/d.out" 2>"$T/d.err" </dev/null
is "no signal: status" $? 0
opens "$T/d.prof"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a program does with the profiler's own signal (masks, actions, handlers, waits, jumps, system calls) is
# answered as if there were no profiler: outside and inside, for SIGPROF and for a real-time signal.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program signals
for SONDE_SIGNAL in 27 39; do
	export SONDE_SIGNAL
	for what in masks actions handler pending all-block other-handler jump suspend waiter attribute descriptor restart raw; do
		timeout -k 5 60 "$PROGRAMS/signals" "$what" "$SONDE_SIGNAL" >"$T/bare" 2>&1 </dev/null
		is "$what bare" $? 0
		timeout -k 5 60 "$SONDE" run -o "$T/outside.pb.gz" -- "$PROGRAMS/signals" "$what" "$SONDE_SIGNAL" \
			>"$T/outside" 2>&1 </dev/null
		is "$what outside" $? 0
		cmp "$T/bare" "$T/outside" || fail "$what outside, signal $SONDE_SIGNAL: $(diff "$T/bare" "$T/outside")"
		valid "$T/outside.pb.gz"
		same_inside "$what" "$PROGRAMS/signals" "$what" "$SONDE_SIGNAL"
	done
done
# With a real-time signal SIGPROF is the program's alone.
same_inside other "$PROGRAMS/signals" handler 27

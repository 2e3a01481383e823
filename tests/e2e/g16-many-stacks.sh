#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A million different stacks and more under a small SONDE_MEMORY: neither the collector nor the program with the
# collector inside grows by more than 10 MiB over a run with one stack; what gave way is counted and shown; sums hold.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program manystacks
find_library
export SONDE_MEMORY=8MiB SONDE_HZ=1000

# Most resident KiB of the collector: read until the command is gone.
watch_collector()	# PID
{
	local most=0 now

	while now=$(awk '/^VmHWM/ { print $2 }' "/proc/$1/status" 2>/dev/null) && [ -n "$now" ]; do
		most=$now
		sleep 0.1
	done
	echo "$most"
}

said()	# FILE WORD
{
	awk -v w="$2" '$1 == w { print $2 }' "$1"
}

for depth in 0 450; do
	"$SONDE" run -o "$T/out.$depth.pb.gz" -- "$PROGRAMS/manystacks" 10000 $depth 500 >"$T/outside.$depth" </dev/null &
	pid=$!
	watch_collector $pid >"$T/kib.$depth"
	wait $pid || fail "outside, depth $depth: status $?"
	SONDE_LOG=$T/log SONDE_FILE=$T/in.$depth.pb.gz LD_PRELOAD=$LIBSONDE \
		"$PROGRAMS/manystacks" 10000 $depth 500 >"$T/inside.$depth" </dev/null || fail "inside, depth $depth: status $?"
done
at_least "stacks" "$(said "$T/outside.450" stacks)" 1000000
at_most "growth of the collector" $(($(cat "$T/kib.450") - $(cat "$T/kib.0"))) 10240
at_most "growth of the program" $(($(said "$T/inside.450" rss) - $(said "$T/inside.0" rss))) 10240
for f in out in; do
	at_least "$f: dropped, counted" "$(profile number "$T/$f.450.pb.gz" stacks_dropped)" 1
	at_least "$f: dropped, shown" "$(profile flat "$T/$f.450.pb.gz" '[stack dropped]')" 1000000
	near "$f: CPU time" "$(profile total "$T/$f.450.pb.gz")" 10000000000 6
	is "$f: dropped with one stack" "$(profile number "$T/$f.0.pb.gz" stacks_dropped)" 0
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ProfilerStart while others have the process profiled (`sonde run`, SONDE_*): the program gets its file of its own
# span, the others miss nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program gperf
gperf=$PROGRAMS/gperf

its_file()	# NAME
{
	opens "$T/$1.prof"
	near "$1: the region" "$(profile total "$T/$1.prof")" "$(sed -n 's/^cpu region //p' "$T/$1.out")" 10
	is "$1: what was before" "$(profile cum "$T/$1.prof" before_hot)" 0
	matches "$1" "$T/$1.out" '^start 1$'
}

whole()	# NAME
{
	valid "$T/$1.pb.gz"
	near "$1: all of it" "$(profile total "$T/$1.pb.gz")" 1100000000 10
	at_least "$1: what was before" "$(profile cum "$T/$1.pb.gz" before_hot)" 600000000
}

record_ok outside -- "$gperf" region "$T/outside.prof"
its_file outside
whole outside
record_ok calls -- "$gperf" calls "$T/calls.prof"
matches "calls" "$T/calls.out" '^start 1, again 0$'
matches "calls" "$T/calls.out" '^file after flush 1$'
opens "$T/calls.prof"

timeout -k 5 60 env SONDE_FILE="$T/inside.pb.gz" "$gperf" region "$T/inside.prof" >"$T/inside.out" 2>"$T/inside.err" </dev/null
is "inside: status" $? 0
its_file inside
whole inside
timeout -k 5 60 env SONDE=idle "$gperf" region "$T/idle.prof" >"$T/idle.out" 2>"$T/idle.err" </dev/null
is "idle: status" $? 0
its_file idle

# It exits without a stop: the file is there.
timeout -k 5 60 env SONDE_HZ=100 "$gperf" exits "$T/exits.prof" >"$T/exits.out" 2>"$T/exits.err" </dev/null
is "exits: status" $? 0
opens "$T/exits.prof"
near "exits: the parent" "$(profile total "$T/exits.prof")" "$(sed -n 's/^cpu parent //p' "$T/exits.out")" 12
absent "exits: children are the others' matter" "$T"/exits.prof_*

# A filter would take time out of the others' profile: refused.
record_ok filter -- "$gperf" filter "$T/filter.prof"
matches "filter" "$T/filter.out" '^start 0$'
absent "filter" "$T/filter.prof"
at_least "filter: the other's profile" "$(profile cum "$T/filter.pb.gz" unwanted_hot)" 500000000

# LD_PRELOAD alone says nothing: the program's wishes count.
find_library
timeout -k 5 60 env LD_PRELOAD="$LIBSONDE" CPUPROFILE_FREQUENCY=250 "$gperf" region "$T/alone.prof" >"$T/alone.out" 2>"$T/alone.err" </dev/null
is "alone: status" $? 0
its_file alone
is "alone: rate" "$(profile types "$T/alone.prof" | sed -n 's,^period cpu/nanoseconds ,,p')" 4000000
matches "alone: budget" <(profile comments "$T/alone.prof") '^# rate: 250Hz .*\(budget none, the rate was named, '

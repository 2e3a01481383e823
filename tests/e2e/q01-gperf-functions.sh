#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program written to gperftools' header and linked with libsonde: each function does and returns what it does there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program gperf
gperf=$PROGRAMS/gperf

run()	# MODE
{
	timeout -k 5 60 "$gperf" "$1" "$T/$1.prof" >"$T/$1.out" 2>"$T/$1.err" </dev/null
	is "$1: status" $? 0
	is_empty "$1: stderr" "$T/$1.err"
}

cpu()	# MODE WHO
{
	sed -n "s/^cpu $2 //p" "$T/$1.out"
}

run calls
cat >"$T/wanted" <<END
before: enabled=0 name= started=0 samples=0 all=0
no name 0, no folder 0, a folder 0, a device 0
start 1, again 0
running: enabled=1 name=$T/calls.prof started=1 samples=1 all=1
file before flush 0
file after flush 1
after: enabled=0 name= started=0 samples=0 all=0
END
cmp "$T/wanted" "$T/calls.out" || fail "calls: $(diff "$T/wanted" "$T/calls.out")"
opens "$T/calls.prof"
near "flush does not end it" "$(profile total "$T/calls.prof")" 600000000 10
absent "the second start" "$T/other" other

# What was used before and after is in no row, not even as [not sampled].
run region
opens "$T/region.prof"
near "the region" "$(profile total "$T/region.prof")" "$(cpu region region)" 10
is "before the start, after the stop" "$(profile cum "$T/region.prof" before_hot)" 0

# The filter runs on the thread itself, not after the stop; whom it refuses has no row, and the profile says how much.
run filter
matches filter "$T/filter.out" '^start 1$'
matches filter "$T/filter.out" '^asked 1$'
matches filter "$T/filter.out" '^asked after stop 0$'
opens "$T/filter.prof"
is "refused" "$(profile cum "$T/filter.prof" unwanted_hot)" 0
is "no row for it" "$(profile cum "$T/filter.prof" '[filtered]')" 0
near "admitted" "$(profile total "$T/filter.prof")" "$(cpu filter wanted)" 10
near "the comment" "$(profile number "$T/filter.prof" filtered)" "$(awk -v ns="$(cpu filter unwanted)" 'BEGIN { print ns / 1e9 }')" 10

# What is there stays until the new one is whole, and a link leads to the file.
echo old >"$T/target"
ln -s target "$T/forks.prof"
run forks
[ -L "$T/forks.prof" ] || fail "the link is gone"
opens "$T/target"

run own-child
opens "$T/own-child.prof"
children=("$T"/own-child.prof_*)
is "files of the child's first" "${#children[@]}" 1
opens "${children[0]}"
opens "$T/own-child.prof.child"
near "up to the child's stop" "$(profile total "${children[0]}")" 200000000 15
near "what it started" "$(profile total "$T/own-child.prof.child")" 300000000 10
at_least "… with its stacks" "$(profile cum "$T/own-child.prof.child" wanted_hot)" 200000000
is "of the other" "$(profile cum "$T/own-child.prof.child" child_hot)" 0
is "what the child's files have is not in its parent's" "$(profile cum "$T/own-child.prof" '[unsampled processes]')" 0
near "the parent goes on" "$(profile cum "$T/own-child.prof" region_hot)" 300000000 15

"$gperf" stack >"$T/stack.out"
is "ProfilerGetStackTrace" "$(cat "$T/stack.out")" "frames 1, no more than asked 1"

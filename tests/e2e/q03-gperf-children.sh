#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program that starts gperftools' profiler and forks four children leaves five whole files, each with its own CPU
# time: with ProfilerStop, without it, and by CPUPROFILE.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program gperf
gperf=$PROGRAMS/gperf

five()	# NAME: checks $T/NAME.prof and its children by $T/NAME.out
{
	local name=$1 who ns f n=0

	while read -r _ who ns; do
		f=$T/$name.prof_$who
		[ "$who" != parent ] || f=$T/$name.prof
		opens "$f"
		near "$name: $who" "$(profile total "$f")" "$ns" 12
		n=$((n + 1))
		if [ "$who" != parent ]; then
			is "$name: $who is not its parent" "$(profile cum "$f" region_hot)" 0
			at_least "$name: $who" "$(profile cum "$f" child_hot)" 200000000
		fi
	done < <(grep '^cpu' "$T/$name.out")
	is "$name: processes" "$n" "$2"
	files=("$T/$name".prof*)
	is "$name: files" "${#files[@]}" 5
	is_empty "$name: stderr" "$T/$name.err"
}

for name in forks exits; do
	timeout -k 5 60 "$gperf" $name "$T/$name.prof" >"$T/$name.out" 2>"$T/$name.err" </dev/null
	is "$name: status" $? 0
	five $name 5
done
timeout -k 5 60 env CPUPROFILE="$T/env.prof" "$gperf" children >"$T/env.out" 2>"$T/env.err" </dev/null
is "env: status" $? 0
five env 4
near "env: parent" "$(profile total "$T/env.prof")" 300000000 12

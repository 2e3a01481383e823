#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program linked with the real libprofiler: preloaded, our functions answer and one profiler writes the file; where
# libprofiler comes first, it is left alone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program gperf_theirs "without libprofiler"
find_library
theirs=$PROGRAMS/gperf_theirs
its_library=$(ldd "$theirs" | sed -n 's/.*=> \(.*libprofiler[^ ]*\) .*/\1/p')

run()	# NAME VARIABLE=VALUE... MODE [FILE]
{
	local name=$1

	shift
	timeout -k 5 60 env "$@" >"$T/$name.out" 2>"$T/$name.err" </dev/null
	is "$name: status" $? 0
}

run calls LD_PRELOAD="$LIBSONDE" "$theirs" calls "$T/calls.prof"
is_empty "calls: stderr" "$T/calls.err"
matches calls "$T/calls.out" '^start 1, again 0$'
opens "$T/calls.prof"
run filter LD_PRELOAD="$LIBSONDE" "$theirs" filter "$T/filter.prof"
opens "$T/filter.prof"
is "refused" "$(profile cum "$T/filter.prof" unwanted_hot)" 0

# Its constructor has run before ours and has begun: it stops.
run env LD_PRELOAD="$LIBSONDE" CPUPROFILE="$T/env.prof" "$theirs" children
matches "it was stopped at once" "$T/env.err" 'interrupts/evictions/bytes = 0/0/'
lines_are "it was stopped" "$T/env.err" 1
opens "$T/env.prof"
near "the parent" "$(profile total "$T/env.prof")" 300000000 12
files=("$T"/env.prof_*)
is "files of children" "${#files[@]}" 4
for f in "${files[@]}"; do
	opens "$f"
done
run child LD_PRELOAD="$LIBSONDE" CPUPROFILE="$T/child.prof" CPUPROFILE_USE_PID=1 "$theirs" burn
files=("$T"/child.prof_*)
opens "${files[0]}"

# First in the order of search: it acts, we do not.
run first LD_PRELOAD="$its_library:$LIBSONDE" CPUPROFILE="$T/first.prof" SONDE_LOG="$T/log" "$theirs" burn
matches "the log" "$T/log" 'left to the libprofiler'
exists "its file" "$T/first.prof"

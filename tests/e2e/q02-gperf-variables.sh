#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# CPUPROFILE and its kin, preloaded and linked: the file, the rate, the names of children; never an end of the program.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program gperf
find_library
gperf=$PROGRAMS/gperf
for v in ${!CPUPROFILE*}; do unset "$v"; done

burn()	# NAME VARIABLE=VALUE...
{
	local name=$1

	shift
	rm -rf "$T/work"
	mkdir "$T/work"
	(cd "$T/work" && timeout -k 5 60 env "$@" "$gperf" burn 300) >"$T/$name.out" 2>"$T/$name.err" </dev/null
	is "$name: status" $? 0
	matches "$name: output" "$T/$name.out" '^cpu burn [0-9]+$'
	lines_are "$name: output" "$T/$name.out" 1
	used=$(sed -n 's/^cpu burn //p' "$T/$name.out")
}

quiet()	# NAME VARIABLE=VALUE...
{
	burn "$@"
	is_empty "$1: stderr" "$T/$1.err"
}

quiet linked CPUPROFILE=a.prof
opens "$T/work/a.prof"
near "all of it" "$(profile total "$T/work/a.prof")" "$used" 10
is "one file" "$(ls "$T/work")" a.prof
quiet unset CPUPROFILE=
is "no file" "$(ls "$T/work")" ""
quiet off CPUPROFILE=a.prof SONDE=off
is "SONDE=off" "$(ls "$T/work")" ""
quiet sonde CPUPROFILE=a.prof SONDE_FILE="$T/work/b.prof"
is "SONDE_FILE wins" "$(ls "$T/work")" b.prof
quiet names "CPUPROFILE=50%p of é.prof"
is "a name is no pattern" "$(ls "$T/work")" "50%p of é.prof"
quiet utf8 "CPUPROFILE=é"
is "a name in UTF-8" "$(ls "$T/work")" "é"

# The rate: 100, at most 4000, and what is no number is 100.
for f in :10000000 0:10000000 x:10000000 -5:10000000 10x:10000000 250:4000000 99999:250000; do
	quiet rate CPUPROFILE=a.prof "CPUPROFILE_FREQUENCY=${f%:*}"
	is "CPUPROFILE_FREQUENCY=${f%:*}" "$(profile types "$T/work/a.prof" | sed -n 's,^period cpu/nanoseconds ,,p')" "${f#*:}"
	kept='none, the rate was named'
	[ "${f#*:}" != 10000000 ] || kept='1%'
	matches "CPUPROFILE_FREQUENCY=${f%:*}: budget" <(profile comments "$T/work/a.prof") "^# rate: .*\(budget $kept, "
done
quiet rate CPUPROFILE=a.prof CPUPROFILE_FREQUENCY=250 SONDE_HZ=50
is "SONDE_HZ wins" "$(profile types "$T/work/a.prof" | sed -n 's,^period cpu/nanoseconds ,,p')" 20000000

# Children started by exec: by the variable, and by the mark of older versions.
quiet child CPUPROFILE=a.prof CPUPROFILE_USE_PID=1
matches "a child" <(ls "$T/work") '^a\.prof_[0-9]+$'
quiet marked CPUPROFILE=$'\xe1.prof'
matches "marked as before 2.11" <(ls "$T/work") '^a\.prof_[0-9]+$'
quiet ranked CPUPROFILE=a.prof PMIX_RANK=3
matches "one of a job" <(ls "$T/work") '^a\.prof_[0-9]+$'

# What cannot be is told, and the program runs.
burn nowhere CPUPROFILE=/nonexistent/a.prof
lines_are "no such folder" "$T/nowhere.err" 1
matches "no such folder" "$T/nowhere.err" '^sonde: CPUPROFILE=/nonexistent/a.prof: No such file'
burn real CPUPROFILE=a.prof CPUPROFILE_REALTIME=
lines_are "wall clock" "$T/real.err" 1
matches "wall clock" "$T/real.err" '^sonde: CPUPROFILE_REALTIME'
opens "$T/work/a.prof"
quiet timers CPUPROFILE=a.prof CPUPROFILE_PER_THREAD_TIMERS=1 CPUPROFILE_TIMER_SIGNAL=40
opens "$T/work/a.prof"
near "another signal" "$(profile total "$T/work/a.prof")" "$used" 10
quiet bad-signal CPUPROFILE=a.prof CPUPROFILE_TIMER_SIGNAL=9 SONDE_LOG="$T/log"
opens "$T/work/a.prof"
matches "the log" "$T/log" 'CPUPROFILE_TIMER_SIGNAL=9'

# Preloaded into a program that knows nothing of it, and a shell in between: nobody overwrites a file.
mkdir "$T/tree"
timeout -k 5 60 env LD_PRELOAD="$LIBSONDE" CPUPROFILE="$T/tree/a.prof" "$PROGRAMS/burner" >"$T/tree.out" 2>"$T/tree.err" </dev/null ||
	timeout -k 5 60 env LD_PRELOAD="$LIBSONDE" CPUPROFILE="$T/tree/a.prof" "$PROGRAMS/forker" -n 0 >"$T/tree.out" 2>"$T/tree.err" </dev/null
opens "$T/tree/a.prof"
rm -f "$T/tree"/*
timeout -k 5 60 env LD_PRELOAD="$LIBSONDE" CPUPROFILE="$T/tree/a.prof" sh -c "$PROGRAMS/forker -n 0; $PROGRAMS/forker -n 0; true" >"$T/tree.out" 2>"$T/tree.err" </dev/null
is_empty "stderr of the tree" "$T/tree.err"
files=("$T"/tree/a.prof_*)
is "files of two programs" "${#files[@]}" 2
for f in "${files[@]}"; do
	opens "$f"
	at_least "parent_hot in $f" "$(profile cum "$f" parent_hot)" 300000000
done

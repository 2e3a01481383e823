#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 25: what is odd is no fault: thread names that are no text, deep stacks, closed libraries, the vdso, code without a
# file, forks, SIGKILL at any time.  Profiles by HTTP, outside and inside, and of the file: pprof opens them without
# a word, our own reader finds no fault, and nothing is dropped: totals are getrusage's.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"

# Opened with nothing on stderr, valid, and all of what a process says it used.
whole()	# NAME PID STDOUT_OF_IT
{
	local used

	valid "$T/$1.pb.gz"
	pprof_ok "$1" -top "$T/$1.pb.gz"
	pprof_ok "$1.traces" -traces "$T/$1.pb.gz"
	used=$(sed -n "s/^rusage $2 //p" "$3")
	near "$1: CPU time" "$(profile total "$T/$1.pb.gz")" "$used" 5
	profile stacks "$T/$1.pb.gz" >"$T/$1.stacks"
}

# Start, wait until it has told what it used, fetch.  The profile is T/NAME-http; outside, of the file: T/NAME.
run_odd()	# NAME PLACE [OPTION...] -- CMD...
{
	local name=$1 place=$2

	serve "$@"
	until_true grep -q "^rusage $SERVED " "$T/$name.out"
	fetch "$name-http" "profile?last=3600"
	whole "$name-http" "$SERVED" "$T/$name.out"
	stop_served
	lacks "$name: stderr" "$T/$name.err" .
	profiles=("$name-http")
	if [ "$place" = outside ]; then
		whole "$name" "$SERVED" "$T/$name.out"
		profiles+=("$name")
	fi
}

has_stack()	# REGEX: in each of the profiles
{
	local p

	for p in "${profiles[@]}"; do
		matches "$p" "$T/$p.stacks" "$1"
	done
}

# Nanoseconds of the stacks that match are at least that many.
weighs()	# REGEX NANOSECONDS
{
	local p

	for p in "${profiles[@]}"; do
		at_least "$p: weight of $1" "$(grep -E -- "$1" "$T/$p.stacks" | awk '{ s += $1 } END { printf "%d", s }')" "$2"
	done
}

odd_names()	# PLACE
{
	local p

	run_odd "names-$1" "$1" LINGER=1 -- "$PROGRAMS/odd" 200
	for p in "${profiles[@]}"; do
		profile by "$T/$p.pb.gz" thread >"$T/$p.by"
		matches "$p: a good name is as it was" "$T/$p.by" "^café [0-9]+$"
		matches "$p: quotes are as they were" "$T/$p.by" '^q"'"'"'\\`<&>%s\$\( [0-9]+$'
		matches "$p: half a character" "$T/$p.by" '^caf[?] [0-9]+$'
		at_least "$p: names that are apart" "$(wc -l <"$T/$p.by")" 9
		near "$p: all threads" "$(profile flat "$T/$p.pb.gz" odd_hot)" 2000000000 10
		pprof_ok "$p.tags" -tags "$T/$p.pb.gz"
	done
}

# 254 frames are not too many; with a limit below them the stack says that it was cut.
deep()	# PLACE
{
	local p

	run_odd "deep-$1" "$1" LINGER=1 -- "$PROGRAMS/deep" 248 600
	for p in "${profiles[@]}"; do
		at_least "$p: frames" "$(profile depth "$T/$p.pb.gz")" 254
	done
	weighs 'bottom < down .* < main < [^[]*$' 500000000
	run_odd "cut-$1" "$1" LINGER=1 SONDE_DEPTH=254 -- "$PROGRAMS/deep" 300 600
	has_stack 'bottom < down .* < \[truncated\]$'
}

closed()	# PLACE
{
	run_odd "closed-$1" "$1" LINGER=1 -- "$PROGRAMS/dlclose" "$PROGRAMS/libhotdso.so" 800 4
	weighs 'dso_hot < dso_entry < open_and_burn < main' 700000000
}

vdso()	# PLACE
{
	run_odd "vdso-$1" "$1" LINGER=1 -- "$PROGRAMS/vdso" 600
	has_stack '(clock_gettime|\[vdso\][^ ]*) < .*ask_the_time < main'
}

no_file()	# PLACE
{
	local status=0

	"$PROGRAMS/jit" 10 || status=$?
	[ $status != 77 ] || { echo "(no executable memory here)"; return 0; }
	is "jit" $status 0
	run_odd "jit-$1" "$1" LINGER=1 -- "$PROGRAMS/jit" 1000
	weighs '^[0-9]+ [^<]*/?memfd:jit code\+0x[0-9a-f]+( <|$)' 450000000
	weighs '^[0-9]+ [^<]*\[anon\]\+0x[0-9a-f]+( <|$)' 450000000
}

# Children without exec: each has its own.
forks()	# PLACE
{
	local parent _ pid children=()

	serve "forks-$1" "$1" LINGER=1 -- "$PROGRAMS/forker" -n 2 -m 500
	parent=$SERVED
	until_true lines_of "$T/forks-$1.out" '^rusage ' 3
	while read -r _ pid _; do
		children+=("$pid")
		at_exit "kill $pid 2>/dev/null"
	done < <(grep '^child ' "$T/forks-$1.out")
	for pid in "$parent" "${children[@]}"; do
		curl -fsS --max-time 60 -o "$T/fork-$pid.pb.gz" "http://$ADDRESS/pid/$pid/debug/pprof/profile?last=3600" ||
			fail "$1: /pid/$pid: curl's status $?"
		whole "fork-$pid" "$pid" "$T/forks-$1.out"
	done
	matches "$1: the parent" "$T/fork-$parent.stacks" 'parent_hot < burn_for < main'
	lacks "$1: the parent" "$T/fork-$parent.stacks" child_hot
	for pid in "${children[@]}"; do
		matches "$1: a child" "$T/fork-$pid.stacks" 'child_hot < burn_for < child < main'
		kill "$pid"
	done
	stop_served
	[ "$1" = outside ] || return 0
	whole forks-outside "$parent" "$T/forks-outside.out"
	for pid in "${children[@]}"; do
		whole "forks-outside.$pid" "$pid" "$T/forks-outside.out"
	done
}

lines_of()	# FILE REGEX COUNT
{
	[ "$(grep -cE -- "$2" "$1")" -ge "$3" ]
}

has_burnt()	# PID TICKS
{
	[ "$(awk '{ print $14 }' "/proc/$1/stat")" -ge "$2" ]
}

# SIGKILL in the middle: outside the profile is what it used until then, inside there is no file, not half of one.
killed()	# PLACE
{
	local cpu

	serve "killed-$1" "$1" "SONDE_FILE=$T/killed-$1.pb.gz" -- "$PROGRAMS/burner" -m 20000
	until_true has_burnt "$SERVED" 60
	fetch "killed-$1-http" "profile?last=3600"
	pprof_ok killed -top "$T/killed-$1-http.pb.gz"
	cpu=$(awk '{ print ($14 + $15) * 10000000 }' "/proc/$SERVED/stat")
	near "killed-$1: what was fetched before" "$(profile total "$T/killed-$1-http.pb.gz")" "$cpu" 30
	kill -KILL "$SERVED"
	wait "$STARTED" 2>/dev/null
	is "killed-$1: status" $? 137
	if [ "$1" = outside ]; then
		valid "$T/killed-$1.pb.gz"
		pprof_ok killed -top "$T/killed-$1.pb.gz"
		at_least "killed-$1: CPU time" "$(profile total "$T/killed-$1.pb.gz")" "$((cpu * 95 / 100))"
	elif [ -e "$T/killed-$1.pb.gz" ]; then
		valid "$T/killed-$1.pb.gz"
	fi
}

# SIGKILL of all of sonde as soon as the file that will be renamed is there.  Under the final name is the old profile
# or all of the new one.
killed_writers()
{
	local folder

	mkdir "$T/writers"
	record_ok old -- "$PROGRAMS/truth" -t 1 -s 0.2 -o "$T/truth.txt"
	"$PYTHON" - "$SONDE" "$T/writers" "$T/old.pb.gz" "$PROGRAMS/truth" >"$T/writers.said" 2>&1 <<'PY' ||
import os, shutil, signal, subprocess, sys, time
sonde, folder, old, program = sys.argv[1:]

def descendants(pid):
    try:
        children = open("/proc/%d/task/%d/children" % (pid, pid)).read().split()
    except OSError:
        return []
    return [c for child in children for c in descendants(int(child)) + [int(child)]]

caught = i = 0
while caught < 3 and i < 40:
    i += 1
    here = os.path.join(folder, str(i))
    os.mkdir(here)
    final = os.path.join(here, "P.pb.gz")
    if i % 2:
        shutil.copy(old, final)
    p = subprocess.Popen([sonde, "run", "-o", final, "--", program, "-t", "2", "-s", "0.3", "-o", here + ".txt"])
    there = len(os.listdir(here))
    seen = False
    # The probe at the start is seen too, and passed over: the program has not told its end yet.
    while p.poll() is None and not seen:
        seen = len(os.listdir(here)) > there and os.path.exists(here + ".txt")
        if seen:
            for pid in [p.pid] + descendants(p.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    p.wait()
    caught += seen and p.returncode == -9
print("caught while writing: %d of %d" % (caught, i))
sys.exit(caught < 3)
PY
		fail "sonde could not be killed while it wrote: $(cat "$T/writers.said")"
	cat "$T/writers.said"
	for folder in "$T/writers"/*/; do
		if [ $(($(basename "$folder") % 2)) = 1 ] || [ -e "$folder/P.pb.gz" ]; then
			valid "$folder/P.pb.gz"
			pprof_ok writers -top "$folder/P.pb.gz"
		fi
	done
}

# The reader must not be one that would take anything: a second time_nanos, a name that is no UTF-8.
strict_reader()
{
	gzip -dc "$T/names-outside.pb.gz" >"$T/twice"
	profile check "$T/twice" >"$T/twice.said" || fail "uncompressed: $(cat "$T/twice.said")"
	printf '\x48\x01' >>"$T/twice"
	profile check "$T/twice" >"$T/twice.said" && fail "a second time_nanos was accepted"
	matches "what it says" "$T/twice.said" 'time_nanos occurs 2 times'
	gzip -dc "$T/names-outside.pb.gz" >"$T/bytes"
	printf '\x32\x02a\xff' >>"$T/bytes"
	profile check "$T/bytes" >"$T/bytes.said" && fail "a string that is no UTF-8 was accepted"
	matches "what it says" "$T/bytes.said" 'not UTF-8'
}

for place in outside inside; do
	odd_names $place
	deep $place
	closed $place
	vdso $place
	no_file $place
	forks $place
	killed $place
done
killed_writers
strict_reader

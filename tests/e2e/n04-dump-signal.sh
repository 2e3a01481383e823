#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# SONDE_DUMP_SIGNAL: the file is written at each signal, inside and outside, and the program goes on; the last file has
# everything.  A program with an action of its own keeps it; without a file the log says so; bad values are refused.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ends
find_library
export SONDE_ONLY=ends SONDE_SOCKET=$T/sock

start()	# NAME CMD...
{
	local name=$1

	shift
	timeout -k 5 60 "$@" >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	runner=$!
	until_true grep -q '^ready' "$T/$name.out"
	matches "$name: what the program sees" "$T/$name.out" '^dump 12 default 0$'
}

# The descendant that is the program.
find_program()
{
	local of=${1:-$runner} p
	local -a children=()

	pid=$(child_of "$of" ends) && return 0
	read -r -a children 2>/dev/null <"/proc/$of/task/$of/children"
	for p in "${children[@]}"; do
		find_program "$p" && return 0
	done
	return 1
}

dumps()	# NAME WHOM
{
	local i

	for i in 1 2 3; do
		rm -f "$T/$1.pb.gz"
		kill -USR2 "$2"
		until_true test -s "$T/$1.pb.gz"
		valid "$T/$1.pb.gz"
		at_least "$1: CPU time at dump $i" "$(profile total "$T/$1.pb.gz")" 80000000
		kill -0 "$pid" || fail "$1: it did not go on"
	done
}

ends_well()	# NAME
{
	kill -USR1 "$pid"
	wait "$runner"
	is "$1: status" $? 0
	valid "$T/$1.pb.gz"
	at_least "$1: CPU time in all" "$(profile total "$T/$1.pb.gz")" 180000000
	is_empty "$1: stderr" "$T/$1.err"
}

start inside env LD_PRELOAD="$LIBSONDE" SONDE_DUMP_SIGNAL=USR2 SONDE_FILE="$T/inside.pb.gz" "$PROGRAMS/ends" wait
find_program
dumps inside "$pid"
ends_well inside

start outside "$SONDE" run --dump-signal SIGUSR2 -o "$T/outside.pb.gz" -- "$PROGRAMS/ends" wait
find_program
dumps outside "$pid"
dumps outside "$(child_of "$runner" sonde)"	# who runs the command may know that pid only
ends_well outside

# A real-time signal is passed on as well.
start real "$SONDE" run --dump-signal SIGRTMIN+2 -o "$T/real.pb.gz" -- "$PROGRAMS/ends" wait
find_program
kill -RTMIN+2 "$(child_of "$runner" sonde)"
until_true test -s "$T/real.pb.gz"
ends_well real

# No file was asked for.
start none env LD_PRELOAD="$LIBSONDE" SONDE_DUMP_SIGNAL=USR2 SONDE_LOG="$T/log" "$PROGRAMS/ends" wait
find_program
kill -USR2 "$pid"
until_true grep -q 'SONDE_DUMP_SIGNAL: no file was asked for' "$T/log"
kill -USR1 "$pid"
wait "$runner"
is "without a file: status" $? 0

# It has an action of its own for SIGHUP by and by, and is killed by it in the end: as bare, with all that it says.
timeout -k 5 60 "$PROGRAMS/ends" own-usr2 >"$T/bare" 2>&1
is "own action, bare: status" $? 7
LD_PRELOAD=$LIBSONDE SONDE_DUMP_SIGNAL=USR2 SONDE_LOG=$T/log2 SONDE_FILE=$T/own.pb.gz timeout -k 5 60 "$PROGRAMS/ends" own-usr2 >"$T/own" 2>&1
is "own action: status" $? 7
cmp "$T/bare" "$T/own" || fail "own action: $(diff "$T/bare" "$T/own")"
matches "own action: the log" "$T/log2" 'an action of its own for signal 12'

for bad in SIGKILL SIGSTOP SIGPROF SIGSEGV SIGTERM 9 SIGCHLD; do
	record bad --dump-signal "$bad" -- true
	refused bad 2 "--dump-signal=$bad is not allowed: none, SIGUSR1"
done
record same --signal SIGRTMIN+3 --dump-signal SIGRTMIN+3 -- true
refused same 2 "SONDE_DUMP_SIGNAL.*SONDE_SIGNAL"

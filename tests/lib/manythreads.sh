# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# manythreads.sh - tests/programs/manythreads bare, with sonde outside and inside, stopped where its threads are at rest.
# Source it after a lib.sh and find_library (or served.sh).

# The value of a word that the program said.
said()	# NAME WORD
{
	awk -v w="$2" '$1 == w { print $2 }' "$T/$1.out"
}

has_said()	# NAME WORD
{
	[ -n "$(said "$1" "$2")" ] || ! kill -0 "$MANY" 2>/dev/null
}

# CPU time of the collector in nanoseconds: a process of its own, or the thread of that name; 0 without one.
collector_ns()	# PLACE PID
{
	local task

	for task in /proc/"$2"/task/*; do
		if [ "$1" = outside ] || { [ "$1" = inside ] && [ "$(cat "$task/comm" 2>/dev/null)" = sonde ]; }; then
			awk '{ print $1 }' "$task/schedstat"
			return
		fi
	done
	echo 0
}

# Start it; all its threads have begun and wait when this returns.  Sets MANY, the pid of the program, of sonde outside.
many_at_rest()	# NAME bare|outside|inside ARGS...
{
	local name=$1 place=$2
	local -a how=()

	shift 2
	rm -f "$T/$name.go"
	mkfifo "$T/$name.go"
	case $place in
	outside) how=("$SONDE" run -o "$T/$name.pb.gz" --) ;;
	inside) how=(env "LD_PRELOAD=$LIBSONDE" "SONDE_FILE=$T/$name.pb.gz") ;;
	esac
	"${how[@]}" "$PROGRAMS/manythreads" -w "$@" >"$T/$name.out" 2>"$T/$name.err" <"$T/$name.go" &
	MANY=$!
	at_exit "stop_tree $MANY"
	exec {GO}>"$T/$name.go"
	until_true has_said "$name" rest
	[ -n "$(said "$name" rest)" ] || fail "$name: $(head -c 500 "$T/$name.err")"
}

# A program that is gone would take the test along, without a word.
go_on()	# NAME
{
	(echo >&"$GO") 2>/dev/null || fail "$1 is gone: $(head -c 500 "$T/$1.err")"
}

# Let its busy threads burn; they are done when this returns.
many_burn()	# NAME
{
	go_on "$1"
	until_true has_said "$1" burn
}

# Let it end, and insist on status 0 and silence.
many_end()	# NAME
{
	go_on "$1"
	exec {GO}>&-
	wait "$MANY" || fail "$1: status $?"
	is_empty "$1: stderr" "$T/$1.err"
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# torture.sh - a program that does to its stack what programs do, bare and under every way of walking it, at 1000 and 4000 Hz,
# outside and inside: it prints and ends the same, and the profile is whole.  Sourced after e2e/lib.sh.
PERF=unknown

# Rates above the ticks need perf, which not every kernel gives.
choose_engine()
{
	[ $PERF = unknown ] || return 0
	"$SONDE" run -o "$T/perf.pb.gz" --engine perf --hz 4000 -- "$PROGRAMS/idle" 1 >/dev/null 2>&1 </dev/null
	if [ -s "$T/perf.pb.gz" ] && profile comments "$T/perf.pb.gz" | grep -q '^# engine: timer, because'; then
		PERF=auto
	else
		PERF=perf
	fi
}

# Nanoseconds of stacks that stop in the middle and do not say so.  Roots: of programs, of threads, of what has no stack.
# (Without libc's debug file its inner functions have no names.)
silent_ns()	# FILE
{
	profile stacks "$1" | awk '!/ < (_start|__?clone3?|__GI___clone3|clone3|thread_start|libc\.so\.6\+0x[0-9a-f]+)$/ && !/\[[a-z ]+\]$/ &&
		!/ - \[[a-z ]+\]/ { n += $1 } END { print n + 0 }'
}

judge()	# WHAT NAME FILE MILLISECONDS
{
	is "$1: status" "$(cat "$T/$2.rc")" "$(cat "$T/bare.rc")"
	cmp -s "$T/bare.out" "$T/$2.out" || fail "$1: it printed: $(head -c 500 "$T/$2.out")"
	is_empty "$1: stderr" "$T/$2.err"
	valid "$3"
	# A part of the time is the kernel's, or of the calibration before.
	at_least "$1: CPU time" "$(profile total "$3")" $(($4 * 800000))
	at_most "$1: CPU time" "$(profile total "$3")" $(($4 * 1300000 + 150000000))
	is "$1: bad records" "$(profile number "$3" bad_records)" 0
	# shellcheck disable=SC2034	# the callers'
	SILENT=$(silent_ns "$3")
}

# Each way; after each one the function is called with what it was and the profile.
torture()	# FUNCTION PROGRAM MODE MILLISECONDS
{
	local check=$1 program=$PROGRAMS/$2 mode=$3 ms=$4 hz engine unwind what file

	need_program "$2"
	find_library
	choose_engine
	timeout -k 5 60 "$program" "$mode" "$ms" >"$T/bare.out" 2>"$T/bare.err" </dev/null
	echo $? >"$T/bare.rc"
	case $(cat "$T/bare.rc") in
	77) echo "(no $2 $mode here)"; return 0 ;;
	esac
	for hz in 1000 4000; do
		[ $hz = 1000 ] || engine=$PERF
		[ $hz = 4000 ] || engine=timer
		for unwind in auto fp libunwind; do
			case $hz$unwind in 1000fp | 1000libunwind) continue ;; esac
			what="$2 $mode, $hz Hz, $unwind, outside"
			rm -f "$T"/P*.pb.gz
			timeout -k 5 60 "$SONDE" run -o "$T/P.pb.gz" --engine $engine --hz $hz --unwind $unwind -- \
				"$program" "$mode" "$ms" >"$T/P.out" 2>"$T/P.err" </dev/null
			echo $? >"$T/P.rc"
			judge "$what" P "$T/P.pb.gz" "$ms"
			$check "$what" "$T/P.pb.gz" $unwind
			what="$2 $mode, $hz Hz, $unwind, inside"
			rm -f "$T"/P*.pb.gz
			timeout -k 5 60 env SONDE_ENGINE=$engine SONDE_HZ=$hz SONDE_UNWIND=$unwind SONDE_ONLY="$2" "SONDE_FILE=$T/P.%p.pb.gz" \
				"LD_PRELOAD=$LIBSONDE" "$program" "$mode" "$ms" >"$T/P.out" 2>"$T/P.err" </dev/null
			echo $? >"$T/P.rc"
			file=$(echo "$T"/P.*.pb.gz)
			judge "$what" P "$file" "$ms"
			$check "$what" "$file" $unwind
		done
	done
	opens "$file"
}

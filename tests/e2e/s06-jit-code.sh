#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Code of JIT compilers, by tables: registered call frame information and frame pointers lead on to main, also in forked
# children and when code comes and goes; what has neither says so.  The program's own unwinder finds as much as bare.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program jitcode
find_library

# Share, in percent, of the time in or below the code that has a whole stack; CODE is its name in the profile.
whole()	# FILE
{
	profile stacks "$1" | awk '/ (burn_in_callee < )?(\[anon\]\+0x[0-9a-f]+|jit_function_by_map) < / { all += $1; if (/ < main < .*_start$/) good += $1 }
		END { print (all > 0 ? int(100 * good / all) : 0) }'
}

in_code()	# FILE
{
	profile stacks "$1" | awk '/ (burn_in_callee < )?(\[anon\]\+0x[0-9a-f]+|jit_function_by_map) < / { all += $1 } END { print int(all / 1000000) }'
}

run_mode()	# MODE PERCENT PLACE
{
	local file

	rm -f "$T"/P*.pb.gz
	timeout -k 5 60 "$PROGRAMS/jitcode" "$1" 50 >"$T/bare.out" 2>&1 </dev/null
	case $? in
	77) echo "(no $1 here)"; return 0 ;;
	esac
	if [ "$3" = outside ]; then
		record_ok P --hz 1000 -- "$PROGRAMS/jitcode" "$1" 1500
		file=$T/P.pb.gz
		[ "$1" != fork ] || file=$(echo "$T"/P.*.pb.gz)
	else
		timeout -k 5 60 env SONDE_HZ=1000 "SONDE_FILE=$T/P.%p.pb.gz" "LD_PRELOAD=$LIBSONDE" \
			"$PROGRAMS/jitcode" "$1" 1500 >"$T/P.out" 2>"$T/P.err" </dev/null || fail "$1 inside: status $?"
		is_empty "$1 inside: stderr" "$T/P.err"
		# The child's is the larger one.
		# shellcheck disable=SC2012
		file=$(ls -S "$T"/P.*.pb.gz | head -n 1)
	fi
	cmp "$T/bare.out" "$T/P.out" || fail "$1 $3: it printed $(cat "$T/P.out")"
	opens "$file"
	at_least "$1 $3: ms in the code" "$(in_code "$file")" 1200
	if [ "$2" -gt 0 ]; then
		at_least "$1 $3: whole stacks" "$(whole "$file")" "$2"
	else
		is "$1 $3: whole stacks" "$(whole "$file")" 0
		at_least "$1 $3: counted" "$(profile number "$file" unwind_failed)" "$(($(profile number "$file" samples) * 8 / 10))"
	fi
	REFUSED=$(profile number "$file" frames_refused)
}

# A library that nobody else sees finds its own libgcc_s; what was registered before there was one ends nobody.
need_program framehost
"$PROGRAMS/framehost" "$PROGRAMS/libjitcode.so" registered 50 >"$T/bare.out" || skip "status $? of framehost, bare"
record_ok H -- "$PROGRAMS/framehost" "$PROGRAMS/libjitcode.so" registered 50
cmp "$T/bare.out" "$T/H.out" || fail "framehost: it printed $(cat "$T/H.out")"

for place in outside inside; do
	run_mode registered 80 $place
	is "$place: refused" "$REFUSED" 0
	run_mode pointers 95 $place
	run_mode neither 0 $place
	run_mode fork 80 $place
	run_mode churn 50 $place
	run_mode many 80 $place
	at_least "$place: refused" "$REFUSED" 1900
done

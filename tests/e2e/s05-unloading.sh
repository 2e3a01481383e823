#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Three threads burn in libraries that come and go in one place, and in code that is mapped and unmapped: no hang, nothing
# differs from bare, and of the libraries nearly all time has whole stacks.  As a bench: UNLOAD_MS=60000 WHOLE_PERCENT=99;
# here the collector may be kept from its work for long, and misses what was mapped.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/torture.sh
. "$SN_SRC/tests/lib/torture.sh"
need_program unload
[ -e "$PROGRAMS/libhotdso2.so" ] || skip "libhotdso2.so could not be built here"
find_library
choose_engine
ms=${UNLOAD_MS:-1500}
limit=$((ms * 4 / 1000 + 60))

# Percent of the program's time that has whole stacks; the kernel's has none.
whole()	# FILE
{
	profile stacks "$1" | awk '/ thread=/ { all += $1 } / thread=.* < (start_thread|main|libc\.so\.6\+0x[0-9a-f]+) < .*(_start|clone3?|libc\.so\.6\+0x[0-9a-f]+)$/ { n += $1 }
		END { print (all > 0 ? int(1000 * n / all) / 10 : 0) }'
}

judge_unload()	# WHAT FILE
{
	is "$1: status" "$(cat "$T/P.rc")" 0
	is "$1: output" "$(cat "$T/P.out")" "$what: 0"
	is_empty "$1: stderr" "$T/P.err"
	valid "$2"
	at_least "$1: CPU time" "$(profile total "$2")" $((ms * 900000))
	echo "$1: $(whole "$2") % whole, $(profile number "$2" samples) samples"
	[ "$what" != libraries ] || at_least "$1: percent with whole stacks" "$(whole "$2")" "${WHOLE_PERCENT:-96}"
}

for what in libraries memory; do
	for hz in 1000 4000; do
		[ $hz = 1000 ] || engine=$PERF
		[ $hz = 4000 ] || engine=timer
		rm -f "$T"/P*.pb.gz
		timeout -k 5 $limit "$SONDE" run -o "$T/P.pb.gz" --engine "$engine" --hz $hz -- "$PROGRAMS/unload" $what "$ms" \
			"$PROGRAMS/libhotdso.so" "$PROGRAMS/libhotdso2.so" >"$T/P.out" 2>"$T/P.err" </dev/null
		echo $? >"$T/P.rc"
		judge_unload "$what, $hz Hz, outside" "$T/P.pb.gz"
		rm -f "$T"/P*.pb.gz
		timeout -k 5 $limit env "SONDE_ENGINE=$engine" SONDE_HZ=$hz SONDE_ONLY=unload "SONDE_FILE=$T/P.%p.pb.gz" "LD_PRELOAD=$LIBSONDE" \
			"$PROGRAMS/unload" $what "$ms" "$PROGRAMS/libhotdso.so" "$PROGRAMS/libhotdso2.so" >"$T/P.out" 2>"$T/P.err" </dev/null
		echo $? >"$T/P.rc"
		judge_unload "$what, $hz Hz, inside" "$(echo "$T"/P.*.pb.gz)"
	done
done
opens "$(echo "$T"/P*.pb.gz)"

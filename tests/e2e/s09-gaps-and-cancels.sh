#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A number in the frame pointer's place that points into a gap of the stack is not followed, zeros under it are no end of
# a stack; and threads that are cancelled in the handler leave the maps of texts to those that come after them.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program gaps
"$PROGRAMS/gaps" gap 1 >/dev/null || skip "status $? of gaps, bare"
for mode in gap leaf zero; do
	for unwind in auto table fp libunwind; do
		record_ok P --hz 1000 --engine timer --unwind $unwind -- "$PROGRAMS/gaps" $mode 400
		is "$mode, $unwind: output" "$(cat "$T/P.out")" "$mode: 0"
	done
	record_ok P --hz 1000 --engine timer -- "$PROGRAMS/gaps" $mode 600
	[ $mode != zero ] || at_least "zeros: failed" "$(profile number "$T/P.pb.gz" unwind_failed)" \
		"$(($(profile number "$T/P.pb.gz" samples) / 2))"
done
record_ok C --hz 1000 --engine timer -- "$PROGRAMS/gaps" cancel 1500 "$PROGRAMS/libhotdso.so"
is "cancelled: output" "$(cat "$T/C.out")" "cancel: 0"
at_most "cancelled: copied" "$(profile number "$T/C.pb.gz" copied)" "$(($(profile number "$T/C.pb.gz" samples) / 3))"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# C at -O0, -O2 and -O3, with and without frame pointers: at every instruction the tables have the true stack, and so have
# frame pointers where the program keeps one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export STEP_REFS=2
for level in O0 O2 O3; do
	right "plain-$level" 15000 "$STEP/plain-$level"
	STEP_FP=1 right "plain-$level-fp" 15000 "$STEP/plain-$level-fp"
	by_fp=$(sed -n 's/^  fp *right=\([0-9]*\) short=0 guess=0 misled=0 wrong=0 crash=0.*/\1/p' "$T/plain-$level-fp.report")
	[ "${by_fp:-0}" -gt 500 ] || fail "frame pointers were right at ${by_fp:-none} of the steps"
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The stepper can fail: one rule of one table is changed while it runs, and it says WRONG; a difference that
# differences.txt does not explain is told too.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export STEP_REFS=16
STEP_SPOIL=5000 step plain-O2 "$STEP/plain-O2"
grep -qx 'verdict: FAILED' "$T/plain-O2.report" || fail "a spoilt rule was not seen"
grep -q '^  tables *wrong .* plain-O2 .*WRONG$' "$T/plain-O2.report" || fail "… but something else was"
sed '/^\*\tlibc\.so\.6\t.*\ttables/d' "$SN_SRC/tests/step/differences.txt" >"$T/fewer.txt"
STEP_NAME=plain-O2 STEP_OUT=$T/fewer.report STEP_MODULE=$STEP/.libs/stepmodule.so STEP_DIFFERENCES=$T/fewer.txt \
	timeout -k 10 250 env LD_PRELOAD="$STEP/.libs/libstep.so" "$STEP/plain-O2" || fail "plain-O2: status $?"
grep -qx 'verdict: FAILED' "$T/fewer.report" || fail "a difference without its line was not seen"
grep -q '^  tables *short .* libc\.so\.6 .*NOT EXPLAINED$' "$T/fewer.report" || fail "… but something else was"

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib.sh - step through programs, and read what the stepper says of them.
# shellcheck source=../lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
STEP=$SN_BUILD/tests/step
[ "$(uname -m)" = x86_64 ] || skip "no trap flag on $(uname -m)"
[ -z "${SN_SANITIZE:-}" ] || skip "a sanitizer has signals of its own"
[ -e "$STEP/.libs/stepmodule.so" ] || fail "tests/step is not built: make check TESTS="

# Steps through a program in the environment's STEP_*; the report is $T/NAME.report.
step()	# NAME PROGRAM [ARGUMENT...]
{
	local name=$1

	shift
	rm -f "$T/$name.report"
	STEP_NAME=$name STEP_OUT=$T/$name.report STEP_MODULE=$STEP/.libs/stepmodule.so \
		STEP_DIFFERENCES=$SN_SRC/tests/step/differences.txt \
		timeout -k 10 "${STEP_SECONDS:-250}" env LD_PRELOAD="$STEP/.libs/libstep.so" "$@" >"$T/$name.out" 2>"$T/$name.err"
	status=$?
	[ "$status" -ne 98 ] || skip "the trap flag does nothing here"
	[ -s "$T/$name.report" ] || fail "$name: no report, status $status; $(head -3 "$T/$name.err")"
}

# … which must end well, with each difference known and at least so many comparisons.
right()	# NAME COMPARISONS PROGRAM [ARGUMENT...]
{
	local name=$1 least=$2 compared

	shift 2
	step "$name" "$@"
	[ "$status" -eq 0 ] || fail "$name: status $status; $(head -3 "$T/$name.err")"
	head -3 "$T/$name.report"
	compared=$(sed -n 's/.* steps, \([0-9]*\) compared.*/\1/p' "$T/$name.report")
	[ "$compared" -ge "$least" ] || fail "$name: $compared comparisons, $least are the least that make sense"
	if ! grep -qx 'verdict: passed' "$T/$name.report"; then
		grep -E 'NOT EXPLAINED|WRONG|room' "$T/$name.report"
		fail "$name: differences that tests/step/differences.txt does not explain"
	fi
}

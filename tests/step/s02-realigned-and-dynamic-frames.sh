#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# alloca, arrays of variable length, realigned stacks (DRAP) and AVX: at every instruction the tables have the true stack,
# also in epilogues of which gcc's CFI is wrong.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export STEP_REFS=4
right frames-O0 30000 "$STEP/frames-O0"
right frames-O2 30000 "$STEP/frames-O2"
if grep -qw avx /proc/cpuinfo; then
	right frames-avx 30000 "$STEP/frames-avx"
fi

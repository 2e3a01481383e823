#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Hand-written functions, with the CFA in registers, in memory and in an expression: right; without CFI: guessed or short,
# and said so.  Where a rule is not enough the copied way is right.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
STEP_COPIED=1 right asm 10000 "$STEP/asm"
grep -q '^  tables .*wrong=0 crash=0' "$T/asm.report" || fail "the tables were wrong"

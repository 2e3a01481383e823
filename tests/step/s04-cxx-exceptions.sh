#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# C++ with exceptions, containers, virtual calls: at every instruction the tables have the true stack, but where libgcc is
# rewriting it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -x "$STEP/cxx-O2" ] || skip "no C++ compiler"
STEP_REFS=16 STEP_COPIED=32 right cxx-O2 100000 "$STEP/cxx-O2"
STEP_EVERY=5 STEP_REFS=4 STEP_COPIED=8 right cxx-O0 30000 "$STEP/cxx-O0"

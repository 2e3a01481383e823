#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Libraries opened and closed, one in the place of the other, their calls bound lazily, constructors and destructors: at
# every instruction the tables have the true stack.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
STEP_REFS=4 right modules 30000 "$STEP/modules" "$STEP/plug1.so" "$STEP/plug2.so" "$STEP/plug1.so"

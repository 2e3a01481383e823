#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Signals in signals, on the same stack and on an alternate one, longjmp out of them, coroutines: at every instruction the
# tables have the true stack, or say that they do not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
right jumps 10000 "$STEP/jumps"

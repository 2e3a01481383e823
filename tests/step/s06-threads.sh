#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Threads from their first instruction to their last, cancelled ones too: at each the tables have the true stack.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
STEP_REFS=8 right threads 50000 "$STEP/threads"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# engines.sh - what each engine costs where it could hurt: a pipe ping-pong (context switches) and redis-server under
# redis-benchmark, both on one CPU; and how many of the samples that were asked for it takes.
#
# Usage: engines.sh [REPETITIONS [REQUESTS]]
# redis (packages redis-server and redis-tools) is left out where it is missing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v taskset >/dev/null || skip "no taskset (apt-get install util-linux)"
"$PYTHON" "$SN_SRC/tests/bench/engines.py" "$SONDE" "$PROGRAMS" "$T" "${1:-7}" "${2:-150000}"

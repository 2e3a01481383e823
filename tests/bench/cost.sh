#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# cost.sh - CPU time of the same work bare, under sonde and under gperftools' libprofiler, interleaved; medians
# and ratios to bare.  `program` is what the program itself used, `all` adds the collector and all children.
#
# Usage: cost.sh [REPETITIONS [ROUNDS]]
# libprofiler: package libgoogle-perftools4; its columns are left out where it is not installed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
"$PYTHON" "$SN_SRC/tests/bench/cost.py" "$SONDE" "$PROGRAMS" "$T" "${1:-7}" "${2:-2000}"

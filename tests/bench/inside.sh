#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# inside.sh - the collector as a thread of the program beside the collector outside and the bare program: start-up
# time, threads, memory, CPU at 100 Hz, and what a second thread costs a program of one thread.
#
# Usage: inside.sh [REPETITIONS [SECONDS_OF_REDIS]]
# redis-server (package redis-server) gives the memory row; without it that row is left out.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
"$PYTHON" "$SN_SRC/tests/bench/inside.py" "$SONDE" "$LIBSONDE" "$PROGRAMS" "$T" "$RUN" "${1:-15}" "${2:-60}"

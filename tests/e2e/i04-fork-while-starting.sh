#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Children forked while another thread starts the profiler can load libraries, and end: 1,000 starts.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program inside
find_library
nm -D "$LIBSONDE" | grep -q ' T sonde_start$' || skip "libsonde.so has no profiler_start"
# Preloaded for the symbol alone: SONDE_ONLY leaves the constructor out of it, profiler_start() comes later.
for ((i = 0; i < 1000; i++)); do
	LD_PRELOAD=$LIBSONDE SONDE_ONLY=nothing timeout 60 "$PROGRAMS/inside" fork-while-starting $((i % 60 * 40)) >"$T/out" 2>&1
	is "start $i" "$? $(cat "$T/out")" "0 children failed 0"
done

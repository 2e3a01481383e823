#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 23: C++ names, short, in full, and mangled underneath.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program cxx "no C++ compiler"
record_ok P -- "$PROGRAMS/cxx" 800
pprof_ok top -symbolize=none -top "$P"
matches "-top" "$T/top.txt" ' foo::bar'
if new_pprof; then
	pprof_ok demangled -symbolize=demangle=full -top "$P"
	matches "demangle=full" "$T/demangled.txt" ' void foo::bar<int>\(int\)'
fi
profile json "$P" >"$T/json"
matches "system_name" "$T/json" '"system": "_ZN3foo3barIiEEvT_"'
# Nothing that we drop may hide a frame: with and without -all_frames, where pprof has it, the same.
if pprof -h 2>&1 | grep -q all_frames; then
	pprof_ok all -all_frames -top "$P"
	cmp "$T/top.txt" "$T/all.txt" || fail "-all_frames shows other frames"
fi

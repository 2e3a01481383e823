#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 4: mapping 1 is the program, build ids everywhere, flags where DWARF is, no (deleted).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/dso_pie" 800
pprof_ok raw -raw "$P"
sed -n '/^Mappings/,$p' "$T/raw.txt" >"$T/mappings"
matches "mapping 1" "$T/mappings" '^1: 0x[0-9a-f]+/0x[0-9a-f]+/0x[0-9a-f]+ .*/dso_pie [0-9a-f]+ \[FN\]\[FL\]\[LN\]'
matches "the library" "$T/mappings" '/libhotdso.so [0-9a-f]+ \[FN\]\[FL\]\[LN\]'
lacks "deleted files" "$T/mappings" '\(deleted\)'
profile mappings "$P" | awk '$6 ~ /^\// && $5 == "-"' >"$T/without"
is_empty "files without a build id" "$T/without"
record_ok I -- "$PROGRAMS/inline" 500
profile mappings "$T/I.pb.gz" >"$T/inline"
matches "inlines are flagged" "$T/inline" '\[FN\]\[FL\]\[LN\]\[IN\] .*/inline$'

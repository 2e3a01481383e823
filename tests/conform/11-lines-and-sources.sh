#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 11: lines, -list, -weblist and -disasm.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
usual
pprof_ok lines -lines -top "$P"
matches "fn file:line" "$T/lines.txt" 'hot_40_0 .*truth\.c:[0-9]+'
pprof_ok list -list=hot_40_0 "$P"
line=$(awk '/^HOT\(hot_40_0/ { print NR }' "$SN_SRC/tests/programs/truth.c")
matches "source with counts" "$T/list.txt" "[0-9]m?s +[0-9.]+m?s +$line:HOT\(hot_40_0"
command -v objdump >/dev/null || skip "binutils are not installed (apt-get install binutils)"
# pprof says where it wrote these, on stderr.
pprof -weblist=hot_40_0 -output="$T/web.html" "$P" >/dev/null 2>&1 || fail "-weblist"
exists "-weblist" "$T/web.html"
new_pprof || exit 0
pprof -disasm=hot_40_0 "$P" >"$T/disasm" 2>"$T/perr" || fail "-disasm: $(cat "$T/perr")"
matches "-disasm" "$T/disasm" 'ROUTINE.* hot_40_0'

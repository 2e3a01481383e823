#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 22: every output format; comments with and without #.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
usual
formats="callgrind dot tree text topproto peek=hot"
if command -v dot >/dev/null; then formats="$formats svg"; fi
for f in $formats; do
	pprof "-$f" -output="$T/out" "$P" >/dev/null 2>"$T/perr" </dev/null || fail "-$f: $(cat "$T/perr")"
	exists "-$f" "$T/out"
	rm -f "$T/out"
done
pprof_ok comments -comments "$P"
for word in signals lost truncated unwind_failed; do
	matches "-comments" "$T/comments.txt" "(^|[ #,;])$word=[0-9]"
done
matches "-comments: engine and rates" "$T/comments.txt" 'timer'
pprof_ok top -top "$P"
lacks "-top" "$T/top.txt" '^#'

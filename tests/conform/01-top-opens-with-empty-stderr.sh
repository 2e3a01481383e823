#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 1: -top opens the file and its header is right.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
usual
gzip -t "$P" || fail "not a gzip file"
pprof_ok top -top "$P"
matches "File: is the program" "$T/top.txt" '^File: truth$'
build_id=$(readelf -n "$PROGRAMS/truth" | sed -n 's/.*Build ID: //p')
[ -n "$build_id" ] || skip "the toolchain writes no build ids"
matches "build id" "$T/top.txt" "^Build ID: $build_id\$"
matches "type" "$T/top.txt" '^Type: cpu$'
matches "duration" "$T/top.txt" '^Duration: [0-9.]+m?s, Total samples = [0-9.]+m?s '
matches "the hottest function" "$T/top.txt" 'hot_40_0$'

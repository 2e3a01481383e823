#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program that ends with the collector inside writes the file that was asked for within SONDE_EXIT_WAIT, also when
# `sonde symbolize` does not answer: names come from symbol tables then.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
lib=$(dirname "$LIBSONDE")
[ -d "$lib/sonde" ] || skip "sonde is not installed in the build"
mkdir -p "$T/inst/bin"
cp -R "$lib" "$T/inst/lib" || fail "cannot copy the library"
printf '#!/bin/sh\nexec sleep 60\n' >"$T/inst/bin/sonde"
chmod 755 "$T/inst/bin/sonde"
LD_PRELOAD=$T/inst/lib/libsonde.so.1 SONDE_FILE=$T/P.pb.gz SONDE_EXIT_WAIT=6s SONDE_LOG=$T/log "$PROGRAMS/truth" -t 1 -s 1 >"$T/out" 2>"$T/err" </dev/null
is "status" $? 0
is_empty "stderr" "$T/err"
valid "$T/P.pb.gz"
profile names "$T/P.pb.gz" >"$T/names"
matches "names" "$T/names" '^hot_40_0$'
matches "the log says so" "$T/log" 'symbol tables'

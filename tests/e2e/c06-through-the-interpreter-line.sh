#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A script is looked at through its #! line.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program static "no static libc"
printf '#!%s with an argument\n' "$PROGRAMS/static" >"$T/script"
printf '#!%s\n' "$T/script" >"$T/script2"
printf '#! %s -m 200 -x 7 -r\n' "$PROGRAMS/burner" >"$T/good"
printf '#!%s\n' "$T/nowhere" >"$T/lost"
printf '#!%s\n' "$T/circle" >"$T/circle"
chmod +x "$T/script" "$T/script2" "$T/good" "$T/lost" "$T/circle"
record one -- "$T/script"
refused one 125 '[Ss]tatic'
record two -- "$T/script2"
refused two 125 '[Ss]tatic'
# burner takes the rest of the line as one argument, which it does not know: status 2, as bare.
"$T/good" >/dev/null 2>&1
bare=$?
record good -- "$T/good"
status_is good $bare
record lost -- "$T/lost"
[ "$(cat "$T/lost.rc")" = 127 ] || status_is lost 126
record circle -- "$T/circle"
[ "$(cat "$T/circle.rc")" = 125 ] || status_is circle 126
# By name, through PATH.
mkdir "$T/bin"
printf '#!/bin/sh\nexit 9\n' >"$T/bin/sonde-test-script"
chmod +x "$T/bin/sonde-test-script"
PATH=$T/bin:$PATH record named -- sonde-test-script
status_is named 9

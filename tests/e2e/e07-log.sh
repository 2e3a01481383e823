#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# SONDE_LOG takes lines; stderr stays empty.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record P --log "$T/log" -- "$PROGRAMS/burner" -m 100
status_is P 0
is_empty "stderr" "$T/P.err"
[ -e "$T/log" ] || fail "no log"
record Q --log "$T/no/such/log" -- "$PROGRAMS/burner" -m 20 -x 3
[ "$(cat "$T/Q.rc")" = 3 ] || [ "$(cat "$T/Q.rc")" = 125 ] || fail "status $(cat "$T/Q.rc")"
matches "a log that cannot be" "$T/Q.err" '/no/such/log'

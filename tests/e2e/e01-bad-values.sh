#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A bad value of a known variable: one line with variable, value and what is allowed; the program runs unprofiled.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
while IFS='|' read -r variable value allowed; do
	env "$variable=$value" "$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 20 -x 9 >"$T/out" 2>"$T/err" </dev/null
	is "$variable=$value: status" $? 9
	lines_are "$variable=$value" "$T/err" 1
	matches "$variable=$value: the prefix" "$T/err" '^sonde: '
	matches "$variable=$value: the variable" "$T/err" "$variable"
	grep -Fq -- "$value" "$T/err" || fail "$variable=$value: the value is not in: $(cat "$T/err")"
	matches "$variable=$value: what is allowed" "$T/err" "$allowed"
	absent "$variable=$value: a profile" "$T/P.pb.gz"
done <<'LIST'
SONDE|maybe|on.*idle.*off
SONDE_KINDS|cpu,milk|cpu
SONDE_HZ|0|1.*10000
SONDE_HZ|10001|1.*10000
SONDE_HZ|-5|1.*10000
SONDE_HZ|99999999999999999999|1.*10000
SONDE_ENGINE|steam|auto.*timer
SONDE_SIGNAL|SIGKILL|SIGPROF
SONDE_SIGNAL|SIGNOSUCH|SIGPROF
SONDE_DEPTH|15|16.*1024
SONDE_DEPTH|1025|16.*1024
SONDE_UNWIND|stars|auto.*fp.*libunwind
SONDE_SYMBOLIZE|some|none.*functions.*lines
SONDE_LABELS|thread,colour|thread.*thread_id
SONDE_MEMORY|1|4
SONDE_MEMORY|12parsecs|4
LIST

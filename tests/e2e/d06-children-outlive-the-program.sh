#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A child that goes on after the program has ended is not killed and not waited for in vain.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cat >"$T/leave.sh" <<'SH'
#!/bin/sh
"$1" 3000 >/dev/null 2>&1 &
echo $!
exit 3
SH
chmod +x "$T/leave.sh"
began=$(date +%s%N)
record P -- "$T/leave.sh" "$PROGRAMS/idle"
status_is P 3
child=$(cat "$T/P.out")
if gone "$child"; then fail "the child was ended"; fi
at_most "milliseconds waited" $((($(date +%s%N) - began) / 1000000)) 2500
kill "$child"

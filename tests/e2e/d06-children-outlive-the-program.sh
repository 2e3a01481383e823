#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A child that goes on after the program has ended is not killed and not waited for in vain.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cat >"$T/leave.sh" <<'SH'
#!/bin/sh
"$1" 1500 &
echo $!
exit 3
SH
chmod +x "$T/leave.sh"
record P -- "$T/leave.sh" "$PROGRAMS/idle"
status_is P 3

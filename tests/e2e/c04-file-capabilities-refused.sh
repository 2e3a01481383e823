#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program with file capabilities: 125.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setcap=$(command -v setcap || echo /usr/sbin/setcap)
[ -x "$setcap" ] || skip "setcap is not installed (apt-get install libcap2-bin)"
copy_of burner capable
"$setcap" cap_net_raw+ep "$T/capable" 2>"$T/setcap" || skip "setcap: $(cat "$T/setcap")"
record P -- "$T/capable" -m 10
refused P 125 'capabilit'

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 14: -tagfocus and -tagroot by thread.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
usual
truth_2=$(profile by "$P" thread | awk '$1 == "truth-2" { print $2 }')
at_least "truth-2 has samples" "${truth_2:-0}" 300000000
pprof_ok focus -tagfocus=thread=truth-2 -top -unit=ns "$P"
matches "only that thread" "$T/focus.txt" "^Showing nodes accounting for ${truth_2}ns"
pprof_ok root -tagroot=thread -traces "$P"
matches "rooted in the thread" "$T/root.txt" '^ +truth-2$'

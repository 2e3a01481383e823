#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 9: -symbolize=fastlocal gives outer and caller.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --symbolize none -- "$PROGRAMS/inline" 800
pprof -symbolize=fastlocal -traces "$P" >"$T/traces" 2>"$T/perr" || fail "pprof: $(cat "$T/perr")"
awk '{ sub(/^ *[0-9.]+m?s +/, ""); sub(/^ +/, ""); print }' "$T/traces" | tr '\n' ' ' >"$T/frames"
matches "without inlines" "$T/frames" 'outer caller '
lacks "inlines" "$T/frames" '\(inline\)'

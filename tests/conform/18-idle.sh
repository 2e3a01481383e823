#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 18: a program that used no CPU: a valid, empty profile.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/idle" 300
pprof_ok top -top "$P"
pprof_ok raw -raw "$P"
matches "types" "$T/raw.txt" '^samples/count cpu/nanoseconds$'
matches "the program" "$T/raw.txt" '/idle '
at_most "CPU time" "$(profile total "$P")" 20000000
[ "$(profile samples "$P")" != 0 ] || matches "nothing" "$T/top.txt" '0 of 0 total|of 0 total'

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A thread made by the bare system call appears with its CPU time.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/rawclone" 1500
raw=$(awk '/^raw/ { print $2 }' "$T/P.out")
near "CPU time" "$(profile total "$T/P.pb.gz")" "$raw" 3
at_least "its function" "$(profile cum "$T/P.pb.gz" raw_hot)" $((raw / 2))

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Time in the vdso has its name.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/vdso" 800
profile stacks "$T/P.pb.gz" >"$T/stacks"
matches "the vdso's function" "$T/stacks" '(clock_gettime|\[vdso\][^ ]*) < .*ask_the_time < main'
profile mappings "$T/P.pb.gz" >"$T/mappings"
matches "its mapping" "$T/mappings" '\[vdso\]'

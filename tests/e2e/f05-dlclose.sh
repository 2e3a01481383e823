#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A library that was closed before the end keeps its name.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for rounds in 1 8; do
	record_ok P -- "$PROGRAMS/dlclose" "$PROGRAMS/libhotdso.so" 800 $rounds
	at_least "work in the library ($rounds rounds)" "$(profile cum "$T/P.pb.gz" dso_hot)" 600000000
	profile mappings "$T/P.pb.gz" >"$T/mappings"
	matches "its mapping" "$T/mappings" '/libhotdso\.so$'
done
profile stacks "$T/P.pb.gz" >"$T/stacks"
matches "the stack through it" "$T/stacks" 'dso_hot < dso_entry < open_and_burn < main'

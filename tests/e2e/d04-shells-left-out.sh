#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Shells and launchers are not profiled unless named; their children are.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2016  # the inner shell expands it
record P -- sh -c '"$0" -m 300; "$0" -m 200 -x 4' "$PROGRAMS/burner"
status_is P 4
is_empty "stderr" "$T/P.err"
files=("$T"/P.[0-9]*.pb.gz)
is "profiles of children" "${#files[@]}" 2
for f in "${files[@]}"; do
	valid "$f"
	at_least "a child's work" "$(profile cum "$f" burner_hot)" 150000000
done
record E -- env X=1 "$PROGRAMS/burner" -m 200
status_is E 0
valid "$T/E.pb.gz"
at_least "work behind env" "$(profile cum "$T/E.pb.gz" burner_hot)" 150000000

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Forked children write FILE with .PID; the idle one writes none.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record P -- "$PROGRAMS/forker" -n 2 -m 400 -i
status_is P 0
is_empty "stderr" "$T/P.err"
valid "$T/P.pb.gz"
at_least "the parent's own work" "$(profile cum "$T/P.pb.gz" parent_hot)" 300000000
is "children's work in the parent's profile" "$(profile cum "$T/P.pb.gz" child_hot)" 0
burning=0
while read -r _ pid what; do
	f=$T/P.$pid.pb.gz
	if [ "$what" = burn ]; then
		burning=$((burning + 1))
		valid "$f"
		near "the child's work" "$(profile cum "$f" child_hot)" 400000000 10
		is "the parent's work in the child's profile" "$(profile cum "$f" parent_hot)" 0
		profile stacks "$f" >"$T/stacks"
		matches "the child's stack" "$T/stacks" 'child_hot < burn_for < child < main'
	else
		absent "the idle child's profile" "$f"
	fi
done < <(grep '^child' "$T/P.out")
is "burning children" $burning 2
files=("$T"/P*.pb.gz)
is "profiles" "${#files[@]}" 3

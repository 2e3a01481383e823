#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A library that was closed keeps its name, also when another one is mapped where it was, a moment later or a second.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program modules
[ -e "$PROGRAMS/libhotdso2.so" ] || skip "libhotdso2.so could not be built here"

for turns in "3 300" "40 20"; do
	read -r rounds ms <<<"$turns"
	record_ok P --hz 1000 -- "$PROGRAMS/modules" turns "$PROGRAMS/libhotdso.so" "$PROGRAMS/libhotdso2.so" "$rounds" "$ms"
	grep -q '^same place' "$T/P.out" || skip "the libraries were not mapped at one address"
	near "$rounds turns: the one" "$(profile flat "$T/P.pb.gz" dso_hot)" \
		"$(awk '$1 == "work" { print $2 }' "$T/P.out")" 15
	at_most "$rounds turns: the other" "$(profile flat "$T/P.pb.gz" other_hot)" \
		$(($(awk '$1 == "other" { print $2 }' "$T/P.out") * 2))
	profile stacks "$T/P.pb.gz" >"$T/stacks"
	lacks "no name" "$T/stacks" '\[unknown\]|(hotdso|modules)[^ ]*\+0x'
done

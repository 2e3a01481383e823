#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program that seals itself by seccomp is not killed for system calls of ours, in no thread and no child, not even where
# no handler may return; a question of libseccomp's, or a filter that the kernel does not take, changes nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program sealed
"$PROGRAMS/sealed" strict >/dev/null
[ $? -eq 3 ] || skip "no seccomp here"
for how in prctl seccomp all noreturn strict question vfork refused; do
	same_inside "$how" "$PROGRAMS/sealed" "$how"
	for mode in on idle; do
		[ "$mode" = on ] || [ "$how" = prctl ] || [ "$how" = noreturn ] || continue
		env "SONDE=$mode" "$SONDE" run -o "$T/P.pb.gz" "$PROGRAMS/sealed" "$how" >"$T/out" 2>"$T/err" </dev/null
		is "$how, $mode outside: status" $? "$(cat "$T/$how.bare.rc")"
		cmp "$T/$how.bare" "$T/out" || fail "$how, $mode outside: $(cat "$T/out")"
		is_empty "$how, $mode outside: stderr" "$T/err"
	done
done
# What came before, and after where nothing forbids it, is in the profile.
record_ok before -- "$PROGRAMS/sealed" prctl
at_least "threads from before the filter, and main" "$(profile cum "$T/before.pb.gz" burn_ms)" 180000000
record_ok asked -- "$PROGRAMS/sealed" question
near "all of who only asked" "$(profile cum "$T/asked.pb.gz" burn_ms)" 870000000 20
record_ok vforked -- "$PROGRAMS/sealed" vfork
near "all of who vforked one with a filter" "$(profile cum "$T/vforked.pb.gz" burn_ms)" 870000000 20

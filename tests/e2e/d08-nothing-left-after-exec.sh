#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program that is started without LD_PRELOAD by one that is sampled finds what it would have found without us: no
# timer, descriptor, mapping, pending signal, mask or limit of ours; by every way of starting it, outside and inside.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program leftover
find_library

for how in fork vfork spawn exec; do
	"$PROGRAMS/leftover" $how 40 >"$T/$how.bare" 2>"$T/$how.bare.err" </dev/null || fail "$how: bare: $?"
	at_least "$how: what it looks at" "$(wc -l <"$T/$how.bare")" 1000
	"$SONDE" run --hz 1000 -o "$T/$how.pb.gz" -- "$PROGRAMS/leftover" $how 40 >"$T/$how.run" 2>"$T/$how.run.err" \
		</dev/null || fail "$how: outside: $?"
	SONDE_HZ=1000 SONDE_LOG=$T/log LD_PRELOAD=$LIBSONDE "$PROGRAMS/leftover" $how 40 >"$T/$how.inside" \
		2>"$T/$how.inside.err" </dev/null || fail "$how: inside: $?"
	for way in run inside; do
		cmp -s "$T/$how.bare" "$T/$how.$way" || fail "$how, $way: $(diff "$T/$how.bare" "$T/$how.$way" | head -5)"
		is_empty "$how, $way: stderr" "$T/$how.$way.err"
	done
done

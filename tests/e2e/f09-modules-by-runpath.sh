#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# dlopen and dlmopen of a library that only the caller's RUNPATH finds work as without us, and work in it has its name.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program modules
[ -e "$PROGRAMS/libopener.so" ] || skip "libopener.so could not be built here"
find_library

for how in open mopen; do
	"$PROGRAMS/modules" $how "$PROGRAMS/libopener.so" libplugin.so 1 >/dev/null || fail "$how: bare: $?"
	record_ok $how -- "$PROGRAMS/modules" $how "$PROGRAMS/libopener.so" libplugin.so 700
	SONDE_FILE=$T/$how.inside.pb.gz SONDE_LOG=$T/log LD_PRELOAD=$LIBSONDE \
		"$PROGRAMS/modules" $how "$PROGRAMS/libopener.so" libplugin.so 700 >"$T/out" 2>"$T/err" </dev/null
	is "$how, inside: status" $? 0
	is_empty "$how, inside: stderr" "$T/err"
	for way in "" .inside; do
		near "$how$way: work in it" "$(profile cum "$T/$how$way.pb.gz" plugin_hot)" 700000000 15
		profile mappings "$T/$how$way.pb.gz" >"$T/mappings"
		matches "$how$way: its mapping" "$T/mappings" '/plugin/libplugin\.so$'
		profile stacks "$T/$how$way.pb.gz" >"$T/stacks"
		matches "$how$way: the stack" "$T/stacks" 'plugin_hot < dso_entry < burn_in < by_opener < main'
	done
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Signals that whoever started the program has it ignore (nohup, a background job) stay ignored with the collector inside.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ends
find_library
# timeout has its own actions for signals: what is ignored comes after it.
ignoring=(timeout -k 5 60 bash -c 'trap "" TERM HUP; exec "$@"' bash)
for way in term hup int; do
	"${ignoring[@]}" "$PROGRAMS/ends" $way >"$T/bare" 2>&1
	echo $? >>"$T/bare"
	"${ignoring[@]}" env LD_PRELOAD="$LIBSONDE" SONDE_ONLY=ends SONDE_SOCKET="$T/sock" SONDE_FILE="$T/$way.pb.gz" \
		"$PROGRAMS/ends" $way >"$T/inside" 2>&1
	echo $? >>"$T/inside"
	cmp "$T/bare" "$T/inside" || fail "$way: $(diff "$T/bare" "$T/inside")"
	valid "$T/$way.pb.gz"
done
matches "the signal was ignored" "$T/bare" "at first 15 ignore"

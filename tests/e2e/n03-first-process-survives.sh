#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a pid name space does not die of its default actions: at each of them the file is written, it
# goes on, is still profiled, and its last file has all of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ends
find_library
own=(unshare --pid --fork --kill-child)
"${own[@]}" true 2>/dev/null || own=(unshare --user --map-root-user --pid --fork --kill-child)
"${own[@]}" true 2>/dev/null || skip "no pid name space may be made here"
timeout -k 5 60 "${own[@]}" "$PROGRAMS/ends" first >"$T/bare" 2>&1
is "bare: status" $? 8
export SONDE_EXIT_WAIT=30s SONDE_ONLY=ends SONDE_LOG=$T/log SONDE_SOCKET=$T/sock
SONDE_FILE=$T/inside.pb.gz LD_PRELOAD=$LIBSONDE timeout -k 5 60 "${own[@]}" "$PROGRAMS/ends" first >"$T/inside" 2>&1
is "inside: status" $? 8
cmp "$T/bare" "$T/inside" || fail "inside: $(diff "$T/bare" "$T/inside")"
valid "$T/inside.pb.gz"
at_least "inside: CPU time" "$(profile total "$T/inside.pb.gz")" 180000000
# As `docker stop` does it: SIGTERM, which it survives, then SIGKILL.
SONDE_FILE=$T/stopped.pb.gz LD_PRELOAD=$LIBSONDE timeout -k 5 60 "${own[@]}" "$PROGRAMS/ends" wait >"$T/ready" 2>&1 &
unshare=$!
until_true grep -q ready "$T/ready"
first=
find_first()
{
	local p

	for p in $(pgrep -x ends); do
		[ "$(awk '/^NSpid:/ { print $NF }' "/proc/$p/status")" = 1 ] && tr '\0' '\n' <"/proc/$p/environ" |
			grep -q "^SONDE_LOG=$T/log\$" && first=$p && return 0
	done
	return 1
}
until_true find_first
for i in 1 2; do	# a process that has survived one is there for the next
	rm -f "$T/stopped.pb.gz"
	kill -TERM "$first"
	until_true test -s "$T/stopped.pb.gz"
done
until_true test -S "$T/sock/1.sock"		# it is still served
kill -KILL "$first"
wait $unshare
valid "$T/stopped.pb.gz"
at_least "stopped: CPU time" "$(profile total "$T/stopped.pb.gz")" 80000000
timeout -k 5 60 "$SONDE" run -o "$T/outside.pb.gz" -- "${own[@]}" "$PROGRAMS/ends" first >"$T/outside" 2>&1
is "outside: status" $? 8
cmp "$T/bare" "$T/outside" || fail "outside: $(diff "$T/bare" "$T/outside")"

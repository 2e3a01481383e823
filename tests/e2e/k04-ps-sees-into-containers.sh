#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A process in namespaces of its own (user, pid, mount) has its socket in its own /tmp under its own pid and user: it is
# found from outside by the pid that it has here, and a link in there leads to nothing of ours.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
ours=/tmp/sonde-$NAME.$$		# a folder that the inside sees only as the target of a link
shell=
server=
inside()	# the pid, seen from here, of what unshare started
{
	tr -d ' ' <"/proc/$shell/task/$shell/children"
}
sleeps()
{
	grep -q sleep "/proc/$(inside)/comm"
}
stop()		# pid 1 of a namespace takes no other signal, and unshare waits for it
{
	[ -z "$shell" ] || { kill -KILL "$(inside)" && wait "$shell"; } 2>/dev/null
	[ -z "$server" ] || kill "$server" 2>/dev/null
	shell=
	rm -rf "$ours"
}
at_exit stop
apart=(unshare --user --map-root-user --pid --fork --mount --mount-proc --kill-child)
"${apart[@]}" true 2>/dev/null || skip "no namespaces of one's own here (unshare)"
mkfifo fifo
# shellcheck disable=SC2016  # $1 … are of the inner shell
"${apart[@]}" sh -c 'mount -t tmpfs none /tmp && mkdir -m 700 /tmp/sonde-0 &&
	exec "$1" "$2" good /tmp/sonde-0' sh "$PYTHON" "$SN_SRC/tests/lib/fake_server.py" <fifo >port 2>unshare.err &
shell=$!
exec 9>fifo
until_true test -s port
pid=$(inside)
is "its pid in there" "$(awk '/^NSpid/ { print $NF }' "/proc/$pid/status")" 1
"$SONDE" ps "$pid" >ps.out 2>ps.err
is "ps: status ($(cat ps.err))" $? 0
matches "ps" ps.out "^ *$pid  fake .* /proc/$pid/root/tmp/sonde-0/1.sock "
"$SONDE" fetch -o P "$pid" >out 2>err
is "fetch: status ($(cat err))" $? 0
is "fetch: bytes" "$(stat -c %s P)" 76802
stop
# A hostile one has a link on the way to its folder that leads to one of ours, where a 1.sock answers.
mkdir -m 700 "$ours" "$ours/x"
mkfifo fifo2
"$PYTHON" "$SN_SRC/tests/lib/fake_server.py" good "$ours/x" <fifo2 >port2 &
server=$!
exec 8>fifo2
until_true test -s port2
mv "$ours/x/$server.sock" "$ours/x/1.sock"
# shellcheck disable=SC2016
"${apart[@]}" sh -c 'mount -t tmpfs none /tmp && ln -s "$1" /tmp/link && echo ready >ready &&
	exec env SONDE_SOCKET=/tmp/link/x sleep 1000' sh "$ours" 2>unshare.err &
shell=$!
until_true test -s ready
until_true sleeps
"$SONDE" ps "$(inside)" >ps.out 2>ps.err
is "a link out: status" $? 1
matches "a link out" ps.err 'not profiled'
is_empty "a link out: rows" ps.out

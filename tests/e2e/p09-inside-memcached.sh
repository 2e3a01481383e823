#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# memcached (a user of libevent itself) with the collector inside, -u nobody where we are root and as a daemon: the same
# answers as bare; no thread keeps root's uid.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
memcached=$(command -v memcached || true)
if [ -z "$memcached" ]; then
	unpacked memcached libsasl2-2
	memcached=$DEBS/usr/bin/memcached
fi
"$memcached" -h >"$T/help" 2>&1 || skip "memcached does not start here: $(head -1 "$T/help")"
user=()
[ "$(id -u)" -ne 0 ] || user=(-u nobody)
talk()	# NAME
{
	"$PYTHON" - "$port" >"$T/$1.said" <<'PY' || fail "$1: the talk"
import socket, sys, threading
out = []
def client(k):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    f = s.makefile("rwb")
    good = 0
    for i in range(3000):
        v = b"v%d" % (i * k)
        f.write(b"set k%d_%d 0 0 %d\r\n%s\r\nget k%d_%d\r\n" % (k, i, len(v), v, k, i))
        f.flush()
        good += f.readline() == b"STORED\r\n"
        f.readline()
        good += f.readline().strip() == v
        f.readline()
    out.append((k, good))
t = [threading.Thread(target=client, args=(k,)) for k in range(8)]
[x.start() for x in t]
[x.join() for x in t]
print(sorted(out))
PY
}
accepts()
{
	"$PYTHON" -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$port"
}
load()	# NAME [-d] [WRAPPER...] --
{
	local name=$1 started
	local -a more=() wrapper=()

	shift
	while [ "$1" != -- ]; do
		if [ "$1" = -d ]; then more=(-d); else wrapper+=("$1"); fi
		shift
	done
	port=$(free_port)
	"${wrapper[@]}" "$memcached" -l 127.0.0.1 -p "$port" -U 0 -m 32 "${user[@]}" "${more[@]}" -P "$open/$name.pid" >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	started=$!
	at_exit "stop_tree $started"
	until_true accepts
	until_true test -s "$open/$name.pid"
	pid=$(cat "$open/$name.pid")
	at_exit "stop_tree $pid"
	talk "$name"
	cat /proc/"$pid"/task/*/status | awk '/^Uid:/ { print $2, $3, $4, $5 }' | sort -u >"$T/$name.uids"
	kill "$pid"
	wait $started
	echo $? >"$T/$name.rc"
	until_true gone "$pid"
}
# A folder that another user may write into, also where the build lies in one of root's alone.
open=$(mktemp -d "${TMPDIR:-/tmp}/sn.XXXXXX") || exit 1
at_exit "rm -rf '$open'"
chmod 777 "$open"
load bare --
for how in '' -d; do
	load inside $how env "XDG_RUNTIME_DIR=$RUN" "LD_PRELOAD=$LIBSONDE" --
	[ -n "$how" ] || is "status" "$(cat "$T/inside.rc")" "$(cat "$T/bare.rc")"
	cmp "$T/bare.said" "$T/inside.said" || fail "the answers differ: $(cat "$T/inside.said")"
	is_empty "stderr" "$T/inside.err"
	is "uids of all threads" "$(cat "$T/inside.uids")" "$(cat "$T/bare.uids")"
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# redis-server under redis-benchmark: the same answers and status as bare; the profile opens.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
server=$(command -v redis-server || true)
bench=$(command -v redis-benchmark || true)
if [ -z "$server" ] || [ -z "$bench" ]; then
	unpacked redis-server redis-tools libjemalloc2 liblua5.1-0 liblzf1 libatomic1 libhiredis0.14 lua-cjson lua-bitop libsystemd0
	server=$DEBS/usr/bin/redis-server
	bench=$DEBS/usr/bin/redis-benchmark
	client=$DEBS/usr/bin/redis-cli
else
	client=$(command -v redis-cli)
fi
"$server" --version >"$T/version" 2>&1 || skip "redis-server does not start here: $(head -1 "$T/version")"
load()	# NAME [WRAPPER...]
{
	local name=$1 port

	shift
	port=$(free_port)
	"$@" "$server" --port "$port" --bind 127.0.0.1 --save '' --appendonly no --daemonize no >"$T/$name.server" 2>"$T/$name.err" </dev/null &
	redis=$!
	at_exit "stop_tree $redis"
	until_true "$client" -p "$port" ping
	"$bench" -p "$port" -n 100000 -c 50 -t set,get -q >"$T/$name.bench" 2>&1 || fail "$name: redis-benchmark"
	for i in 1 2 3; do "$client" -p "$port" set "key$i" "value$i"; done >"$T/$name.said"
	"$client" -p "$port" get key2 >>"$T/$name.said"
	"$client" -p "$port" debug jmap >/dev/null 2>&1
	"$client" -p "$port" shutdown nosave >/dev/null 2>&1
	wait $redis
	echo $? >"$T/$name.rc"
}
load bare
load sonde "$SONDE" run -o "$T/P.pb.gz" --
is "status" "$(cat "$T/sonde.rc")" "$(cat "$T/bare.rc")"
cmp "$T/bare.said" "$T/sonde.said" || fail "the answers differ"
is_empty "stderr" "$T/sonde.err"
opens "$T/P.pb.gz"
profile names "$T/P.pb.gz" >"$T/names"
at_least "CPU time" "$(profile total "$T/P.pb.gz")" 300000000
matches "a name from it" "$T/names" 'redis-(server|check-rdb)\+0x|aeMain|processCommand'

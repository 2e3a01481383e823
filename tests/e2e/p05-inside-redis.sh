#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# redis-server with the collector inside, as a daemon too, with BGSAVE: the same answers, dump file and status as bare,
# nothing on stderr; /debug/pprof answers meanwhile, and for the daemon by its own pid.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
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
talk()
{
	"$client" -p "$port" "$@"
}
saved()
{
	talk info persistence | grep -q 'rdb_bgsave_in_progress:0'
}
load()	# NAME DAEMONIZE [WRAPPER...]
{
	local name=$1 daemonize=$2

	shift 2
	port=$(free_port)
	mkdir -p "$T/$name.d"
	"$@" "$server" --port "$port" --bind 127.0.0.1 --save '' --appendonly no --daemonize "$daemonize" --dir "$T/$name.d" \
		--pidfile "$T/$name.pid" --set-proc-title no >"$T/$name.server" 2>"$T/$name.err" </dev/null &
	redis=$!
	at_exit "stop_tree $redis"
	until_true talk ping
	SERVED=$(talk info server | tr -d '\r' | sed -n 's/^process_id://p')
	at_exit "stop_tree $SERVED"
	for i in $(seq 1 200); do echo "set key$i value$i"; done | talk >"$T/$name.said"
	for i in 1 2 3; do
		talk bgsave >>"$T/$name.said"
		until_true saved
		talk info persistence | grep rdb_last_bgsave_status >>"$T/$name.said"
	done
	"$bench" -p "$port" -n 50000 -c 50 -t set,get -q >"$T/$name.bench" 2>&1 || fail "$name: redis-benchmark"
	talk get key2 >>"$T/$name.said"
	if [ "$name" != bare ]; then
		until_true test -S "$RUN/sonde/$SERVED.sock"
		"$SONDE" fetch "$SERVED" --last 30 -o "$T/$name.pb.gz" 2>"$T/fetch.err" || fail "$name: fetch: $(cat "$T/fetch.err")"
		opens "$T/$name.pb.gz"
		at_least "$name: CPU time" "$(profile total "$T/$name.pb.gz")" 300000000
		profile names "$T/$name.pb.gz" >"$T/names"
		matches "$name: a name from it" "$T/names" 'redis-(server|check-rdb)\+0x|aeMain|processCommand'
	fi
	talk save >>"$T/$name.said"
	talk shutdown nosave >/dev/null 2>&1
	wait $redis
	echo $? >"$T/$name.rc"
	until_true gone "$SERVED"
	"$server" --version >/dev/null
}
inside()
{
	env "XDG_RUNTIME_DIR=$RUN" "LD_PRELOAD=$LIBSONDE" "$@"
}
load bare no
for how in no yes; do
	load inside-$how $how inside
	is "status" "$(cat "$T/inside-$how.rc")" "$(cat "$T/bare.rc")"
	cmp "$T/bare.said" "$T/inside-$how.said" || fail "the answers differ"
	is_empty "stderr" "$T/inside-$how.err"
	lacks "a word of ours" "$T/inside-$how.server" 'sonde'
	is "size of the dump" "$(stat -c %s "$T/inside-$how.d/dump.rdb")" "$(stat -c %s "$T/bare.d/dump.rdb")"
	absent "its socket" "$RUN/sonde/$SERVED.sock"
done

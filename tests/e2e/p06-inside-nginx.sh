#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# nginx with two workers and the collector inside, in the foreground and as a daemon: the same answers as bare, through
# a reload; master and workers are served, each by its pid.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
nginx=$(command -v nginx || true)
if [ -z "$nginx" ]; then
	unpacked nginx libpcre2-8-0 libssl3
	nginx=$DEBS/usr/sbin/nginx
fi
"$nginx" -v >"$T/version" 2>&1 || skip "nginx does not start here: $(head -1 "$T/version")"
mkdir -p "$T/www" "$T/tmp"
chmod 755 "$T" "$T/www"
seq 1 40000 >"$T/www/numbers.txt"
user=
[ "$(id -u)" -ne 0 ] || user="user $(id -un) $(id -gn);"
conf()	# PORT DAEMON
{
	cat <<CONF
daemon $2;
$user
worker_processes 2;
pid $T/nginx.pid;
error_log $T/error.log;
events { worker_connections 128; }
http {
	access_log off;
	client_body_temp_path $T/tmp; proxy_temp_path $T/tmp; fastcgi_temp_path $T/tmp; uwsgi_temp_path $T/tmp; scgi_temp_path $T/tmp;
	types { text/plain txt; }
	gzip on; gzip_comp_level 9; gzip_types text/plain; gzip_min_length 100;
	server { listen 127.0.0.1:$1; root $T/www; }
}
CONF
}
ask()	# HOW_MANY
{
	local i

	for ((i = 0; i < $1; i++)); do
		curl -fsS --compressed "http://127.0.0.1:$port/numbers.txt" | md5sum
	done | sort | uniq -c
}
load()	# NAME DAEMON [WRAPPER...]
{
	local name=$1 daemon=$2 started

	shift 2
	port=$(free_port)
	conf "$port" "$daemon" >"$T/nginx.conf"
	: >"$T/error.log"
	"$@" "$nginx" -p "$T" -c "$T/nginx.conf" >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	started=$!
	at_exit "stop_tree $started"
	until_true curl -fsS -o /dev/null "http://127.0.0.1:$port/numbers.txt"
	master=$(cat "$T/nginx.pid")
	at_exit "stop_tree $master"
	ask 40 >"$T/$name.said"
	kill -HUP "$master"
	ask 40 >>"$T/$name.said"
	[ "$name" = bare ] || look "$name"
	kill -QUIT "$master"
	wait $started
	echo $? >"$T/$name.rc"
	until_true gone "$master"
}
look()	# NAME
{
	local total=0 served=0 p

	until_true test -S "$RUN/sonde/$master.sock"
	for p in $(tr ' ' '\n' <"/proc/$master/task/$master/children"); do
		until_true test -S "$RUN/sonde/$p.sock" -o ! -e "/proc/$p"
		ask 20 >/dev/null
		[ -S "$RUN/sonde/$p.sock" ] || continue
		"$SONDE" fetch "$p" --last 60 -o "$T/$1.$p.pb.gz" 2>"$T/fetch.err" || fail "$1: worker $p: $(cat "$T/fetch.err")"
		opens "$T/$1.$p.pb.gz"
		profile names "$T/$1.$p.pb.gz" >>"$T/names"
		total=$((total + $(profile total "$T/$1.$p.pb.gz")))
		served=$((served + 1))
	done
	at_least "$1: workers that are served" $served 2
	at_least "$1: their CPU time" $total 100000000
	matches "$1: what they did" "$T/names" 'deflate|libz\.so|ngx_|nginx\+0x'
	"$SONDE" ps >"$T/ps" 2>&1
	matches "$1: ps shows the master" "$T/ps" "^ *$master +nginx"
}
inside()
{
	env "XDG_RUNTIME_DIR=$RUN" "LD_PRELOAD=$LIBSONDE" "$@"
}
load bare off
for how in off on; do
	load inside-$how $how inside
	is "status" "$(cat "$T/inside-$how.rc")" "$(cat "$T/bare.rc")"
	cmp "$T/bare.said" "$T/inside-$how.said" || fail "the answers differ: $(cat "$T/inside-$how.said")"
	is_empty "stderr" "$T/inside-$how.err"
	lacks "a complaint of nginx" "$T/error.log" 'alert|crit|emerg|signal 11'
done

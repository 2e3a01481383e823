#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# nginx with two workers under load: the same answers as bare; master and workers have profiles that open.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
nginx=$(command -v nginx || true)
if [ -z "$nginx" ]; then
	unpacked nginx libpcre2-8-0 libssl3
	nginx=$DEBS/usr/sbin/nginx
fi
"$nginx" -v >"$T/version" 2>&1 || skip "nginx does not start here: $(head -1 "$T/version")"
mkdir -p "$T/www" "$T/tmp"
chmod 755 "$T" "$T/www"
# Text that gzip has work with.
seq 1 40000 >"$T/www/numbers.txt"
user=
[ "$(id -u)" -ne 0 ] || user="user $(id -un) $(id -gn);"
conf()	# PORT
{
	cat <<CONF
daemon off;
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
load()	# NAME [WRAPPER...]
{
	local name=$1 port

	shift
	port=$(free_port)
	conf "$port" >"$T/nginx.conf"
	"$@" "$nginx" -p "$T" -c "$T/nginx.conf" >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	server=$!
	at_exit "stop_tree $server"
	until_true curl -fsS -o /dev/null "http://127.0.0.1:$port/numbers.txt"
	"$PYTHON" - "$port" >"$T/$name.said" <<'PY' || fail "$name: the load"
import hashlib, gzip, sys, threading, urllib.request
port, seen, lock = sys.argv[1], {}, threading.Lock()
def client():
    for i in range(25):
        r = urllib.request.Request("http://127.0.0.1:%s/numbers.txt" % port, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(r, timeout=20) as answer:
            digest = hashlib.sha256(gzip.decompress(answer.read())).hexdigest()
            with lock:
                key = (answer.status, answer.headers["Content-Encoding"], digest)
                seen[key] = seen.get(key, 0) + 1
threads = [threading.Thread(target=client) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(seen.items()))
PY
	master=$(cat "$T/nginx.pid")
	kill -QUIT "$master"
	wait $server
	echo $? >"$T/$name.rc"
}
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
load bare
load sonde "$SONDE" run -o "$T/P.pb.gz" --
is "status" "$(cat "$T/sonde.rc")" "$(cat "$T/bare.rc")"
cmp "$T/bare.said" "$T/sonde.said" || fail "the answers differ: $(cat "$T/sonde.said")"
lacks "a word of ours" "$T/sonde.err" '^sonde:'
opens "$T/P.pb.gz"
workers=0
for f in "$T"/P.[0-9]*.pb.gz; do
	[ -e "$f" ] || continue
	opens "$f"
	workers=$((workers + 1))
	total=$((${total:-0} + $(profile total "$f")))
	profile names "$f" >>"$T/names"
done
at_least "workers with a profile" $workers 1
at_most "workers with a profile" $workers 2
at_least "their CPU time" "${total:-0}" 300000000
matches "what they did" "$T/names" 'deflate|libz\.so|ngx_|nginx\+0x'

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 200 slow connections, and thousands of quick ones: others are answered throughout, memory stays bounded, and
# the program goes on.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
for place in outside inside; do
	serve $place $place -- "$PROGRAMS/truth" -t 1 -s 300
	collector=$STARTED
	"$PYTHON" - "$ADDRESS" "$collector" >"$T/$place.said" 2>&1 <<'PY' || fail "$place: $(cat "$T/$place.said")"
import http.client, re, socket, sys, threading, time
host, port = sys.argv[1].rsplit(":", 1)
port, pid = int(port), int(sys.argv[2])

def rss():
    return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % pid).read()).group(1)) // 1024

def ask(path):
    c = http.client.HTTPConnection(host, port, timeout=20)
    c.request("GET", path)
    r = c.getresponse()
    d = r.read()
    c.close()
    return r.status, d

before = rss()
stop = threading.Event()
slow = []

def drip(kind):
    while not stop.is_set():
        try:
            s = socket.create_connection((host, port), timeout=20)
            if kind == 0:       # headers, a byte at a time
                s.sendall(b"GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n")
                while not stop.is_set():
                    s.sendall(b"X-a: b\r\n")
                    time.sleep(0.3)
            elif kind == 1:     # a body that never comes
                s.sendall(b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n0x1")
                while not stop.is_set():
                    s.sendall(b"+")
                    time.sleep(0.3)
            else:               # asks, and does not read
                s.sendall(b"GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
                time.sleep(5)
        except OSError:
            time.sleep(0.05)
        finally:
            try:
                s.close()
            except (OSError, NameError):
                pass

for i in range(200):
    t = threading.Thread(target=drip, args=(i % 3,), daemon=True)
    t.start()
time.sleep(2)
answered = 0
until = time.time() + 12
while time.time() < until:
    status, body = ask("/debug/pprof/")
    assert status == 200 and b"</html>" in body, (status, body[:80])
    answered += 1
    time.sleep(0.05)
status, body = ask("/debug/pprof/profile?seconds=1")
assert status == 200 and body[:2] == b"\x1f\x8b", (status, body[:80])
during = rss()
stop.set()
time.sleep(1)
assert answered >= 100, answered
for i in range(3000):
    status, body = ask("/debug/pprof/cmdline")
    assert status == 200
after = rss()
print("answered %d beside 200 slow ones; RSS %d, %d, %d MiB" % (answered, before, during, after))
assert during - before < 64 and after - before < 64, "memory"
PY
	fetch whole-$place "profile?seconds=1"
	stop_served
done
load()	# NAME COMMAND...
{
	local name=$1

	shift
	command -v "$1" >/dev/null || { echo "(no $1 here)"; return 0; }
	timeout 120 "$@" >"$T/$name.txt" 2>&1 </dev/null || fail "$name: status $?: $(tail -5 "$T/$name.txt")"
}
serve tools outside -- "$PROGRAMS/truth" -t 1 -s 300
load ab ab -q -k -n 10000 -c 16 "$URL/cmdline"
[ ! -s "$T/ab.txt" ] || matches "ab" "$T/ab.txt" 'Failed requests: +0$'
load wrk wrk -t1 -c32 -d4s "$URL/cmdline"
[ ! -s "$T/wrk.txt" ] || lacks "wrk" "$T/wrk.txt" 'Non-2xx|Socket errors'
load h2load h2load --h1 -n 10000 -c 16 "$URL/cmdline"
[ ! -s "$T/h2load.txt" ] || matches "h2load" "$T/h2load.txt" '10000 succeeded, 0 failed, 0 errored'
load slowhttptest slowhttptest -c 200 -H -i 2 -r 100 -l 10 -t GET -u "$URL/"
fetch after "profile?seconds=1"
stop_served

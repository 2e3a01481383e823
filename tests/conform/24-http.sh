#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The endpoints answer as Go's net/http/pprof does, with its headers and codes, outside and inside; go tool pprof
# takes profiles and symbols from them.  On purpose unlike Go: two clients of /profile both get 200.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"

table()	# NAME
{
	"$PYTHON" - "$ADDRESS" "$PROGRAMS/demo_server" >"$T/$1.table" 2>&1 <<'PY' || fail "$1: $(cat "$T/$1.table")"
import http.client, socket, sys, threading, time
address, program = sys.argv[1], sys.argv[2]
host, port = address.rsplit(":", 1)
bad = []

def ask(path, method="GET", body=None, headers=None):
    c = http.client.HTTPConnection(host, int(port), timeout=90)
    c.request(method, path, body=body, headers=headers or {})
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, data

def check(what, ok, got):
    if not ok:
        bad.append("%s: %r" % (what, got))

def row(path, status, kind="text/plain", method="GET", body=None, text=None, file=None, error=False, allow=None):
    s, h, d = ask(path, method, body)
    what = method + " " + path
    check(what + " status", s == status, s)
    check(what + " nosniff", h.get("x-content-type-options") == "nosniff", h)
    if kind:
        check(what + " type", h.get("content-type", "").startswith(kind), h.get("content-type"))
    if error:
        check(what + " X-Go-Pprof", h.get("x-go-pprof") == "1", h)
        check(what + " no disposition", "content-disposition" not in h, h)
        check(what + " line", d.endswith(b"\n") or method == "HEAD", d)
    if file:
        check(what + " file", h.get("content-disposition") == 'attachment; filename="%s"' % file, h)
    if text is not None:
        check(what + " text", text in d, d[:200])
    if allow:
        check(what + " Allow", h.get("allow") == allow, h.get("allow"))
    return s, h, d

P = "/debug/pprof"
s, h, d = row(P, 307, None)
check("redirect", h.get("location") == P + "/", h)
s, h, d = row(P + "/", 200, "text/html", text=b"profile")
check("index says what it costs", b"What it costs" in d and b"What it costs" in d, d[:100])
s, h, d = row(P + "/cmdline", 200)
check("cmdline", d.split(b"\0") == [program.encode(), b"-d", b"120", b"-c"], d)
check("cmdline has no charset trouble", h["content-type"].lower().replace(" ", "") == "text/plain;charset=utf-8", h)
octets = "application/octet-stream"
for query in ("seconds=1", "seconds=1&debug=1", "seconds=1&gc=1&debug=2"):
    s, h, d = row(P + "/profile?" + query, 200, octets, file="profile")
    check("gzip " + query, d[:2] == b"\x1f\x8b", d[:10])
row(P + "/profile", 200, octets, method="HEAD")
row(P + "/nothing", 404, text=b"Unknown profile\n", error=True)
row(P + "/heap", 404, text=b"Unknown profile\n", error=True)
row(P + "/profile?last=1", 200, octets, file="profile")
for query in ("last=0", "last=-1", "last=3601", "last=1.5", "last=x", "last=", "last=1&seconds=1"):
    row(P + "/profile?" + query, 400, error=True)
for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
    row(P + "/profile", 405, method=method, error=True, allow="GET, HEAD")
row(P + "/profile", 405, method="POST", body=b"x", error=True, allow="GET, HEAD")
row(P + "/symbol", 405, method="PUT", error=True, allow="GET, HEAD, POST")
row(P + "/symbol", 200, text=b"num_symbols: 1\n")
row("/pid/999999999/debug/pprof/", 404, error=True)
row("/nowhere", 404)


# Two clients at once: both whole, each about a second.
got = []
def client():
    got.append(ask(P + "/profile?seconds=2"))
both = [threading.Thread(target=client) for _ in range(2)]
[t.start() for t in both]
[t.join() for t in both]
check("two at once", [g[0] for g in got] == [200, 200], [(g[0], g[2][:80]) for g in got])

# A client that leaves; the next one is served at once.
c = socket.create_connection((host, int(port)))
c.sendall(b"GET /debug/pprof/profile?seconds=3600 HTTP/1.1\r\nHost: localhost\r\n\r\n")
time.sleep(0.2)
c.close()
row(P + "/profile?seconds=1", 200, octets)

# Host: DNS rebinding.
s, h, d = ask(P + "/", headers={"Host": "evil.example"})
check("foreign Host", s == 403, s)
s, h, d = ask(P + "/", headers={"Host": "localhost:1234"})
check("localhost", s == 200, s)
print("\n".join(bad))
sys.exit(bool(bad))
PY
}

by_pprof()	# NAME
{
	pprof -top -seconds 1 "$URL/profile" >"$T/$1.top" 2>"$T/$1.perr" </dev/null || fail "$1: pprof -seconds: $(cat "$T/$1.perr")"
	matches "$1: its top" "$T/$1.top" 'handle_'
	pprof -symbolize=remote -top -seconds 1 "$URL/profile" >"$T/$1.top" 2>"$T/$1.perr" </dev/null ||
		fail "$1: pprof -symbolize=remote: $(cat "$T/$1.perr")"
	matches "$1: its top" "$T/$1.top" 'handle_'
}

# Names by /symbol alone: the profile has none.
remote_names()	# NAME PLACE
{
	serve "$1" "$2" SONDE_SYMBOLIZE=none -- "$PROGRAMS/demo_server" -d 120 -c
	pprof -symbolize=remote -top -seconds 2 "$URL/profile" >"$T/$1.top" 2>"$T/$1.perr" </dev/null ||
		fail "$1: pprof -symbolize=remote: $(cat "$T/$1.perr")"
	matches "$1: names by /symbol" "$T/$1.top" 'handle_(sort|json|hash|regex)'
	stop_served
}

for place in outside inside; do
	serve $place $place -- "$PROGRAMS/demo_server" -d 120 -c
	table $place
	by_pprof $place
	stop_served
	lacks "$place: stderr" "$T/$place.err" .
	remote_names none-$place $place
done

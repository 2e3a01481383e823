#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Malformed requests, by raw sockets, to a program that is served from outside and from inside: each gets its answer
# or is closed, nobody waits for ever, and program and server go on: a good profile follows.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
for place in outside inside; do
	serve $place $place -- "$PROGRAMS/truth" -t 1 -s 300
	"$PYTHON" - "$ADDRESS" "$SERVED" >"$T/$place.said" 2>&1 <<'PY' || fail "$place: $(cat "$T/$place.said")"
import os, random, re, socket, struct, sys, threading, time
host, port = sys.argv[1].rsplit(":", 1)
port, served = int(port), int(sys.argv[2])
bad, rows = [], 0
P = b"/debug/pprof"
H = b"Host: localhost\r\n"
END = b"Connection: close\r\n\r\n"

def send(data, wait=30, half_close=False):
    """All that comes until the server closes; None when it does not within `wait` seconds."""
    s = socket.create_connection((host, port), timeout=wait)
    got, until = b"", time.monotonic() + wait
    try:
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass        # it has said no before it had read all
        while True:
            s.settimeout(max(0.01, until - time.monotonic()))
            d = s.recv(65536)
            if not d:
                return got
            got += d
    except ConnectionResetError:
        return got
    except socket.timeout:
        return None
    finally:
        s.close()

def statuses(got):
    return [int(m) for m in re.findall(rb"HTTP/1\.[01] (\d{3}) ", got)]

def row(what, data, wanted, has=None, lacks=None, **how):
    """wanted: the statuses in order, or several such lists; [] is closed without a word."""
    global rows
    rows += 1
    got = send(data, **how)
    ways = wanted if wanted and isinstance(wanted[0], list) else [wanted]
    if got is None:
        bad.append("%s: not closed" % what)
    elif statuses(got) not in ways:
        bad.append("%s: %r, wanted %r: %r" % (what, statuses(got), wanted, got[:300]))
    elif has is not None and has not in got:
        bad.append("%s: no %r in %r" % (what, has, got[:600]))
    elif lacks is not None and lacks in got:
        bad.append("%s: %r in %r" % (what, lacks, got[:600]))

def get(path, more=b"", version=b"HTTP/1.1", method=b"GET"):
    return method + b" " + path + b" " + version + b"\r\n" + H + more + END

def post(more, body=b""):
    return b"POST " + P + b"/symbol HTTP/1.1\r\n" + H + more + b"\r\n" + body

CMD = P + b"/cmdline"
row("pipelined pair", b"GET " + CMD + b" HTTP/1.1\r\n" + H + b"\r\n" + get(b"/nowhere"), [200, 404])
row("pipelined pair, a profile first",
    b"GET " + P + b"/profile?seconds=1 HTTP/1.1\r\n" + H + b"\r\n" + get(b"/nowhere"), [200, 404])
row("absolute URI", get(b"http://localhost" + CMD), [200], has=b"truth")
row("absolute URI of another host", get(b"http://evil.example" + CMD), [403])
row("HEAD", get(CMD, method=b"HEAD"), [200], lacks=b"truth")
for method in (b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"BREW", b"get"):
    row(method.decode(), get(P + b"/profile", method=method), [405], has=b"\r\nAllow: GET, HEAD\r\n")
    row(method.decode() + " symbol", get(P + b"/symbol", method=method), [405], has=b"\r\nAllow: GET, HEAD, POST\r\n")
row("CONNECT", b"CONNECT localhost:1 HTTP/1.1\r\n" + H + b"\r\n", [[405], [400]])
row("POST of a profile", b"POST " + P + b"/profile HTTP/1.1\r\n" + H + b"Content-Length: 1\r\n" + END + b"x", [405])

# 400, and closed: what follows on the connection is not looked at.
for what, data in (
        ("HTTP/0.9", b"GET " + CMD + b"\r\n\r\n"), ("HTTP/0.9 by name", get(CMD, version=b"HTTP/0.9")),
        ("HTTP/2.0", get(CMD, version=b"HTTP/2.0")), ("no version", get(CMD, version=b"")),
        ("h2c preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) * 8 + b"\r\n\r\n"),
        ("NUL garbage", b"\0\0\0\0GET\0/\0 HTTP/1.1\r\n\r\n\0\0\xff\xfe\r\n\r\n"),
        ("NUL in a header", get(CMD, b"X-a: a\0b\r\nbad name: x\r\n")),
        ("Content-Length with Transfer-Encoding", post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
        ("negative Content-Length", post(b"Content-Length: -5\r\n", b"hello")),
        ("Content-Length no number", post(b"Content-Length: 0x3\r\n", b"abc")),
        ("two Content-Lengths", post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd")),
        ("two equal Content-Lengths", post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc")),
        ("unknown Transfer-Encoding", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
        ("no Host in 1.1", b"GET " + CMD + b" HTTP/1.1\r\n\r\n"), ("two Hosts", get(CMD, H)),
        ("a blank before the colon", get(CMD, b"X-a : b\r\n")), ("no colon", get(CMD, b"nothing\r\n")),
        ("a NUL in the path", get(P + b"/%00"))):
    row(what, data, [400], lacks=b"truth")
    row(what + ", and a good one behind it", data + get(CMD), [400], lacks=b"truth")

# 413 at once: the body is not waited for.
for what, data in (
        ("Content-Length 99999999999", post(b"Content-Length: 99999999999\r\n")),
        ("Content-Length beyond 64 bits", post(b"Content-Length: 99999999999999999999999\r\n")),
        ("over-long chunk", post(b"Transfer-Encoding: chunked\r\n", b"ffffffff\r\n")),
        ("over-long chunk beyond 64 bits", post(b"Transfer-Encoding: chunked\r\n", b"f" * 20 + b"\r\n")),
        ("1 MiB of body", post(b"Content-Length: 1048576\r\n", b"0" * 1048576))):
    began = time.monotonic()
    row(what, data, [[413], [400]] if "64 bits" in what else [413])
    if time.monotonic() - began > 8:
        bad.append("%s: not at once" % what)
row("chunks that add up to too much", post(b"Transfer-Encoding: chunked\r\n", (b"1000\r\n" + b"0" * 4096 + b"\r\n") * 20), [413])
row("a chunk without a number", post(b"Transfer-Encoding: chunked\r\n", b"zz\r\nabc\r\n0\r\n\r\n"), [[400], [413]])

too_large = [[400], [414], [431]]
row("20 KB URL", get(b"/" + b"a" * 20000), too_large)
row("20 KB of query", get(P + b"/profile?seconds=" + b"1" * 20000), too_large)
row("20 KB header", get(CMD, b"X-a: " + b"b" * 20000 + b"\r\n"), too_large)
row("4,000 headers", get(CMD, b"X-a: b\r\n" * 4000), too_large)
row("1 MB header", get(CMD, b"X-a: " + b"b" * 1000000 + b"\r\n"), too_large)
row("a header that goes on, without end", b"GET " + CMD + b" HTTP/1.1\r\n" + b"X: " + b"b" * 30000, too_large)
row("bare LF", get(CMD).replace(b"\r\n", b"\n"), [[200], [400]])
row("a header in two lines", get(CMD, b"X-a: b\r\n c\r\n"), [[200], [400]])
row("HTTP/1.0", b"GET " + CMD + b" HTTP/1.0\r\n\r\n", [200], has=b"truth")
row("a client that has said all", get(CMD), [200], half_close=True)
row("half a request and the end", b"GET " + CMD + b" HTT", [[], [400]], half_close=True)
row("dots", get(P + b"/../../etc/passwd"), [[404], [301], [307], [400]], lacks=b"root:")
row("another host", get(CMD).replace(b"localhost", b"evil.example"), [403], lacks=b"truth")
for query in (b"last=99999999999999999999", b"last=%", b"last=1&last=1&seconds=1"):
    got = send(get(P + b"/profile?" + query), wait=60)
    rows += 1
    if got is None or len(statuses(got)) != 1 or statuses(got)[0] not in (200, 400):
        bad.append("profile?%s: %r" % (query.decode(), got and got[:300]))
row("addresses that are none", post(b"Content-Length: 24\r\nConnection: close\r\n", b"0xzz+-1+18446744073709551"[:24]), [[200], [400]])
row("64 KiB of addresses", post(b"Content-Length: 65000\r\nConnection: close\r\n", b"0x401000+" * 7222 + b"0x"), [[200], [400]])

# Silence, and half a line of it: closed after 10 s, all at the same time.
quiet = {}
def silent(what, data):
    began = time.monotonic()
    quiet[what] = send(data, wait=40), time.monotonic() - began
waiting = [threading.Thread(target=silent, args=a) for a in (
    ("silence", b""), ("half a line", b"GET /"), ("half of the headers", b"GET " + CMD + b" HTTP/1.1\r\nHost:"),
    ("a body that does not come", post(b"Content-Length: 10\r\n", b"0x1")))]
[t.start() for t in waiting]
[t.join() for t in waiting]
for what, (got, took) in quiet.items():
    rows += 1
    if got is None:
        bad.append("%s: still open after %.0f s" % (what, took))
    elif any(s not in (400, 408) for s in statuses(got)):
        bad.append("%s: %r" % (what, got[:200]))

# Whatever bytes come: the connection ends, with an answer or without.
seed = int.from_bytes(os.urandom(4), "little")
rng = random.Random(seed)
good = get(CMD) + post(b"Content-Length: 5\r\n", b"0x123")
for i in range(200):
    data = bytearray(good)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(data))
        if rng.random() < 0.3:
            del data[at:at + rng.randrange(1, 20)]
            data = data or bytearray(b"x")
        else:
            data[at] = rng.choice(b"\0\r\n :/%\xff\x7f0A")
    if send(bytes(data), wait=30, half_close=True) is None:
        bad.append("random bytes, seed %d, number %d: not closed: %r" % (seed, i, bytes(data)))
    rows += 1
# Clients that reset the connection with an answer under way.
for i in range(50):
    s = socket.create_connection((host, port), timeout=30)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.sendall((get(P + b"/profile?last=1") if i % 2 else b"GET " + P + b"/ HTTP/1.1\r\n" + H + b"\r\n") * 3)
    s.close()
os.kill(served, 0)
print("\n".join(bad) if bad else "%d requests" % rows)
sys.exit(bool(bad))
PY
	cat "$T/$place.said"
	fetch whole-$place "profile?seconds=1"
	at_least "$place: CPU time afterwards" "$(profile total "$T/whole-$place.pb.gz")" 100000000
	kill -0 "$SERVED" || fail "$place: the program has ended"
	kill -0 "$STARTED" || fail "$place: the server has ended"
	stop_served
	lacks "$place: stderr" "$T/$place.err" .
done

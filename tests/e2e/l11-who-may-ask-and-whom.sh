#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A connection to the socket of a process that has ended since is answered by nobody else (410); strangers who knock at
# the abstract socket are neither heard nor written about.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
cat >"$T/parent.py" <<'PY'
import os, sys, time
pid = os.fork()
if pid == 0:
    while True:
        sum(range(1000))
open(sys.argv[1], "w").write(str(pid))
os.waitpid(pid, 0)
time.sleep(120)
PY
serve P inside "SONDE_LOG=$T/log" -- "$PYTHON" "$T/parent.py" "$T/child"
until_true test -s "$T/child"
child=$(cat "$T/child")
until_true test -S "$RUN/sonde/$child.sock"
"$PYTHON" - "$RUN/sonde/$child.sock" "$child" "$SERVED" >"$T/said" 2>&1 <<'PY' || fail "$(cat "$T/said")"
import http.client, os, signal, socket, sys, time
path, child, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
c = http.client.HTTPConnection("localhost")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.settimeout(20)
c.sock.connect(path)
c.request("GET", "/debug/sonde/status")
r = c.getresponse()
first = r.read()
assert r.status == 200 and b"pid %d\n" % child in first, first
os.kill(child, signal.SIGKILL)
while os.path.exists(path):
    time.sleep(0.02)
c.request("GET", "/debug/sonde/status")
r = c.getresponse()
second = r.read()
assert r.status == 410 and b"pid %d\n" % parent not in second, (r.status, second)
PY
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	name=$(grep -oE '@sonde-[0-9]+-[0-9a-f]{16}$' /proc/net/unix | grep -- "-$SERVED-" | head -1)
	isnt "the abstract socket" "$name" ""
	setpriv --reuid 65534 --regid 65534 --clear-groups "$PYTHON" - "${name#@}" >"$T/said" 2>&1 <<'PY' || fail "the stranger: $(cat "$T/said")"
import socket, struct, sys
heard = 0
for kind in (1, 2, 3, 4, 5) * 60:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    try:
        s.connect("\0" + sys.argv[1])
        s.send(struct.pack("=IIIIQ", 0x6c6c6568, 2, kind, 0, 0))
        heard += len(s.recv(100)) > 0
    except OSError:
        pass
    s.close()
sys.exit(heard)
PY
	[ ! -e "$T/log" ] || lacks "lines about strangers" "$T/log" 'not profiled'
fi
stop_served

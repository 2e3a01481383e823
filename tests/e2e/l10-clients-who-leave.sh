#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Clients who ask and leave at once, hundreds of them: what was begun for them goes with them, memory stays
# bounds, and who stays is answered.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
for place in outside inside; do
	serve $place $place SONDE_HZ=1000 SONDE_MEMORY=16MiB -- "$PROGRAMS/deep" 200 60000
	fetch first-$place "profile?seconds=2"
	"$PYTHON" - "$ADDRESS" "$STARTED" >"$T/said" 2>&1 <<'PY' || fail "$place: $(cat "$T/said")"
import re, socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
def rss():
    return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%s/status" % sys.argv[2]).read()).group(1)) // 1024
before = rss()
for i in range(500):
    s = socket.create_connection((host, int(port)), timeout=20)
    s.sendall(b"GET /debug/pprof/profile?last=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    s.close()
print("RSS %d, then %d MiB" % (before, rss()))
sys.exit(rss() - before > 48)
PY
	fetch last-$place "profile?last=5"
	stop_served
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# SONDE=idle, a program that execs itself a thousand times, and clients that come and go meanwhile: it ends as it would
# alone.  (A signal that tells a thread to begin, and meets an exec, would end the new image.)
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
serve P outside SONDE=idle -- "$PROGRAMS/chain" 1500
"$PYTHON" - "$ADDRESS" "$STARTED" >"$T/said" 2>&1 <<'PY' || fail "the clients: $(cat "$T/said")"
import os, socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
asked = 0
while os.path.exists("/proc/" + sys.argv[2]) and "\nState:\tZ" not in open("/proc/%s/status" % sys.argv[2]).read():
    try:
        s = socket.create_connection((host, int(port)), timeout=5)
        s.sendall(b"GET /debug/pprof/profile?seconds=5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.005)
        s.close()
        asked += 1
    except OSError:
        break
print(asked, "asked")
sys.exit(asked < 20)
PY
wait "$STARTED"
is "its status" $? 0

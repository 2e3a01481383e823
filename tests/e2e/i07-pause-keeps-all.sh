#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The collector inside pauses around unshare, and around set*id where it could not follow: what was sampled before is still there, of the program and of
# its children, and they go on being sampled and served.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
cat >"$T/pauses.py" <<'PY'
import ctypes, os, sys, time
def before(until):
    while time.process_time() < until:
        sum(i * i for i in range(2000))
def after(until):
    before(until)
if os.fork() == 0:
    before(1.5)
    open(sys.argv[1] + "/child", "w").write(str(os.getpid()))
    while not os.path.exists(sys.argv[1] + "/paused"):
        time.sleep(0.05)
    after(3)
    time.sleep(120)
    os._exit(0)
before(1)
while not os.path.exists(sys.argv[1] + "/child"):
    time.sleep(0.05)
time.sleep(0.6)
libc = ctypes.CDLL(None)
for i in range(10):
    libc.unshare(0x200)         # CLONE_FS
    os.seteuid(os.geteuid())
open(sys.argv[1] + "/paused", "w").close()
after(2.5)
open(sys.argv[1] + "/done", "w").close()
time.sleep(120)
PY
serve P inside -- "$PYTHON" "$T/pauses.py" "$T"
until_true test -e "$T/done"
child=$(cat "$T/child")
burnt()
{
	[ "$(awk '{ print $14 + $15 }' "/proc/$child/stat")" -ge 295 ]
}
until_true burnt
until_true curl -fsS -o "$T/own.pb.gz" "$URL/profile?last=3600"
valid "$T/own.pb.gz"
near "CPU time of the program" "$(profile total "$T/own.pb.gz")" 2500000000 8
ADDRESS=$(cat "$RUN/sonde/$SERVED.http")
curl -fsS -o "$T/child.pb.gz" "http://$ADDRESS/pid/$child/debug/pprof/profile?last=3600" || fail "the child is not served"
valid "$T/child.pb.gz"
near "CPU time of the child" "$(profile total "$T/child.pb.gz")" 3000000000 8
"$SONDE" fetch "$child" --last 3600 -o "$T/by-socket.pb.gz" || fail "the child's own socket"
stop_tree "$SERVED"
is_empty "stderr" "$T/P.err"

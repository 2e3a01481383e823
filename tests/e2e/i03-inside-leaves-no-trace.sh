#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The collector's thread holds none of the program's descriptors, shows none of its own, has no
# capabilities, blocks all signals, and nothing of it is left in the program after exec.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
find_library
cat >"$T/look.py" <<'END'
import os, select, sys, time

os.closerange(3, 1024)                 # what this script was given


def text(path):
    with open(path) as f:
        return f.read()

def sonde():
    for tid in os.listdir("/proc/self/task"):
        if text(f"/proc/self/task/{tid}/comm") == "sonde\n":
            return tid

for _ in range(200):                   # until it is ready
    tid = sonde()
    if tid and "NoNewPrivs:\t1" in text(f"/proc/self/task/{tid}/status"):
        break
    time.sleep(0.01)
status = dict(line.split(":\t", 1) for line in text(f"/proc/self/task/{tid}/status").splitlines() if ":\t" in line)
both = 1 << 6 | 1 << 7      # CAP_SETGID, CAP_SETUID: to follow the program's own calls
print("capabilities", int(status["CapPrm"], 16) & ~both, int(status["CapEff"], 16) & ~both)
blocked = int(status["SigBlk"], 16)
print("blocked", all(blocked >> (n - 1) & 1 for n in list(range(1, 32)) + list(range(34, 65)) if n not in (9, 19)))
print("descriptors", sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:4])
r, w = os.pipe()
time.sleep(0.3)
os.close(w)
print("end of the pipe seen", bool(select.select([r], [], [], 5)[0]) and os.read(r, 1) == b"")
ours = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}
print("sockets", [name for name in ours if name.startswith("socket:")])
print("another folder", os.chdir("/") is None and os.umask(0o77) is not None)
sys.stdout.flush()
if len(sys.argv) > 1:
    os.environ.pop("LD_PRELOAD", None)
    os.execv(sys.executable, [sys.executable, "-c", "import os; print(sorted(int(f) for f in os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')))"])
END
LD_PRELOAD=$LIBSONDE "$PYTHON" "$T/look.py" exec >"$T/out" 2>"$T/err" </dev/null
is status $? 0
is_empty stderr "$T/err"
cat >"$T/wanted" <<'END'
capabilities 0 0
blocked True
descriptors [0, 1, 2, 3]
end of the pipe seen True
sockets []
another folder True
[0, 1, 2, 3] 1
END
diff "$T/wanted" "$T/out" || fail "the thread shows"

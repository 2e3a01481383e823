#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The collector killed: the program goes on unharmed and ends as it would.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
"$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/truth" -t 4 -s 3 -o "$T/truth.txt" >"$T/out" 2>"$T/err" </dev/null &
runner=$!
until_true has_child $runner truth
pid=$(child_of $runner truth)
sleep 0.3
kill -KILL $runner
wait $runner 2>/dev/null
is "sonde's end" $? 137
until_true gone "$pid"
# What it wrote at its very end proves that it got there.
until_true grep -q '^rusage' "$T/truth.txt"
is "threads that ended" "$(grep -c '^thread' "$T/truth.txt")" 4
is_empty "stderr" "$T/err"
# The same for a program with children and a status of its own, under a parent that reaps it.
"$PYTHON" - "$SONDE" "$T" "$PROGRAMS" <<'PY' || fail "a program whose collector was killed ended otherwise"
import ctypes, os, signal, subprocess, sys, time
sonde, t, programs = sys.argv[1:]
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)		# PR_SET_CHILD_SUBREAPER: the program becomes ours
ready = t + "/ready"
p = subprocess.Popen([sonde, "run", "-o", t + "/Q.pb.gz", "--", programs + "/burner", "-m", "1500", "-x", "42", "-r", ready])
while not os.path.exists(ready):
    time.sleep(0.02)
time.sleep(0.2)
p.kill()
p.wait()
_, status = os.waitpid(-1, 0)
print("status", status >> 8, "signal", status & 127)
sys.exit(status != 42 << 8)
PY

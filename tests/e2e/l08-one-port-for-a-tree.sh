#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# One port and a tree of programs: who finds the port taken serves its own socket; the owner of the port lists it and
# passes /pid/PID/… on, profiles, names and errors alike.  Strangers are neither listed nor asked.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../lib/served.sh
. "$SN_SRC/tests/lib/served.sh"
command -v curl >/dev/null || skip "curl is not installed (apt-get install curl)"
command -v setsid >/dev/null || skip "setsid is not installed"
port=$(free_port)
cat >"$T/tree.py" <<'PY'
import os, subprocess, sys, time
child = subprocess.Popen([sys.argv[1], "-t", "1", "-s", "300"], stdout=subprocess.DEVNULL)
open(sys.argv[2], "w").write(str(child.pid))
try:
    time.sleep(300)
finally:
    child.kill()
PY
serve owner inside "SONDE_HTTP=127.0.0.1:$port" -- setsid "$PYTHON" "$T/tree.py" "$PROGRAMS/truth" "$T/child"
until_true test -s "$T/child"
child=$(cat "$T/child")
at_exit "stop_tree $child"
until_true test -S "$RUN/sonde/$child.sock"
is "whose port it is" "$ADDRESS" "127.0.0.1:$port"
absent "a port of the child's" "$RUN/sonde/$child.http"
# A stranger of the same user, in a session of its own.
env "XDG_RUNTIME_DIR=$RUN" "LD_PRELOAD=$LIBSONDE" setsid "$PROGRAMS/truth" -t 1 -s 300 >/dev/null 2>&1 &
stranger=$!
at_exit "stop_tree $stranger"
until_true test -S "$RUN/sonde/$stranger.sock"
base=http://127.0.0.1:$port
curl -fsS --max-time 20 "$base/debug/pprof/" >"$T/index" || fail "the index: $?"
matches "the index lists the child" "$T/index" "href=\"/pid/$child/debug/pprof/\">$child</a> truth,"
lacks "the index lists the stranger" "$T/index" "/pid/$stranger/"
curl -fsS --max-time 60 -o "$T/P.pb.gz" "$base/pid/$child/debug/pprof/profile?seconds=2" || fail "the child's profile"
valid "$T/P.pb.gz"
profile names "$T/P.pb.gz" >"$T/names"
matches "whose profile it is" "$T/names" 'hot_40_0'
is "cmdline" "$(curl -fsS "$base/pid/$child/debug/pprof/cmdline" | tr '\0' ' ')" "$PROGRAMS/truth -t 1 -s 300"
matches "its index" <(curl -fsS "$base/pid/$child/debug/pprof/") 'truth'
curl -s -D "$T/head" -o "$T/body" "$base/pid/$child/debug/pprof/profile?last=0"
matches "status of an error" "$T/head" '^HTTP/1.1 400 '
matches "its header" "$T/head" '^X-Go-Pprof: 1'
matches "its line" "$T/body" 'invalid value for "last"'
curl -s -D "$T/head" -o "$T/body" "$base/pid/$stranger/debug/pprof/cmdline"
matches "a stranger" "$T/head" '^HTTP/1.1 404 '
# A client that leaves in the middle.
timeout 1 curl -s -o /dev/null "$base/pid/$child/debug/pprof/profile?seconds=60"
curl -fsS --max-time 60 -o "$T/Q.pb.gz" "$base/pid/$child/debug/pprof/profile?seconds=1" || fail "after a client that left"
# The owner ends: the port is free, and the next takes it.
kill -9 "$SERVED"
until_true test -s "$RUN/sonde/$child.http"
is "who has the port now" "$(cat "$RUN/sonde/$child.http")" "127.0.0.1:$port"
curl -fsS --max-time 60 -o "$T/R.pb.gz" "$base/debug/pprof/profile?seconds=1" || fail "the heir's profile"
valid "$T/R.pb.gz"
kill "$child" "$stranger"

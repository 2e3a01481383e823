#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# On a terminal: one line at the end, on stderr; elsewhere none.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
on_terminal()
{
	"$PYTHON" - "$@" <<'PY'
import os, pty, sys
out = bytearray()
def read(fd):
    data = os.read(fd, 65536)
    out.extend(data)
    return b""
sys.stdin.close()
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    out.extend(data)
os.waitpid(pid, 0)
sys.stdout.write(out.decode().replace("\r\n", "\n"))
PY
}
on_terminal "$SONDE" run -o "$T/P.pb.gz" -- "$PROGRAMS/burner" -m 300 >"$T/tty"
lines_are "terminal" "$T/tty" 1
for word in samples lost 'P\.pb\.gz' pprof '[0-9.]+ ?m?s'; do
	matches "the line" "$T/tty" "$word"
done

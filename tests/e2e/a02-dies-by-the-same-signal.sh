#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A program that dies by a signal: sonde dies by it, and its profile is written.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for sig in 6 9 11 15; do
	"$PYTHON" - "$SONDE" run -o "$T/s$sig.pb.gz" -- "$PROGRAMS/burner" -m 100 -k $sig >"$T/status" 2>"$T/err" <<'PY'
import subprocess, sys
print(subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode)
PY
	is "sonde's end by signal $sig" "$(cat "$T/status")" "-$sig"
	valid "$T/s$sig.pb.gz"
	at_least "CPU time seen" "$(profile total "$T/s$sig.pb.gz")" 80000000
done

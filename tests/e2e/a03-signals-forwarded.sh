#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Signals sent to sonde reach the program; its answer is sonde's.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for sig in TERM INT HUP USR1 USR2; do
	rm -f "$T/ready"
	# An interactive shell's background jobs ignore INT: give both a plain disposition.
	"$PYTHON" - "$SONDE" run -o "$T/s.pb.gz" -- "$PROGRAMS/burner" -q -m 20000 -r "$T/ready" >"$T/$sig.out" 2>"$T/err" <<PY &
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
PY
	runner=$!
	until_true test -e "$T/ready"
	kill -s $sig $runner
	wait $runner
	is "status after $sig" $? $((40 + $(kill -l $sig)))
	valid "$T/s.pb.gz"
done

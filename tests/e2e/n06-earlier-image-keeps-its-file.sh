#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Inside, a process that becomes another program by exec leaves a file for each: the earlier one as NAME.1.pb.gz.  A file
# of another process is replaced as ever, also a numbered one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program ends
find_library
export SONDE_ONLY=ends SONDE_SOCKET=$T/sock SONDE_LOG=$T/log
for run in 1 2; do
	SONDE_FILE=$T/P.pb.gz LD_PRELOAD=$LIBSONDE timeout -k 5 60 "$PROGRAMS/ends" flush-and-exec >"$T/out" 2>"$T/err"
	is "run $run: status" $? 3
	for f in P P.1; do
		valid "$T/$f.pb.gz"
		at_least "run $run: CPU time in $f" "$(profile total "$T/$f.pb.gz")" 80000000
		gzip -t "$T/$f.pb.gz" || fail "gzip does not like $f"
		opens "$T/$f.pb.gz"
	done
	absent "run $run: a file too many" "$T/P.2.pb.gz"
	if cmp -s "$T/P.pb.gz" "$T/P.1.pb.gz"; then
		fail "run $run: one profile twice"
	fi
done

# Who looks for a program by trying to run it, as Python does, writes no file at each place where it is not.
SONDE_ONLY='*' SONDE_FILE=$T/Q.pb.gz LD_PRELOAD=$LIBSONDE timeout -k 5 60 "$PYTHON" - >"$T/tried" <<'PY' || fail "tries: status $?"
import os
where = os.environ["SONDE_FILE"]
for n in range(3):
    try:
        os.execvp("no-such-program-%d" % n, ["x"])
    except OSError:
        pass
    print("written" if os.path.exists(where) else "not written")
PY
is "files written by execs of what is not there" "$(grep -c '^written' "$T/tried")" 0
valid "$T/Q.pb.gz"

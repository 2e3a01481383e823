#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 13: each label key once, totals within 100 %, a label of number 0 survives.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P --labels thread,thread_id -- "$PROGRAMS/truth" -t 2 -s 1 -o "$T/truth.txt"
pprof_ok tags -tags "$P"
is "keys of thread" "$(grep -Ec '^ *thread: ' "$T/tags.txt")" 1
is "keys of thread_id" "$(grep -Ec '^ *thread_id: ' "$T/tags.txt")" 1
total=$(profile total "$P")
for key in thread thread_id; do
	profile by "$P" "$key" | awk '{ s += $NF } END { printf "%d\n", s }' >"$T/sum"
	at_most "sum of $key" "$(cat "$T/sum")" "$total"
done
# A number without a unit is dropped by pprof when it is 0: ours must carry one.
profile json "$P" >"$T/json"
"$PYTHON" - "$P" "$SN_SRC/tests/lib" <<'PY' || fail "a numeric label without a unit"
import sys
sys.path.insert(0, sys.argv[2])
sys.dont_write_bytecode = True
import profile as reader
p = reader.Profile(sys.argv[1])
numbers = [x for s in p.samples for x in s[2] if not x["str"]]
sys.exit(not numbers or any(not x["unit"] for x in numbers))
PY

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 15: what pprof writes from it reads the same.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
usual
pprof -proto -output="$T/R.pb.gz" "$P" >/dev/null 2>&1 || fail "-proto"
pprof_ok a -symbolize=none -raw "$P"
pprof_ok b -symbolize=none -raw "$T/R.pb.gz"
# pprof numbers anew in the order of the samples: compare what the rows say, not their ids.
profile stacks "$P" >"$T/a.stacks"
profile stacks "$T/R.pb.gz" >"$T/b.stacks"
cmp "$T/a.stacks" "$T/b.stacks" || fail "the stacks differ"
for part in PeriodType Period Time Duration samples/count; do
	is "$part" "$(grep "^$part" "$T/b.txt")" "$(grep "^$part" "$T/a.txt")"
done
cmp "$T/a.txt" "$T/b.txt" || fail "-raw differs: $(diff "$T/a.txt" "$T/b.txt" | head -10)"

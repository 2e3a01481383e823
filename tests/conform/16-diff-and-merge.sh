#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 16: a difference with itself is nothing; two runs merge by code address.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
record_ok P -- "$PROGRAMS/dso_pie" 600
record_ok Q -- "$PROGRAMS/dso_pie" 600
for how in diff_base base; do
	pprof_ok $how -top -$how="$P" "$P"
	matches "-$how of itself" "$T/$how.txt" '(^|for )0, 0% of|0 of '
	awk 'on && NF && $1 !~ /^0$/ { bad = 1 } /flat +flat%/ { on = 1 } END { exit bad }' "$T/$how.txt" ||
		fail "-$how of itself has rows: $(cat "$T/$how.txt")"
done
pprof_ok merged -symbolize=none -raw "$P" "$T/Q.pb.gz"
sed -n '/^Mappings/,$p' "$T/merged.txt" >"$T/mappings"
for file in dso_pie libhotdso.so; do
	is "mappings of $file after a merge" "$(grep -c "/$file " "$T/mappings")" 1
done
total=$(($(profile total "$P") + $(profile total "$T/Q.pb.gz")))
pprof -proto -output="$T/M.pb.gz" "$P" "$T/Q.pb.gz" >/dev/null 2>&1 || fail "-proto of two"
is "total of two" "$(profile total "$T/M.pb.gz")" "$total"
"$PYTHON" - "$T/M.pb.gz" "$SN_SRC/tests/lib" <<'PY' || fail "two locations for one code address"
import sys
sys.path.insert(0, sys.argv[2])
sys.dont_write_bytecode = True
import profile as reader
p = reader.Profile(sys.argv[1])
keys = [(x["mapping"], x["address"]) for x in p.locations if x["address"]]
sys.exit(len(keys) != len(set(keys)))
PY

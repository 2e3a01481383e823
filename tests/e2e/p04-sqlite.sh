#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sqlite under a CPU load (speedtest1 where the source package can be had): as bare; the profile opens.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
speedtest=$SN_BUILD/debs/speedtest1
if [ ! -x "$speedtest" ] && command -v gcc >/dev/null &&
	bash "$SN_SRC/tests/lib/get-source.sh" "$SN_BUILD/debs" sqlite3 >"$T/source.log" 2>&1; then
	unpacked libsqlite3-dev libsqlite3-0
	lib=$(dirname "$(find "$DEBS/usr/lib" -name libsqlite3.so.0 | head -1)")
	gcc -O2 -g -I"$DEBS/usr/include" -o "$speedtest" "$DEBS/src/sqlite3/test/speedtest1.c" \
		"$lib/libsqlite3.so.0" -Wl,-rpath,"$lib" -lm >"$T/cc.log" 2>&1 || fail "speedtest1: $(head -5 "$T/cc.log")"
fi
if [ -x "$speedtest" ]; then
	load=("$speedtest" --size 40 --verify :memory:)
else
	shell=$(command -v sqlite3 || true)
	if [ -z "$shell" ]; then
		unpacked sqlite3 libsqlite3-0 libreadline8 libtinfo6
		shell=$DEBS/usr/bin/sqlite3
	fi
	cat >"$T/load.sql" <<'SQL'
CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT);
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000)
	INSERT INTO t SELECT x, (x * 7919) % 10007, 'text ' || (x * 31 % 4099) FROM n;
CREATE INDEX i ON t(b, c);
SELECT count(*), sum(b), min(c), max(c) FROM t;
SELECT b % 97, count(*), group_concat(DISTINCT b % 11) FROM t GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5;
SELECT count(*) FROM t x JOIN t y ON x.b = y.b WHERE x.a < 3000;
UPDATE t SET c = upper(c) || b WHERE b % 3 = 0;
SELECT count(*) FROM t WHERE c LIKE '%TEXT 4_9%';
PRAGMA integrity_check;
SQL
	load=("$shell" -batch -init /dev/null ":memory:" ".read $T/load.sql")
fi
"${load[@]}" >"$T/bare.out" 2>"$T/bare.err" </dev/null
bare=$?
"$SONDE" run -o "$T/P.pb.gz" -- "${load[@]}" >"$T/sonde.out" 2>"$T/sonde.err" </dev/null
is "status" $? $bare
for out in bare sonde; do
	sed -E 's/[0-9]+\.[0-9]+s//g; s/\.{3,}//g' "$T/$out.out" >"$T/$out.said"
done
cmp "$T/bare.said" "$T/sonde.said" || fail "the results differ: $(diff "$T/bare.said" "$T/sonde.said" | head)"
cmp "$T/bare.err" "$T/sonde.err" || fail "stderr differs: $(head -3 "$T/sonde.err")"
opens "$T/P.pb.gz"
at_least "CPU time" "$(profile total "$T/P.pb.gz")" 300000000
profile names "$T/P.pb.gz" >"$T/names"
matches "the library" "$T/names" 'sqlite3|libsqlite3'

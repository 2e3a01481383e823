#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Ten million instructions of real programs: make check-long.  Each is stepped through from its start, and compared from
# somewhere in its middle on; a share of the steps only where that reaches further phases.  What a machine does not have
# is passed over, and said.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
STEP_SECONDS=${STEP_SECONDS:-1500}
total=0
failed=0

# SKIP steps, then compare each EVERY-th, MAX times.
long()	# NAME SKIP EVERY MAX PROGRAM [ARGUMENT...]
{
	local name=$1 compared

	[ -x "${5:-}" ] || { echo "$name: passed over, there is none"; return; }
	export STEP_SKIP=$2 STEP_EVERY=$3 STEP_MAX=$4 STEP_REFS=16 STEP_COPIED=128
	shift 4
	step "$name" "$@"
	grep -E '^program|^  tables *right|^  (copied|libunwind|libgcc) *right' "$T/$name.report"
	grep -E ' sites' "$T/$name.report"
	compared=$(sed -n 's/.* steps, \([0-9]*\) compared.*/\1/p' "$T/$name.report")
	total=$((total + ${compared:-0}))
	grep -qx 'verdict: passed' "$T/$name.report" || failed=$((failed + 1))
}

source_text()
{
	local f

	for f in "$SN_SRC"/src/collect/*.c; do sed 's/^ *#.*//' "$f"; done
}

"${CC:-gcc}" -E -I"$SN_SRC/src" -I"$SN_BUILD" -D_GNU_SOURCE "$SN_SRC/src/collect/unwind_cfi.c" >"$T/mid.i" || fail "no mid-size file"
source_text >"$T/text"
cc1=$("${CC:-gcc}" -print-prog-name=cc1 2>/dev/null)
[ -x "$cc1" ] || cc1=$(gcc -print-prog-name=cc1 2>/dev/null || true)
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)' 2>/dev/null || true)
openssl=$(command -v openssl || true)
sort=$(command -v sort || true)
xz=$(command -v xz || true)

cat >"$T/work.py" <<'PY'
import collections, json, re, zlib
text = json.dumps([{"n": i, "s": str(i) * 3} for i in range(40)])
words = collections.Counter(re.findall(r'"\w+"', text))
class E(Exception): pass
def deep(n):
    if n == 0: raise E("bottom")
    return deep(n - 1) + 1
try: deep(12)
except E: pass
print(len(zlib.compress(text.encode())), sorted(words.items(), key=lambda x: (x[1], x[0]))[:3], json.loads(text)[3])
PY

long cc1-start 0 1 1000000 "$cc1" -fpreprocessed -quiet -O2 "$T/mid.i" -o "$T/mid.s"
long cc1-middle 5000000 1 2000000 "$cc1" -fpreprocessed -quiet -O2 "$T/mid.i" -o "$T/mid.s"
long cc1-throughout 1000000 7 700000 "$cc1" -fpreprocessed -quiet -O2 "$T/mid.i" -o "$T/mid.s"
long python3-start 0 1 1000000 "$python" -S "$T/work.py"
long python3-middle 3000000 1 1800000 "$python" -S "$T/work.py"
long python3-throughout 500000 5 500000 "$python" "$T/work.py"
long openssl-gcm 500000 1 1000000 "$openssl" speed -seconds 1 -bytes 1024 -evp aes-128-gcm
long openssl-sha 300000 1 1000000 "$openssl" dgst -sha256 "$T/text"
long sort 0 1 1000000 "$sort" --parallel=1 "$T/text"
long xz 0 1 1000000 "$xz" -T1 -k -c "$T/text"
echo "$total instructions compared, $failed programs with differences that nothing explains"
[ "$failed" -eq 0 ] || fail "differences"
[ "$total" -ge 10000000 ] || echo "fewer than ten million: what is missing was passed over above"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 5: every location lies in its mapping and has a line.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for program in dso_pie dso_nopie cxx vdso; do
	[ -x "$PROGRAMS/$program" ] || continue
	record_ok P -- "$PROGRAMS/$program" 500
	pprof_ok raw -raw "$P"
	"$PYTHON" - "$T/raw.txt" <<'PY' || fail "$program: see above"
import re, sys
part, maps, bad, seen = "", {}, 0, 0
for line in open(sys.argv[1]):
    if re.match(r"(Locations|Mappings)", line):
        part = line.split()[0]
    m = re.match(r"\s*(\d+): 0x([0-9a-f]+)/0x([0-9a-f]+)/", line)
    if part == "Mappings" and m:
        maps[int(m[1])] = (int(m[2], 16), int(m[3], 16))
part = ""
for line in open(sys.argv[1]):
    if re.match(r"(Locations|Mappings)", line):
        part = line.split()[0]
    m = re.match(r"\s*(\d+): 0x([0-9a-f]+) (?:M=(\d+) )?(.*)", line)
    if part == "Locations" and m:
        seen += 1
        if not m[4].strip():
            bad += 1
            print("no line:", line.rstrip())
        if m[3] and int(m[2], 16):
            lo, hi = maps[int(m[3])]
            if not lo <= int(m[2], 16) < hi:
                bad += 1
                print("out of range:", line.rstrip())
sys.exit(bad > 0 or seen == 0)
PY
done

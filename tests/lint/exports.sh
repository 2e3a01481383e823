#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# libsonde.so.1 shows sonde_*, the names of gperftools and what profiler.map says that it interposes;
# it needs libc alone, and no symbol version that the libc of Debian 12 lacks.
. "$(dirname "$0")/lib.sh"
[ -z "${SN_SANITIZE:-}" ] || skip "a sanitizer's names are in the library"
newest=2.36
so=
for candidate in "$SN_BUILD/src/.libs/libsonde.so.1" "$SN_BUILD/inst/lib/libsonde.so.1"; do
	[ -e "$candidate" ] && { so=$candidate; break; }
done
[ -n "$so" ] || { echo "FAIL: no libsonde.so.1 in $SN_BUILD"; exit 1; }

sed -n '/global:/,/local:/p' "$SN_SRC/src/profiler.map" | grep -oE '[A-Za-z_][A-Za-z0-9_*]*;' | tr -d ';' >"$T/map"
[ -s "$T/map" ] || wrong "profiler.map names nothing"
# A name in the map without a * is one that we interpose: libc must have it, or it means nothing.
sed 's/\*/.*/; s/^/^/; s/$/$/' "$T/map" >"$T/patterns"
grep -E '^\^(sonde_\.\*|Profiler|HeapProfiler|IsHeapProfiler|GetHeapProfile|ProfilingIs|[a-zA-Z_]+\$)' "$T/patterns" >/dev/null || wrong "profiler.map is odd"
nm -D --defined-only "$so" | awk '$2 != "A" { print $NF }' | sed 's/@.*//' | sort -u >"$T/exports"
while read -r name; do wrong "exports $name, which profiler.map does not name"; done < <(grep -vE -f "$T/patterns" "$T/exports")
while read -r name; do
	case $name in
	*\** | sonde_*) ;;
	*) grep -qx "$name" "$T/exports" || wrong "profiler.map names $name, which the library lacks" ;;
	esac
done <"$T/map"
grep -qE '^(sn_|_sn)' "$T/exports" && wrong "an internal name is visible"

readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$T/needed"
grep -q . "$T/needed" || wrong "no NEEDED entry read"
while read -r lib; do wrong "needs $lib"; done < <(grep -vE '^(libc\.so\.6|ld-linux[a-z0-9-]*\.so\.[0-9])$' "$T/needed")
readelf -d "$so" | grep -q 'SONAME.*\[libsonde\.so\.1\]' || wrong "its SONAME is not libsonde.so.1"
readelf -d "$so" | grep -qE 'TEXTREL' && wrong "it has text relocations"
readelf -lW "$so" | awk '/GNU_STACK/ && /RWE/ { bad = 1 } END { exit bad }' || wrong "it wants an executable stack"
nm -D --undefined-only "$so" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -uV >"$T/versions"
highest=$(tail -1 "$T/versions")
[ "$(printf '%s\n%s\n' "$highest" "$newest" | sort -V | tail -1)" = "$newest" ] || wrong "needs GLIBC_$highest, Debian 12 has $newest"
verdict "$(wc -l <"$T/exports")" "exported names, up to GLIBC_$highest"

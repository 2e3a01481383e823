#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What hot code may reach: every src/hot/*.c is in libhot.a, its undefined symbols are all in
# hot-allowed.txt (with a reason), and indirect calls are only those of hot/outcalls.def.
. "$(dirname "$0")/lib.sh"
[ -z "${SN_SANITIZE:-}" ] || skip "a sanitizer's calls are in the code"
archive=$SN_BUILD/src/.libs/libhot.a
[ -f "$archive" ] || archive=$SN_BUILD/src/libhot.a
[ -f "$archive" ] || { echo "FAIL: no libhot.a in $SN_BUILD/src"; exit 1; }
allowed=$SN_SRC/tests/lint/hot-allowed.txt

# 1. Every source is in the archive.
sources=0
ar t "$archive" | sed -E 's/^.*-([^-]*)\.l?o$/\1/; s/\.l?o$//' | sort -u >"$T/members"
for f in "$SN_SRC"/src/hot/*.c; do
	[ -e "$f" ] || continue
	sources=$((sources + 1))
	grep -qx "$(basename "$f" .c)" "$T/members" || wrong "$f is not in libhot.a"
done

# 2. Undefined symbols, all members together.
ld -r -o "$T/hot.o" --whole-archive "$archive" || wrong "ld -r failed"
nm -u "$T/hot.o" | awk '{ print $NF }' | sed 's/@.*//' | sort -u | grep -vx _GLOBAL_OFFSET_TABLE_ >"$T/undefined"
awk 'NF && $1 !~ /^#/ { if (NF < 3 || $2 != "-") print "no reason: " $0 > "/dev/stderr"; print $1 }' "$allowed" 2>"$T/reasons" | sort -u >"$T/allowed"
while read -r line; do wrong "hot-allowed.txt: $line"; done <"$T/reasons"
while read -r symbol; do wrong "hot code reaches $symbol, which hot-allowed.txt does not have"; done < <(comm -23 "$T/undefined" "$T/allowed")
# Another compiler may have inlined what gcc calls.
case ${CC:-} in *clang*) : >"$T/allowed" ;; esac
while read -r symbol; do wrong "hot-allowed.txt has $symbol, which nothing uses"; done < <(comm -13 "$T/undefined" "$T/allowed" | grep -v '_chk$')

# 3. Indirect calls, by the function that makes them: not through the PLT or GOT of a named symbol.
objdump -dr --no-show-raw-insn "$T/hot.o" >"$T/asm" || wrong "objdump failed"
awk '
	function flush() { if (pending != "" && !named) print fn ": " pending; pending = ""; named = 0 }
	/^[0-9a-f]+ <.*>:$/ { flush(); fn = $2; gsub(/[<>:]/, "", fn); next }
	/R_[A-Z0-9_]+/ { if (pending != "") named = 1; next }
	{ flush() }
	/[ \t](call|jmp)[a-z]*[ \t]+\*/ { pending = $0 }
	/[ \t](blr|br)[a-z]*[ \t]+x[0-9]+/ { pending = $0 }
	END { flush() }' "$T/asm" | grep -v 'jmp.*\*.*(,%r..,8)' >"$T/indirect"
sed -n 's/^SN_OUTCALL(\([a-zA-Z0-9_]*\), *"[^"]*", *".*")$/\1/p' "$SN_SRC/src/hot/outcalls.def" | sort -u >"$T/outcalls"
while IFS= read -r line; do
	fn=${line%%:*}
	grep -qx "${fn%%.*}" "$T/outcalls" || wrong "an indirect call that hot/outcalls.def does not have: $line"
done <"$T/indirect"
while read -r fn; do
	grep -q "^${fn}[.:]" "$T/indirect" || wrong "hot/outcalls.def has $fn, which makes no indirect call"
done <"$T/outcalls"
[ -s "$T/undefined" ] || [ -s "$T/asm" ] || wrong "libhot.a holds no code"
verdict "$sources" "hot sources"

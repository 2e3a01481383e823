#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sizes and manners of the files: at most 600 lines, lines of at most 120 columns, a licence line, functions
# of at most 100 lines, no leftovers, no trailing blanks, and no address of a package registry.
. "$(dirname "$0")/lib.sh"
leftovers='\<(TO''DO|FIX''ME|X''XX|place''holder)\>'
registries='deb\.deb''ian\.org|pypi\.o''rg|proxy\.gol''ang\.org|registry\.np''mjs|crates\.i''o|snapshot\.deb''ian'
files=0
while IFS= read -r f; do
	files=$((files + 1))
	lines=$(wc -l <"$f")
	[ "$lines" -le 600 ] || wrong "$f: $lines lines"
	head -3 "$f" | grep -q 'SPDX-License-Identifier: Apache-2\.0' || wrong "$f: no SPDX line at its head"
	expand -t 8 "$f" | awk -v f="$f" 'length($0) > 120 && $0 !~ /https?:/ { print f ":" NR ": " length($0) " columns" }' >"$T/long"
	case $f in
	*.[ch] | *.cc) while IFS= read -r line; do wrong "$line"; done <"$T/long" ;;
	esac
	grep -nE "$leftovers" "$f" >"$T/found" && wrong "$f: $(head -1 "$T/found")"
	grep -nE "$registries" "$f" >"$T/found" && wrong "$f: $(head -1 "$T/found")"
	grep -nE '[[:blank:]]+$' "$f" >"$T/found" && wrong "$f: blanks at an end: $(head -1 "$T/found")"
done < <(find "$SN_SRC/src" "$SN_SRC/tools" "$SN_SRC/tests" "$SN_SRC/proto" -path "$SN_SRC/tests/corpus" -prune -o -path "$SN_SRC/tests/tmp" -prune -o -type f \
	\( -name '*.[chS]' -o -name '*.cc' -o -name '*.def' -o -name '*.sh' -o -name '*.py' -o -name '*.proto' -o -name 'Makemodule.am' \) ! -name '*.pb-c.[ch]' -print | sort)
# Functions: the name stands at column 0, its body between lone braces.
functions=0
while IFS= read -r f; do
	awk -v f="$f" '/^[a-z_][a-zA-Z0-9_]*\(/ { name = $0; sub(/\(.*/, "", name) }
		/^\{$/ { start = NR } /^\}$/ && start { n++; print NR - start - 1, f, name; start = 0 }' "$f" >>"$T/sizes"
done < <(find "$SN_SRC/src" "$SN_SRC/tools" "$SN_SRC/tests" -name '*.c' ! -name '*.pb-c.c' -print)
if [ -s "$T/sizes" ]; then
	functions=$(wc -l <"$T/sizes")
	while read -r size f name; do wrong "$f: $name has $size lines"; done < <(awk '$1 > 100' "$T/sizes")
	grep "/src/" "$T/sizes" | sort -n >"$T/ours"
	awk '{ v[NR] = $1 } END { exit NR > 0 && !(v[int((NR + 1) / 2)] <= 15 && v[int(NR * 0.9)] <= 50) }' "$T/ours" ||
		wrong "functions of src/: median or ninth decile over 15 or 50 lines"
fi
[ "$functions" -gt 0 ] || wrong "saw no function"
verdict "$files" "files, $functions functions"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every option of options.def stands in the man pages, and the pages name no other; mandoc has no complaint.
. "$(dirname "$0")/lib.sh"
options=0
pages=()
for dir in "$SN_SRC/man" "$SN_BUILD/man"; do
	for page in "$dir"/*.[1-8]; do
		[ -e "$page" ] && pages+=("$page")
	done
done
[ "${#pages[@]}" -gt 0 ] || { echo "FAIL: no man page in $SN_SRC/man or $SN_BUILD/man"; exit 1; }
# Plain words: mdoc's markup and escapes away.
sed -E 's/\\-/-/g; s/\\&//g; s/\\f.//g' "${pages[@]}" >"$T/text"
while IFS='|' read -r variable flag; do
	options=$((options + 1))
	grep -qE "(^|[^A-Z_])$variable([^A-Z_]|\$)" "$T/text" || wrong "$variable is in no man page"
	[ -z "$flag" ] || grep -qE "(-|Fl )-?$flag([^a-z_-]|\$)" "$T/text" || wrong "--$flag is in no man page"
done < <(grep -v '^ \*' "$SN_SRC/src/base/options.def" | tr '\n' ' ' | grep -oE 'SN_OPTION\([a-z_]+, *"[A-Z_]+", *"[a-z-]*"' | sed -E 's/.*"([A-Z_]+)", *"([a-z-]*)"/\1|\2/')
grep -oE '\bSONDE_[A-Z_]+\b' "$T/text" | sort -u >"$T/named"
while read -r variable; do
	case $variable in SONDE_COLLECTOR | SONDE_PORT* | SONDE_SERVICE* | SONDE_*_SERVICE* | SONDE_*_PORT*) continue ;; esac
	grep -q "\"$variable\"" "$SN_SRC/src/base/options.def" || wrong "a man page names $variable, which options.def does not have"
done <"$T/named"
if command -v mandoc >/dev/null; then
	for page in "${pages[@]}"; do
		mandoc -T lint -W warning "$page" >"$T/mandoc" 2>&1 || wrong "$(head -3 "$T/mandoc")"
	done
fi
verdict "$options" "options in ${#pages[@]} pages"

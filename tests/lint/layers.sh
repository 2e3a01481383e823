#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Includes go against the arrows only.  Two arms: in the program hot <- source <- control <- preload, in the
# collector collect <- symbol <- encode <- deliver <- service; under both base, then segment.
. "$(dirname "$0")/lib.sh"
allowed_for()
{
	case $1 in
	base) echo "base" ;;
	segment) echo "base segment" ;;
	hot) echo "base segment hot" ;;
	source) echo "base segment hot source" ;;
	control) echo "base segment hot source control" ;;
	preload) echo "base segment hot source control preload" ;;
	collect) echo "base segment collect" ;;
	symbol) echo "base segment collect symbol" ;;
	encode) echo "base segment collect symbol encode proto" ;;
	deliver) echo "base segment collect symbol encode deliver" ;;
	service) echo "base segment collect symbol encode deliver service" ;;
	*) echo "" ;;
	esac
}
files=0
includes=0
while IFS= read -r f; do
	files=$((files + 1))
	folder=${f#"$SN_SRC/src/"}
	folder=${folder%%/*}
	[ -d "$SN_SRC/src/$folder" ] || continue	# src/profiler.h
	may=$(allowed_for "$folder")
	[ -n "$may" ] || wrong "src/$folder is in no arm"
	while IFS=: read -r line to; do
		includes=$((includes + 1))
		case $to in
		*/*) target=${to%%/*} ;;
		config.h | profiler.h) continue ;;
		*) target=$folder
			[ -e "$SN_SRC/src/$folder/$to" ] || wrong "$f:$line: $to is not in its folder; write FOLDER/$to" ;;
		esac
		case " $may " in
		*" $target "*) ;;
		*) wrong "$f:$line: src/$folder must not include $to" ;;
		esac
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$f" | sed -E 's/^([0-9]+):[^"]*"([^"]*)".*/\1:\2/')
done < <(find "$SN_SRC/src" -name '*.[chS]' -o -name '*.def' | sort)
[ "$includes" -gt 0 ] || wrong "saw no include"
verdict "$files" "source files, $includes includes"

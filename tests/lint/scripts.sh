#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every shell script parses, begins as it should, may be executed, and shellcheck has no complaint.
. "$(dirname "$0")/lib.sh"
scripts=0
checked=()
while IFS= read -r f; do
	scripts=$((scripts + 1))
	bash -n "$f" 2>"$T/err" || wrong "$f: $(head -1 "$T/err")"
	# A part that others source says which shell it is for; all else can be run.
	if ! head -1 "$f" | grep -qx '# shellcheck shell=bash'; then
		head -1 "$f" | grep -qx '#!/usr/bin/env bash' || wrong "$f: its first line"
		[ -x "$f" ] || wrong "$f may not be executed"
	fi
	checked+=("$f")
done < <(find "$SN_SRC/tests" "$SN_SRC/tools" -path "$SN_SRC/tests/tmp" -prune -o -name '*.sh' -print | sort)
if [ "$scripts" -gt 0 ] && command -v shellcheck >/dev/null; then
	shellcheck -x -P SCRIPTDIR "${checked[@]}" >"$T/shellcheck" 2>&1 || wrong "shellcheck: $(head -60 "$T/shellcheck")"
fi
# A unit test or fuzz target that the build does not know would never run.
for f in "$SN_SRC"/tests/unit/test_*.c "$SN_SRC"/tests/fuzz/fuzz_*.c; do
	name=$(basename "$f" .c)
	grep -q "/$name\b" "$SN_SRC/tests/Makemodule.am" || wrong "$f is not in tests/Makemodule.am"
done
verdict "$scripts" "scripts"

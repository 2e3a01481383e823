# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib.sh - tests of the compact tables of files.
# shellcheck source=../lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
need_python
command -v readelf >/dev/null || skip "readelf is not installed"
DUMP=$SN_BUILD/tests/table/table_dump
[ -x "$DUMP" ] || skip "tests/table/table_dump was not built"

# Each row of the table is what readelf says.
same_as_readelf()	# FILE
{
	"$PYTHON" "$SN_SRC/tests/table/against_readelf.py" "$DUMP" readelf "$1" >"$T/against" 2>&1 ||
		fail "$1: $(cat "$T/against")"
	echo "$1: $(tail -1 "$T/against")"
}

rows_of()	# FILE OUTPUT
{
	"$DUMP" "$1" >"$2" || fail "no table of $1"
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib.sh - for the lints: a rule that reads nothing has failed, one that finds something says where.
set -u
LC_ALL=C
export LC_ALL
SN_SRC=${SN_SRC:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
SN_BUILD=${SN_BUILD:-$SN_SRC/build}
T=$(mktemp -d "${TMPDIR:-/tmp}/sonde-lint.XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT
bad=0

wrong()
{
	echo "$*"
	bad=$((bad + 1))
}

skip()
{
	echo "SKIP: $*"
	exit 77
}

# The end: how many things were read, and what they are.
verdict()	# COUNT WHAT
{
	[ "$1" -gt 0 ] || wrong "read no $2: a lint that reads nothing has failed"
	[ "$bad" -eq 0 ] || { echo "FAIL: $bad"; exit 1; }
	echo "ok: $1 $2"
	exit 0
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib.sh - the conformance tests: one script a number of the list in the reference of the format.
# Each records a profile with `sonde run` and gives it to a real pprof.
# shellcheck source=../lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
need_sonde
need_python
need_pprof

# The pprof of Go 1.19 (Debian 12) reads local binaries by Go's own means, which miss functions outside of the
# first range of a unit, and symbolizes again when it is asked to demangle.  Newer ones know -show_columns.
new_pprof()
{
	pprof -h 2>&1 | grep -q show_columns
}

# The usual profile: a program with known functions, two threads.
# shellcheck disable=SC2034  # the scripts use it
P=$T/P.pb.gz
usual()
{
	record_ok P -- "$PROGRAMS/truth" -t 2 -s 1 -o "$T/truth.txt"
}

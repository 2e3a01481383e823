#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Python's own tests of json, re and threading: as bare; the profile opens.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
python=/usr/bin/python3
[ -x $python ] || skip "no /usr/bin/python3 (apt-get install python3)"
version=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! $python -c 'import test.test_json' 2>/dev/null; then
	# The interpreter of the same version too: an older one hangs in the tests of a newer one.
	unpacked "libpython$version-testsuite" "python$version-minimal" "libpython$version-minimal" "libpython$version-stdlib"
	python=$DEBS/usr/bin/python$version
	export PYTHONHOME=$DEBS/usr
	$python -c 'import test.test_json' 2>"$T/err" || skip "the test suite does not load: $(tail -1 "$T/err")"
fi
cd "$T" || exit 1
suite=("$python" -B -m test -q test_json test_re test_threading)
"${suite[@]}" >"$T/bare.out" 2>"$T/bare.err" </dev/null
bare=$?
"$SONDE" run -o "$T/P.pb.gz" -- "${suite[@]}" >"$T/sonde.out" 2>"$T/sonde.err" </dev/null
is "status" $? $bare
# The same verdict: times and numbers of seconds apart.
strip()
{
	sed -E 's/[0-9.]+ (sec|min|ms)//g; s/[0-9]+(\.[0-9]+)?s//g; /^0:00/d; /duration/d' "$1"
}
strip "$T/bare.out" >"$T/a"
strip "$T/sonde.out" >"$T/b"
cmp "$T/a" "$T/b" || fail "it says something else: $(diff "$T/a" "$T/b" | head -20)"
lacks "a word of ours" "$T/sonde.err" '^sonde:'
unset PYTHONHOME
opens "$T/P.pb.gz"
at_least "CPU time" "$(profile total "$T/P.pb.gz")" 1000000000
profile names "$T/P.pb.gz" >"$T/names"
matches "the interpreter" "$T/names" 'Py(Eval|Object)|python3'

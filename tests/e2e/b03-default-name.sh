#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Without -o: sonde.%e.%p.pb.gz here.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
mkdir here && cd here || exit 1
"$SONDE" run "$PROGRAMS/burner" -m 50 >"$T/out" 2>"$T/err" </dev/null
is "status" $? 0
files=(*)
[[ ${files[*]} =~ ^sonde\.burner\.[0-9]+\.pb\.gz$ ]] || fail "files here: ${files[*]}"
valid "${files[0]}"

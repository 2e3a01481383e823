#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# %p %e %t %k %% in FILE.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cd "$T" || exit 1
before=$(date +%s)
"$SONDE" run -o "$T/a.%e.%p.%t.%k.%%.pb.gz" -- "$PROGRAMS/burner" -m 50 >"$T/out" 2>"$T/err"
is "status" $? 0
after=$(date +%s)
files=("$T"/a.*)
is "files" "${#files[@]}" 1
name=$(basename "${files[0]}")
[[ $name =~ ^a\.burner\.([0-9]+)\.([0-9]+)\.cpu\.%\.pb\.gz$ ]] || fail "name: $name"
at_least "%t" "${BASH_REMATCH[2]}" $((before - 1))
at_most "%t" "${BASH_REMATCH[2]}" "$after"
valid "${files[0]}"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A profile replaces an older file at once and leaves nothing else behind.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
mkdir "$T/here"
echo old >"$T/here/P.pb.gz"
ln "$T/here/P.pb.gz" "$T/old"
"$SONDE" run -o "$T/here/P.pb.gz" -- "$PROGRAMS/burner" -m 100 2>"$T/err" || fail "status $?"
is "files" "$(ls -A "$T/here")" P.pb.gz
is "the old file was not written into" "$(cat "$T/old")" old
valid "$T/here/P.pb.gz"
# A symbolic link at FILE, relative paths, and a folder with a space.
mkdir "$T/with space"
(cd "$T/with space" && "$SONDE" run -o "a b.pb.gz" -- "$PROGRAMS/burner" -m 100) 2>"$T/err" || fail "status $?"
valid "$T/with space/a b.pb.gz"
# The program's own change of folder does not move the file.
# shellcheck disable=SC2016  # the inner shell expands it
(cd "$T/here" && SONDE_ONLY='*' "$SONDE" run -o rel.pb.gz -- sh -c 'cd / && exec "$0" -m 100' "$PROGRAMS/burner") || fail "status $?"
valid "$T/here/rel.pb.gz"

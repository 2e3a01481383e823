#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A disk that fills during the run: the program's own failure, else 125; the previous file stays whole.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root "a tmpfs of its own"
mkdir "$T/full"
mount -t tmpfs -o size=64k tmpfs "$T/full" 2>"$T/mount" || skip "mount: $(cat "$T/mount")"
at_exit "umount '$T/full'"
for status in 0 7; do
	rm -f "$T/full/"*
	echo old >"$T/full/P.pb.gz"
	"$SONDE" run -o "$T/full/P.pb.gz" -- bash -c "head -c 65536 /dev/zero >'$T/full/fill' 2>/dev/null; '$PROGRAMS/burner' -m 200; exit $status" >"$T/out" 2>"$T/err" </dev/null
	got=$?
	if [ $status = 0 ]; then is "status when the program succeeds" $got 125; else is "status when it fails" $got 7; fi
	exists "a line about it" "$T/err"
	matches "the line" "$T/err" '^sonde: .*(No space|full)'
	is "the previous file" "$(cat "$T/full/P.pb.gz")" old
	is "left behind" "$(echo "$T/full/"* "$T/full/".[!.]*)" "$T/full/P.pb.gz $T/full/fill $T/full/.[!.]*"
done

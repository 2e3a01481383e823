#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A full disk is told before the start.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_root "a tmpfs of its own"
mkdir "$T/full"
mount -t tmpfs -o size=64k tmpfs "$T/full" 2>"$T/mount" || skip "mount: $(cat "$T/mount")"
at_exit "umount '$T/full'"
head -c 65536 /dev/zero >"$T/full/fill" 2>/dev/null
"$SONDE" run -o "$T/full/P.pb.gz" -- touch "$T/ran" >"$T/out" 2>"$T/err" </dev/null
is "status" $? 125
lines_are "full" "$T/err" 1
matches "full" "$T/err" 'No space|full'
absent "the program ran" "$T/ran"
is "left behind" "$(ls -A "$T/full")" fill

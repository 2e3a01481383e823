#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A set-uid or set-gid program ignores LD_PRELOAD: 125.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
copy_of burner suid
for mode in 4755 2755; do
	chmod $mode "$T/suid"
	[ -u "$T/suid" ] || [ -g "$T/suid" ] || skip "cannot set mode $mode here"
	record P -- "$T/suid" -m 10
	refused P 125 'set-?[ug]id|privilege'
done
chmod 755 "$T/suid"
record ok -- "$T/suid" -m 10
status_is ok 0

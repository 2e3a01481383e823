#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The program's exit status is sonde's.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for status in 0 1 3 124 125 126 127 128 200 255; do
	record r$status -- "$PROGRAMS/burner" -m 20 -x $status
	status_is r$status $status
	is_empty "stderr" "$T/r$status.err"
	exists "profile" "$T/r$status.pb.gz"
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A folder that vanishes during the run: 125 if the program succeeded, its status if not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for status in 0 5; do
	mkdir "$T/gone"
	record_to=$T/gone/P.pb.gz
	"$SONDE" run -o "$record_to" -- "$PROGRAMS/burner" -r "$T/ready" -m 400 -x $status >"$T/out" 2>"$T/err" </dev/null &
	runner=$!
	until_true test -e "$T/ready"
	rm -rf "$T/gone" "$T/ready"
	wait $runner
	got=$?
	if [ $status = 0 ]; then is "status when the program succeeds" $got 125; else is "status when it fails" $got 5; fi
	lines_are "gone" "$T/err" 1
	matches "gone" "$T/err" '^sonde: .*gone/P\.pb\.gz'
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# No frame of ours, no trampoline of ours, no mapping of ours.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for program in "truth -t 4 -s 1 -o $T/truth.txt" "churn -n 500" "dlclose $PROGRAMS/libhotdso.so 300 5" "forker -n 2 -m 300"; do
	# shellcheck disable=SC2086  # words
	record_ok P --hz 1000 -- "$PROGRAMS/"$program
	for f in "$T"/P*.pb.gz; do
		profile names "$f" >"$T/names"
		lacks "$program" "$T/names" 'sonde|(^|[^a-z])sn_|restore_rt'
	done
	rm -f "$T"/P*.pb.gz
done
